// Runs over predictions that are no rows of classes: their files, their journal, and `tutti combine`.
#include <doctest/doctest.h>

#include "images/npy_reader.hpp"
#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

constexpr const char* kMasks =
    "members:\n"
    "  - {name: a, model: {kind: fake, classes: 3, per_class: [2, 5]}}\n"
    "  - {name: b, model: {kind: fake, classes: 3, per_class: [2, 5]}}\n"
    "input: {dataset: random, count: 40, shape: [2, 3, 3], seed: 3}\n"
    "segment_images: 8\nsave_members: true\n";

TEST_CASE("a run writes masks in their shape and combines saved ones to the same bytes") {
  const Workplace place(kMasks);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=r"}).code == 0);
  const auto shape_of = [&](const std::string& file, images::NpyType type) {
    return images::NpyReader(place / file, type).row_shape();
  };
  CHECK(shape_of("r/predictions.npy", images::NpyType::float32) == Dims{3, 2, 5});
  CHECK(shape_of("r/predicted.npy", images::NpyType::int64) == Dims{2, 5});
  CHECK(shape_of("r/members/b.npy", images::NpyType::float32) == Dims{3, 2, 5});
  CHECK_FALSE(place.has("r/predictions.csv"));
  REQUIRE(Finished(place, {"combine", "r", "-q", "--rules", "mean,vote,median", "-o", "c"}).code == 0);
  CHECK(place.read("c/mean/predictions.npy") == place.read("r/predictions.npy"));
  CHECK(place.read("c/mean/predicted.npy") == place.read("r/predicted.npy"));
  CHECK(shape_of("c/vote/predicted.npy", images::NpyType::int64) == Dims{2, 5});
}

TEST_CASE("a run over masks that was killed continues to the same bytes") {
  const Workplace place(kMasks);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=whole"}).code == 0);
  // The third segment holds an image that ends the run.
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=cut", "slots=1", "on_worker_failure=fail",
                           "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 3}]"})
              .code == 1);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=cut", "--resume", "on_worker_failure=fail"}).code == 0);
  CHECK(different_results(place, "cut", "whole").empty());
}

TEST_CASE("masks without labels are not evaluated") {
  const Workplace place(kMasks);
  const Finished refused(place, {"run", "e.yaml", "-q", "--rules", "mean,vote"});
  CHECK(refused.code == 2);
  CHECK(contains(refused.err(), "--rules has nothing to evaluate"));
}

}  // namespace
}  // namespace tutti::test
