#include "coordinator/api/prediction.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "common/check.hpp"
#include "coordinator/plan/input.hpp"

namespace tutti {

Prediction::Prediction(Source& source, Sink& sink, std::shared_ptr<const Lineup> lineup, TraceRecorder* trace,
                       Cascade cascade, std::uint32_t most)
    : source_(source),
      sink_(sink),
      lineup_(std::move(lineup)),
      cascade_(std::move(cascade)),
      trace_(trace),
      count_(source.count()),
      most_(most),
      answers_(cascade_),
      gathered_(members()),
      rows_(members()),
      asked_(members()) {
  for (const LineupMember& member : lineup_->members)
    widths_.push_back(static_cast<std::uint32_t>(elements_of(member.output)));
  for (std::size_t m = 0; m < members(); ++m)
    TUTTI_CHECK(cascade_.empty() || rank_of(m) == Rank(m), "a cascade names the members by their ranks");
}

std::uint32_t Prediction::fill(std::byte* arena, const ArenaLayout& layout, SlotId slot) {
  arena_ = arena;
  layout_ = layout;
  const auto images = static_cast<std::uint32_t>(std::min<std::uint64_t>(segment_images(), count_ - next_));
  indices_.resize(images);
  std::iota(indices_.begin(), indices_.end(), next_);
  read_images(source_, indices_, {arena, layout, slot}, source_.labelled());
  std::ranges::transform(indices_, slot_view(arena, layout, slot, images).numbers.begin(),
                         [&](std::uint64_t index) { return source_.number_of(index); });
  next_ += images;
  return images;
}

std::string Prediction::image_name(std::uint64_t segment, std::uint64_t image) const {
  const std::uint64_t index = segment * segment_images() + image;
  return index < count_ ? source_.image_name(index) : std::string{};  // the index comes from a worker
}

std::span<const float> Prediction::nan_rows(std::uint32_t images, std::uint32_t width) {
  // Grown once for the widest member, so that the rows of one member do not move when those of another are taken.
  const std::size_t widest = *std::max_element(widths_.begin(), widths_.end());
  nan_.resize(std::max(nan_.size(), images * widest), std::numeric_limits<float>::quiet_NaN());
  return std::span<const float>(nan_).first(std::size_t{images} * width);
}

std::optional<NextRound> Prediction::judge(const FinishedSegment& answered) {
  const Ledger::Segment& segment = answered.segment;
  answers_.look_at(answered, arena_, layout_);
  for (std::size_t r = segment.round().value() + std::size_t{1}; r < cascade_.rounds(); ++r) {
    const Round round(r);
    const config::CascadeStep& step = cascade_.step_to(round);
    std::vector<std::uint32_t> samples = answers_.asked_in(cascade_.needed_for(round));
    std::vector<bool> present(members());
    for (const std::size_t rank : step.after) present[rank] = segment.rows[Rank(rank)].present;
    if (!samples.empty() && std::ranges::find(present, true) != present.end()) {
      combine_some(present, samples, some_);
      const std::size_t width = axis().values();
      std::size_t doubtful = 0;
      for (std::size_t i = 0; i < samples.size(); ++i)
        if (is_doubtful(step, std::span(some_.values).subspan(i * width, width))) samples[doubtful++] = samples[i];
      samples.resize(doubtful);
    }
    if (samples.empty()) continue;
    const auto count = static_cast<std::uint32_t>(samples.size());
    std::ranges::copy(samples, chosen_view(arena_, layout_, segment.slot, round, count).begin());
    return NextRound{round, count};
  }
  return std::nullopt;
}

void Prediction::deliver(const FinishedSegment& finished) {
  const auto begin = trace_ != nullptr ? std::chrono::steady_clock::now() : TraceRecorder::Time{};
  const std::uint32_t images = finished.segment.images;
  if (!cascade_.empty()) answers_.look_at(finished, arena_, layout_);
  std::vector<MemberSegmentResult> results;
  results.reserve(members());
  bool any = false;
  for (std::size_t m = 0; m < members(); ++m) {
    results.push_back(of_member(finished, m));
    any = any || finished.segment.rows[rank_of(m)].present;
  }
  const std::uint32_t width = lineup_->combined ? widths_[0] : 0;
  if (finished.segment.set_aside || !any) {
    accumulator().nothing(images, axis(), result_);
  } else {
    bool whole = true;
    if (cascade_.empty())
      combine_all(finished);
    else
      whole = combine_by_rounds(finished);
    if (whole) {
      accumulator().check_finite(result_.values, width, delivered_);
      accumulator().check_finite_spread(result_.spread, result_.spread.size() / images, delivered_);
    }
  }
  SegmentResult result;
  result.set_aside = finished.segment.set_aside;
  result.first = delivered_;
  result.count = images;
  result.width = width;
  result.values = result_.values;
  result.predicted = result_.predicted;
  result.spread = result_.spread;
  result.members = results;
  if (source_.labelled())
    result.labels = slot_view(static_cast<const std::byte*>(arena_), layout_, finished.segment.slot, images).labels;
  delivered_ += images;
  write(result, finished.segment, begin);
}

/// What the result says of the member at this place of the lineup.
MemberSegmentResult Prediction::of_member(const FinishedSegment& finished, std::size_t m) {
  const Rank rank = rank_of(m);
  const Ledger::Row& row = finished.segment.rows[rank];
  const std::uint32_t images = finished.segment.images;
  const std::uint32_t width = widths_[m];
  const Round round = cascade_.round_of(rank);
  if (round == Round{}) return {width, row.present ? finished.answer(rank) : nan_rows(images, width), row.present};
  asked_[m] = answers_.flags_of(round);
  MemberSegmentResult member{width, nan_rows(images, width), row.present, asked_[m]};
  if (!row.present) {
    member.present = !row.asked && !row.missed && !finished.segment.set_aside;  // no sample needed it
    return member;
  }
  std::vector<float>& rows = rows_[m];
  rows.assign(std::size_t{images} * width, std::numeric_limits<float>::quiet_NaN());
  const std::span<const float> answers = finished.answer(rank);
  std::size_t place = 0;
  for (std::uint32_t sample = 0; sample < images; ++sample)
    if (asked_[m][sample] != 0)
      std::copy_n(&answers[place++ * width], width, rows.begin() + static_cast<std::ptrdiff_t>(sample) * width);
  member.values = rows;
  return member;
}

void Prediction::combine_all(const FinishedSegment& finished) {
  std::vector<bool> present;
  std::vector<std::span<const float>> answers;
  present.reserve(members());
  answers.reserve(members());
  for (const LineupMember& member : lineup_->members) {
    present.push_back(finished.segment.rows[member.rank].present);
    answers.push_back(present.back() ? finished.answer(member.rank) : std::span<const float>{});
  }
  accumulator().combine(answers, present, finished.segment.images, axis(), result_);
}

/// Combines the answers of the members that are present for these samples, which each of them was asked for.
void Prediction::combine_some(const std::vector<bool>& present, std::span<const std::uint32_t> samples,
                              Accumulator::Result& result) {
  std::vector<std::span<const float>> answers(present.size());
  for (std::size_t m = 0; m < members(); ++m)
    if (present[m]) answers[m] = answers_.of(rank_of(m), widths_[m], samples, gathered_[m]);
  accumulator().combine(answers, present, static_cast<std::uint32_t>(samples.size()), axis(), result);
}

namespace {

/// Copies rows to where their samples are.
template <class Value>
void spread_out(const std::vector<Value>& rows, std::span<const std::uint32_t> samples, std::vector<Value>& all) {
  const std::size_t width = rows.size() / samples.size();
  for (std::size_t i = 0; i < samples.size(); ++i)
    std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(i * width), width,
                all.begin() + static_cast<std::ptrdiff_t>(samples[i] * width));
}

}  // namespace

/// The samples that were asked for in the same rounds are combined together. False if some have no answer left: the
/// member that had predicted them has left the ensemble since.
bool Prediction::combine_by_rounds(const FinishedSegment& finished) {
  std::map<std::uint32_t, std::vector<std::uint32_t>> groups;
  for (std::uint32_t sample = 0; sample < finished.segment.images; ++sample)
    groups[answers_.rounds_of(sample)].push_back(sample);
  accumulator().nothing(finished.segment.images, axis(), result_);
  bool whole = true;
  for (const auto& [rounds, samples] : groups) {
    std::vector<bool> present;
    for (const LineupMember& member : lineup_->members)
      present.push_back(finished.segment.rows[member.rank].present &&
                        (rounds >> cascade_.round_of(member.rank).value() & 1U) != 0);
    if (std::ranges::find(present, true) == present.end()) {
      whole = false;
      continue;
    }
    combine_some(present, samples, some_);
    spread_out(some_.values, samples, result_.values);
    spread_out(some_.predicted, samples, result_.predicted);
    spread_out(some_.spread, samples, result_.spread);
  }
  return whole;
}

void Prediction::write(const SegmentResult& result, const Ledger::Segment& segment, TraceRecorder::Time begin) {
  if (trace_ == nullptr) return sink_.write(result);
  const auto combined = std::chrono::steady_clock::now();
  trace_->did(TraceRecorder::Deed::combine, segment.slot, segment.images, begin, combined);
  sink_.write(result);
  trace_->did(TraceRecorder::Deed::sink, segment.slot, segment.images, combined, std::chrono::steady_clock::now());
}

}  // namespace tutti
