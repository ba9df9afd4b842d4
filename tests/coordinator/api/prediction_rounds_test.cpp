// The work of a prediction with a cascade, without workers: which samples a round asks for, and what the sink gets,
// against a plain computation sample by sample.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "common/random.hpp"
#include "coordinator/api/prediction.hpp"
#include "coordinator/plan/input.hpp"
#include "tests/coordinator/pool/segments.hpp"
#include "tests/support/fake_ensemble.hpp"

namespace tutti::test {
namespace {

constexpr std::uint32_t kImages = 9;
constexpr std::uint32_t kClasses = 3;
constexpr std::size_t kMembers = 4;

ArenaLayout layout() {
  ArenaLayout layout{1, kImages, kShape};
  layout.later_rounds = 2;
  return layout;
}

/// Probabilities, different for every member and image.
std::vector<float> row_of(std::size_t member, std::uint32_t image) {
  std::vector<float> row;
  float sum = 0;
  for (std::uint32_t c = 0; c < kClasses; ++c)
    row.push_back(0.05F + static_cast<float>(random_at(member * 100 + image, c) % 1000) / 1000);
  for (const float value : row) sum += value;
  for (float& value : row) value /= sum;
  return row;
}

/// m0 and m1 see everything; m2 what they doubt; m3 what m2 was asked for and m0 and m2 together doubt.
const std::vector<config::CascadeStep> kSteps{{{0, 1}, config::Doubt::confidence_below, 0.48, {2}},
                                              {{0, 2}, config::Doubt::margin_below, 0.15, {3}}};

/// What the sink gets, kept.
struct Kept final : Sink {
  std::vector<float> values;
  std::vector<std::int64_t> predicted;
  std::vector<std::vector<std::uint8_t>> asked;
  std::vector<std::vector<float>> members;
  std::vector<bool> present;
  std::optional<IncompleteSegment> incomplete;
  void write(const SegmentResult& result) override {
    values.assign(result.values.begin(), result.values.end());
    predicted.assign(result.predicted.begin(), result.predicted.end());
    for (const MemberSegmentResult& member : result.members) {
      asked.emplace_back(member.asked.begin(), member.asked.end());
      members.emplace_back(member.values.begin(), member.values.end());
      present.push_back(member.present);
    }
    incomplete = result.incomplete();
  }
};

/// A segment and its members, as the pool would have them.
struct Cascading {
  std::vector<float> images = random_images(kImages);
  ListSource source{images, {}};
  Kept sink;
  Accumulator accumulator{{}, std::vector<float>(kMembers, 1.0F)};
  Prediction prediction{source, sink,
                        lineup_of(accumulator, ByRank<Dims>(kMembers, Dims{kClasses}), ClassAxis::of_row(kClasses)),
                        nullptr, Cascade(kSteps, kMembers)};
  std::vector<float> arena = std::vector<float>(layout().bytes() / sizeof(float));
  FinishedSegment segment;
  ByRank<bool> absent = ByRank<bool>(kMembers);

  Cascading() {
    prediction.fill(base(), layout(), 0);
    segment.segment.images = kImages;
    segment.segment.asked_in = {kImages};
    segment.segment.rows = ByRank<Ledger::Row>(kMembers);
    segment.places = ByRank<AnswerPlace>(kMembers);
  }

  std::byte* base() { return reinterpret_cast<std::byte*>(arena.data()); }

  std::vector<std::uint32_t> chosen(Round round) {
    const auto view = chosen_view(base(), layout(), 0, round, segment.segment.asked_in.at(round.value()));
    return {view.begin(), view.end()};
  }

  void answer(std::size_t member, const std::vector<std::uint32_t>& samples) {
    Ledger::Row& row = segment.segment.rows[Rank(member)];
    if (absent[Rank(member)]) {
      row.missed = segment.segment.asked_in.size() > 1;
      row.asked = !row.missed;
      return;
    }
    row.asked = row.present = true;
    row.images = static_cast<std::uint32_t>(samples.size());
    std::vector<float> values;
    for (const std::uint32_t sample : samples) {
      const std::vector<float> one = row_of(member, sample);
      values.insert(values.end(), one.begin(), one.end());
    }
    values.resize(kImages * kClasses);
    segment.places[Rank(member)] = {channel_with(layout(), 0, values, kClasses)};
  }

  void run() {
    std::vector<std::uint32_t> all(kImages);
    for (std::uint32_t i = 0; i < kImages; ++i) all[i] = i;
    answer(0, all);
    answer(1, all);
    while (const auto next = prediction.judge(segment)) {
      segment.segment.asked_in.resize(next->round.value() + std::size_t{1});
      segment.segment.asked_in.back() = next->images;
      answer(next->round.value() + std::size_t{1}, chosen(next->round));
    }
    prediction.deliver(segment);
  }
};

float largest(const std::vector<float>& row) { return *std::ranges::max_element(row); }

std::vector<float> mean_of(const std::vector<std::size_t>& members, std::uint32_t image) {
  std::vector<float> sum(kClasses, 0.0F);
  for (const std::size_t member : members)
    for (std::uint32_t c = 0; c < kClasses; ++c) sum[c] += row_of(member, image)[c];
  for (float& value : sum) value /= static_cast<float>(members.size());
  return sum;
}

/// Who predicts an image, one image at a time. `without`: a member that is absent.
std::vector<std::size_t> members_of(std::uint32_t image, std::optional<std::size_t> without = {}) {
  std::vector<std::size_t> asked{0, 1};
  const auto present = [&](std::vector<std::size_t> members) {
    std::erase_if(members, [&](std::size_t member) { return member == without; });
    return members;
  };
  if (largest(mean_of(present({0, 1}), image)) < 0.48) {
    asked.push_back(2);
    std::vector<float> row = mean_of(present({0, 2}), image);
    std::ranges::sort(row);
    if (row[2] - row[1] < 0.15) asked.push_back(3);
  }
  return present(asked);
}

void check_like_plain(const Cascading& cascading, std::optional<std::size_t> without = {}) {
  for (std::uint32_t image = 0; image < kImages; ++image) {
    CAPTURE(image);
    const std::vector<std::size_t> asked = members_of(image, without);
    const std::vector<float> expected = mean_of(asked, image);
    CHECK(std::memcmp(&cascading.sink.values[image * kClasses], expected.data(), kClasses * sizeof(float)) == 0);
    CHECK(cascading.sink.predicted[image] == std::ranges::max_element(expected) - expected.begin());
    for (std::size_t member = 2; member < kMembers; ++member) {
      const bool was = std::ranges::count(asked, member) > 0;
      if (member != without) CHECK((cascading.sink.asked[member][image] == 1) == was);
      CHECK(std::isnan(cascading.sink.members[member][image * kClasses]) == !was);
    }
  }
}

TEST_CASE("every sample is combined from the members that it needed") {
  Cascading cascading;
  cascading.run();
  check_like_plain(cascading);
  // All kinds of samples are there, or this proves little.
  std::size_t by[5] = {};
  for (std::uint32_t image = 0; image < kImages; ++image) ++by[members_of(image).size()];
  CHECK(by[2] > 0);
  CHECK(by[3] > 0);
  CHECK(by[4] > 0);
  CHECK_FALSE(cascading.sink.incomplete.has_value());
  CHECK(cascading.sink.asked[0].empty());
}

TEST_CASE("without a member that decides the others of the step decide") {
  Cascading cascading;
  cascading.absent[1] = true;
  cascading.run();
  check_like_plain(cascading, 1);
  REQUIRE(cascading.sink.incomplete.has_value());
  CHECK(cascading.sink.incomplete->absent == std::vector<std::size_t>{1});
}

TEST_CASE("a member that is absent when its round comes is missing from the segment") {
  Cascading cascading;
  cascading.absent[2] = true;
  cascading.run();
  CHECK_FALSE(cascading.sink.present[2]);
  REQUIRE(cascading.sink.incomplete.has_value());
  CHECK(cascading.sink.incomplete->absent == std::vector<std::size_t>{2});
  check_like_plain(cascading, 2);
}

TEST_CASE("without any member of the first round every sample is passed on") {
  Cascading cascading;
  cascading.absent[0] = cascading.absent[1] = true;
  cascading.run();
  CHECK(cascading.segment.segment.asked_in[1] == kImages);
  for (std::uint32_t image = 0; image < kImages; ++image) {
    CHECK(cascading.sink.members[2][image * kClasses] == row_of(2, image)[0]);
    const bool asked = cascading.sink.asked[3][image] == 1;
    const std::vector<float> expected = asked ? mean_of({2, 3}, image) : row_of(2, image);
    CHECK(std::memcmp(&cascading.sink.values[image * kClasses], expected.data(), kClasses * sizeof(float)) == 0);
  }
}

TEST_CASE("a segment that no sample of which needs a later round lacks nothing") {
  Cascading cascading;
  const auto sure = [&](Cascading& one) {
    std::vector<float> values;
    for (std::uint32_t i = 0; i < kImages; ++i) values.insert(values.end(), {1, 0, 0});
    for (const Rank rank : {Rank(0), Rank(1)}) {
      Ledger::Row& row = one.segment.segment.rows[rank];
      row.asked = row.present = true;
      row.images = kImages;
      one.segment.places[rank] = {channel_with(layout(), 0, values, kClasses)};
    }
  };
  sure(cascading);
  CHECK_FALSE(cascading.prediction.judge(cascading.segment).has_value());
  cascading.prediction.deliver(cascading.segment);
  CHECK_FALSE(cascading.sink.incomplete.has_value());
  CHECK(cascading.sink.present[2]);
  CHECK(cascading.sink.asked[2] == std::vector<std::uint8_t>(kImages, 0));
}

}  // namespace
}  // namespace tutti::test
