// Runs with `spread: true`: how far the members are apart, against plain loops over what they predicted.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "coordinator/decide/class_axis.hpp"
#include "images/npy_reader.hpp"
#include "tests/common/error_of.hpp"
#include "tests/coordinator/decide/naive_rules.hpp"
#include "tests/images/array_files.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

constexpr const char* kSpreadMasks =
    "members:\n"
    "  - {name: a, model: {kind: fake, classes: 3, per_class: [2, 5]}}\n"
    "  - {name: b, model: {kind: fake, classes: 3, per_class: [2, 5]}}\n"
    "combine: {spread: true}\n"
    "input: {dataset: random, count: 40, shape: [2, 3, 3], seed: 3}\n"
    "segment_images: 8\nsave_members: true\n";

std::vector<float> spread_floats(const Workplace& place, const std::string& file) {
  const images::NpyReader reader(place / file, images::NpyType::float32);
  std::vector<float> values(reader.rows() * reader.width());
  reader.read(0, values);
  return values;
}

Dims spread_sizes(const Workplace& place, const std::string& file) {
  return images::NpyReader(place / file, images::NpyType::float32).row_shape();
}

TEST_CASE("a run writes the entropy of the members at each place of its masks") {
  const Workplace place(kSpreadMasks);
  const Finished run(place, {"run", "e.yaml", "-q", "output=r"});
  CAPTURE(run.err());
  REQUIRE(run.code == 0);
  CHECK(spread_sizes(place, "r/spread.npy") == Dims{2, 5});
  const Rows members{spread_floats(place, "r/members/a.npy"), spread_floats(place, "r/members/b.npy")};
  const std::vector<float> found = spread_floats(place, "r/spread.npy");
  const std::vector<float> wanted = entropies_naively(members, 40, ClassAxis{1, 3, 10});
  REQUIRE(found.size() == wanted.size());
  for (std::size_t i = 0; i < found.size(); ++i) REQUIRE(found[i] == doctest::Approx(wanted[i]).epsilon(1e-6));
  const json::value report = place.report("r");
  const json::value& spread = report.at("ensemble").at("spread");
  CHECK(spread.at("kind") == "entropy");
  CHECK(spread.at("shape") == json::value{2, 5});
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=r", "combine.spread=false"}).code == 0);
  CHECK_FALSE(place.has("r/spread.npy"));
  CHECK(place.report("r").at("ensemble").at("spread").is_null());
}

TEST_CASE("a run over values writes the variance of each") {
  const Workplace place(kSpreadMasks);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=r", "combine.over=logits", "combine.rule=max"}).code == 0);
  CHECK(spread_sizes(place, "r/spread.npy") == Dims{3, 2, 5});
  CHECK(spread_floats(place, "r/spread.npy") ==
        variances_naively({spread_floats(place, "r/members/a.npy"), spread_floats(place, "r/members/b.npy")}));
  CHECK(place.report("r").at("ensemble").at("spread").at("kind") == "variance");
}

TEST_CASE("a run with a spread that was killed continues to the same bytes") {
  const Workplace place(kSpreadMasks);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=whole"}).code == 0);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=cut", "slots=1", "on_worker_failure=fail",
                           "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 3}]"})
              .code == 1);
  const Finished other(place, {"run", "e.yaml", "-q", "output=cut", "--resume", "combine.spread=false"});
  CHECK(other.code == 2);
  CHECK(contains(other.err(), "combine.spread: was true, now false"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=cut", "--resume", "on_worker_failure=fail"}).code == 0);
  CHECK(different_results(place, "cut", "whole").empty());
  CHECK(place.has("cut/spread.npy"));
}

TEST_CASE("a member that is left out does not count for the spread") {
  const Workplace place(kSpreadMasks);
  const Finished run(place,
                     {"run", "e.yaml", "-q", "output=r", "on_worker_failure=degrade", "restarts={limit: 0}", "slots=1",
                      "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 3}]", "combine.over=logits"});
  CHECK(run.code == 3);
  const std::vector<float> found = spread_floats(place, "r/spread.npy");
  REQUIRE(found.size() == 1200);
  CHECK(found.front() > 0);  // two members
  CHECK(found.back() == 0);  // one is left
}

TEST_CASE("the spread of tiles is blended like their predictions") {
  const Workplace place(
      "members:\n"
      "  - {name: a, model: {kind: fake, classes: 3, per_class: [6, 4]}}\n"
      "  - {name: b, model: {kind: fake, classes: 3, per_class: [6, 4]}}\n"
      "combine: {spread: true}\n"
      "input: {dataset: npy, images: big.npy, tiles: {size: [6, 4], overlap: 0, blend: mean}}\n"
      "segment_images: 5\nsave_members: true\n");
  std::vector<float> pixels(std::size_t{2} * 2 * 12 * 16);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = std::sin(static_cast<float>(i));
  write_array(place / "big.npy", "<f4", "(2, 2, 12, 16)", pixels);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=r"}).code == 0);
  CHECK(spread_sizes(place, "r/spread.npy") == Dims{12, 16});
  // Tiles without overlap: each place has the entropy of what is blended there.
  const Rows members{spread_floats(place, "r/members/a.npy"), spread_floats(place, "r/members/b.npy")};
  const std::vector<float> found = spread_floats(place, "r/spread.npy");
  const std::vector<float> wanted = entropies_naively(members, 2, ClassAxis{1, 3, 12 * 16});
  REQUIRE(found.size() == wanted.size());
  for (std::size_t i = 0; i < found.size(); ++i) REQUIRE(found[i] == doctest::Approx(wanted[i]).epsilon(1e-6));
  // Tiles that are known are blended with their spread, too.
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=cut", "slots=1", "on_worker_failure=fail",
                           "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 2}]"})
              .code == 1);
  CHECK(place.has("cut/tiles/spread.npy.unfinished"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=cut", "--resume", "on_worker_failure=fail"}).code == 0);
  CHECK(place.report("cut").at_pointer("/finished/resumed").as_int64() > 0);
  CHECK(different_results(place, "cut", "r").empty());
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=v", "combine.over=logits"}).code == 0);
  CHECK(spread_sizes(place, "v/spread.npy") == Dims{3, 12, 16});
}

TEST_CASE("a plan counts the spread of a segment and of the band of tiles") {
  const Workplace place(kSpreadMasks);
  const Finished plan(place, {"plan", "e.yaml"});
  CHECK(plan.code == 0);
  CHECK(contains(plan.out(), "spread of the members: 8 images x 30 values"));
  CHECK_FALSE(contains(Finished(place, {"plan", "e.yaml", "combine.spread=false"}).out(), "spread of"));
}

TEST_CASE("saved members and evaluations give the spread of the run") {
  const Workplace place(kSpreadMasks);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=r"}).code == 0);
  const Finished combined(place, {"combine", "r", "-q", "--rules", "vote,median", "-o", "c"});
  CAPTURE(combined.err());
  REQUIRE(combined.code == 0);
  CHECK(place.read("c/spread.npy") == place.read("r/spread.npy"));
  CHECK_FALSE(place.has("c/vote/spread.npy"));
  REQUIRE(Finished(place, {"combine", "r", "-q", "-o", "without", "combine.spread=false"}).code == 0);
  CHECK_FALSE(place.has("without/spread.npy"));
  const Workplace rows(kTwoFakes + "combine: {spread: true, over: logits}\n");
  REQUIRE(Finished(rows, {"run", "e.yaml", "-q", "output=r", "--rules", "mean,max"}).code == 0);
  REQUIRE(Finished(rows, {"evaluate", "e.yaml", "-q", "output=e"}).code == 0);
  CHECK(rows.read("e/spread.npy") == rows.read("r/spread.npy"));
}

TEST_CASE("segments without a member have no spread when they are combined again") {
  const Workplace place(kSpreadMasks);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=r", "on_worker_failure=degrade", "restarts={limit: 0}",
                           "slots=1", "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 3}]"})
              .code == 3);
  const Finished combined(place, {"combine", "r", "-q", "-o", "c"});
  CHECK(combined.code == 3);
  CHECK(place.read("c/spread.npy") == place.read("r/spread.npy"));
}

TEST_CASE("rule none has no spread") {
  const Workplace place(kSpreadMasks);
  const Finished run(place, {"run", "e.yaml", "combine.rule=none"});
  CHECK(run.code == 2);
  CHECK(contains(run.err(),
                 "e.yaml:4:19: 'spread' says how far apart the predictions are that are combined, and rule none "
                 "combines nothing; choose a rule such as mean"));
}

}  // namespace
}  // namespace tutti::test
