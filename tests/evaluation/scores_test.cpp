// What the program measures of a run: whole segments, segments without some members, and segments set aside.
#include "evaluation/scores.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Two images, labelled 0 and 1, and an ensemble of two members and two classes. Member 0 predicts both right, member 1
/// both wrong, and the ensemble predicts the same as member 0.
struct Segment {
  std::uint64_t first = 0;
  std::vector<bool> present{true, true};
  bool set_aside = false;
  std::int64_t second_label = 1;
};

void add(Scores& scores, const Segment& segment) {
  const std::vector<float> right{0.75F, 0.25F, 0.25F, 0.75F};
  const std::vector<float> wrong{0.25F, 0.75F, 0.75F, 0.25F};
  const std::vector<float> nothing(4, kNan);
  const std::vector<MemberSegmentResult> members{
      {2, segment.present[0] ? right : nothing, segment.present[0]},
      {2, segment.present[1] ? wrong : nothing, segment.present[1]},
  };
  const bool answered = !segment.set_aside && (segment.present[0] || segment.present[1]);
  const std::vector<std::int64_t> predicted =
      answered ? std::vector<std::int64_t>{0, 1} : std::vector<std::int64_t>{-1, -1};
  const std::vector<std::int64_t> labels{0, segment.second_label};
  SegmentResult result;
  result.first = segment.first;
  result.count = 2;
  result.width = 2;
  result.values = answered ? right : nothing;
  result.predicted = predicted;
  result.labels = labels;
  result.members = members;
  result.set_aside = segment.set_aside;
  scores.add(result);
}

const config::CombineSpec kMean{};

TEST_CASE("whole segments count for all and nothing is incomplete") {
  Scores scores(kMean, true);
  add(scores, {0});
  add(scores, {2});
  REQUIRE(scores.ensemble());
  CHECK(scores.ensemble()->images() == 4);
  CHECK(scores.ensemble()->accuracy() == 1.0);
  REQUIRE(scores.members().size() == 2);
  CHECK(scores.members()[0]->accuracy() == 1.0);
  CHECK(scores.members()[1]->accuracy() == 0.0);
  CHECK(scores.incomplete().empty());
}

TEST_CASE("images that a member did not predict do not count for it") {
  Scores scores(kMean, true);
  add(scores, {0, {false, true}});
  add(scores, {2});
  CHECK(scores.members()[0]->images() == 2);
  CHECK(scores.members()[0]->accuracy() == 1.0);
  CHECK(*scores.members()[0]->loss() == doctest::Approx(-std::log(0.75)));
  CHECK(scores.members()[1]->images() == 4);
  CHECK(scores.ensemble()->images() == 4);
}

TEST_CASE("images that were set aside do not count for the ensemble but for members that predicted them") {
  Scores scores(kMean, true);
  add(scores, {0});
  add(scores, {2, {true, false}, true});
  CHECK(scores.ensemble()->images() == 2);
  CHECK(*scores.ensemble()->loss() == doctest::Approx(-std::log(0.75)));
  CHECK(scores.members()[0]->images() == 4);
  CHECK(scores.members()[1]->images() == 2);
}

TEST_CASE("a segment that no member predicted has no accuracy at all") {
  Scores scores(kMean, true);
  add(scores, {0, {false, false}});
  CHECK_FALSE(scores.ensemble()->accuracy());
  CHECK_FALSE(scores.members()[0]->accuracy());
  REQUIRE(scores.incomplete().size() == 1);
  CHECK(scores.incomplete()[0].members_present == 0);
}

TEST_CASE("members that are scored elsewhere are not scored again") {
  const std::vector<MaybeMetrics> found(2, images::Metrics(2));
  Scores scores(kMean, true, &found);
  add(scores, {0});
  CHECK(&scores.members() == &found);
  CHECK(scores.members()[0]->images() == 0);
  CHECK(scores.ensemble()->images() == 2);
}

TEST_CASE("an image is named by its number in the run whatever was left out before it") {
  Scores scores(kMean, true);
  add(scores, {0, {false, true}, true});
  const auto error = error_of([&] { add(scores, {2, {true, true}, false, 5}); });
  REQUIRE(error);
  CHECK(error->message() == "the label of image 3 is 5");
  CHECK(scores.ensemble().has_value());
}

TEST_CASE("what is incomplete is listed with ranks and neighbours that lack the same members are one") {
  Scores scores(kMean, true);
  add(scores, {0});
  add(scores, {2, {true, false}});
  add(scores, {4, {true, false}});
  add(scores, {6, {false, true}});
  add(scores, {8});
  add(scores, {10, {false, true}});
  using Ranks = std::vector<std::size_t>;
  CHECK(scores.incomplete() == std::vector<IncompleteSegment>{{2, 4, 1, Ranks{1}, false},
                                                              {6, 2, 1, Ranks{0}, false},
                                                              {10, 2, 1, Ranks{0}, false}});
}

TEST_CASE("every segment that was set aside is a separate entry") {
  Scores scores(kMean, true);
  add(scores, {0, {true, false}});
  add(scores, {2, {true, false}, true});
  add(scores, {4, {true, false}, true});
  add(scores, {6, {true, false}});
  add(scores, {8, {true, true}, true});
  REQUIRE(scores.incomplete().size() == 5);
  CHECK(scores.incomplete()[2] == IncompleteSegment{4, 2, 1, {1}, true});
  CHECK(scores.incomplete()[4] == IncompleteSegment{8, 2, 2, {}, true});
}

TEST_CASE("without labels or over features incomplete segments are still listed") {
  const config::CombineSpec features{CombineRule::mean, OutputKind::features, true, false};
  Scores scores(features, false);
  add(scores, {0, {true, false}});
  CHECK(scores.incomplete().size() == 1);
  CHECK_FALSE(scores.ensemble());
  CHECK(scores.members().empty());
}

}  // namespace
}  // namespace tutti::test
