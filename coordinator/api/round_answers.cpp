#include "coordinator/api/round_answers.hpp"

#include <algorithm>

#include "common/check.hpp"

namespace tutti {

void RoundAnswers::look_at(const FinishedSegment& finished, const std::byte* arena, const ArenaLayout& layout) {
  finished_ = &finished;
  const Ledger::Segment& segment = finished.segment;
  rounds_of_.assign(segment.images, 1);
  for (std::size_t r = 1; r < segment.asked_in.size(); ++r) {
    std::vector<std::uint32_t>& places = places_.at(r);
    places.assign(segment.images, 0);
    std::uint32_t place = 0;
    for (const std::uint32_t sample : chosen_view(arena, layout, segment.slot, Round(r), segment.asked_in[r])) {
      TUTTI_CHECK(sample < segment.images);
      rounds_of_[sample] |= 1U << r;
      places[sample] = place++;
    }
  }
}

std::vector<std::uint32_t> RoundAnswers::asked_in(std::uint32_t rounds) const {
  std::vector<std::uint32_t> samples;
  for (std::uint32_t sample = 0; sample < rounds_of_.size(); ++sample)
    if ((rounds_of_[sample] & rounds) == rounds) samples.push_back(sample);
  return samples;
}

std::vector<std::uint8_t> RoundAnswers::flags_of(Round round) const {
  std::vector<std::uint8_t> flags;
  for (const std::uint32_t rounds : rounds_of_) flags.push_back(rounds >> round.value() & 1U);
  return flags;
}

std::span<const float> RoundAnswers::of(Rank rank, std::uint32_t width, std::span<const std::uint32_t> samples,
                                        std::vector<float>& memory) const {
  const std::span<const float> rows = finished_->answer(rank);
  const Round round = cascade_.round_of(rank);
  if (samples.size() * width == rows.size()) return rows;  // each sample of its round, in order
  memory.resize(samples.size() * width);
  float* to = memory.data();
  for (const std::uint32_t sample : samples) {
    const std::size_t place = round == Round{} ? sample : places_.at(round.value())[sample];
    to = std::copy_n(rows.data() + place * width, width, to);
  }
  return memory;
}

}  // namespace tutti
