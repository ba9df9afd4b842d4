// The program with a cascade: what plan, run, evaluate and the report say of it, resuming, and what is refused.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "images/npy_reader.hpp"
#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

using Words = std::vector<std::string>;

/// c is asked where a and b are not sure.
const std::string kCascade = R"(
members:
  - {name: a, model: {kind: fake, classes: 4}}
  - {name: b, model: {kind: fake, classes: 4}}
  - {name: c, model: {kind: fake, classes: 4}}
assignment: cpu
cascade: {after: [a, b], when: {confidence_below: 0.29}, then: [c]}
input: {dataset: random, count: 230, shape: [1, 4, 4], classes: 4, seed: 3}
segment_images: 20
batch_images: 8
)";

TEST_CASE("a run with a cascade says in plan, summary and report who was asked for what") {
  const Workplace place(kCascade);
  const Finished plan(place, {"plan", "e.yaml"});
  CHECK(contains(plan.out(), "\nc is asked only for samples with a confidence below 0.29 after a, b\n"));
  const Finished run(place, {"run", "e.yaml", "output=here", "save_members=true"});
  CAPTURE(run.err());
  REQUIRE(run.code == 0);
  const json::value step = place.report("here").at("ensemble").at("cascade").at(0);
  const std::uint64_t images = step.at("images").to_number<std::uint64_t>();
  CHECK(images > 5);
  CHECK(images < 225);
  CHECK(step.at("of") == 230);
  CHECK(step.at("after") == json::array{"a", "b"});
  CHECK(step.at("then") == json::array{"c"});
  CHECK(step.at("when") == "confidence_below");
  CHECK(step.at("threshold") == 0.29);
  CHECK(step.at("saved_seconds").to_number<double>() >= 0);
  CHECK(contains(run.out(), fmt::format("cascade: c was asked for {} of 230 images", images)));
  CHECK(place.report("here").at("members").at(2).at("images") == images);
  CHECK(place.report("here").at("ensemble").at("incomplete") == json::array{});
}

TEST_CASE("a member of a cascade is scored on the images that it predicted") {
  const Workplace place(kCascade);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=here", "save_members=true"}).code == 0);
  images::NpyReader rows(place / "here/members/c.npy", images::NpyType::float32);
  images::NpyReader labels(place / "here/labels.npy", images::NpyType::int64);
  std::vector<float> values(230 * 4);
  rows.read(0, values);
  std::vector<std::int64_t> wanted(230);
  labels.read(0, wanted);
  std::size_t asked = 0;
  std::size_t right = 0;
  for (std::size_t i = 0; i < 230; ++i) {
    const auto row = values.begin() + static_cast<std::ptrdiff_t>(4 * i);
    if (*row != *row) continue;
    ++asked;
    right += std::max_element(row, row + 4) - row == wanted[i] ? 1 : 0;
  }
  const json::value member = place.report("here").at("members").at(2);
  CHECK(member.at("images") == asked);
  CHECK(member.at("accuracy").to_number<double>() ==
        doctest::Approx(static_cast<double>(right) / static_cast<double>(asked)));
}

TEST_CASE("a run with a cascade that was cut short resumes to the same bytes and not with another cascade") {
  const Workplace place(kCascade);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=whole"}).code == 0);
  const Finished cut(place, {"run", "e.yaml", "-q", "output=cut", "slots=1", "on_worker_failure=fail",
                             "members.2.model.faults=[{kind: kill, phase: predict, at_batch: 3}]"});
  REQUIRE(cut.code == 1);
  REQUIRE(place.has("cut/journal"));
  const Finished other(place, {"run", "e.yaml", "-q", "output=cut", "--resume", "cascade.when.confidence_below=0.3"});
  CHECK(other.code == 2);
  CHECK(contains(other.err(), "cascade"));
  const Finished resumed(place, {"run", "e.yaml", "-q", "output=cut", "--resume"});
  CAPTURE(resumed.err());
  CHECK(resumed.code == 0);
  CHECK(different_results(place, "cut", "whole") == Words{});
}

TEST_CASE("a sweep shows for each threshold what the cascade would pass on and how accurate it would be") {
  const Workplace place(kCascade);
  const Finished swept(place, {"evaluate", "e.yaml", "output=here", "--cascade-sweep", "--picture", "sweep.svg"});
  CAPTURE(swept.err());
  REQUIRE(swept.code == 0);
  CHECK(contains(swept.out(), "confidence_below"));
  CHECK(contains(swept.out(), "(in the description)"));
  CHECK(contains(place.read("sweep.svg"), "<polyline"));
  const json::value sweep = place.report("here").at("evaluation").at("cascade_sweep");
  CHECK(sweep.at("when") == "confidence_below");
  const json::array& rows = sweep.at("rows").as_array();
  CHECK(rows.front().at("share").to_number<double>() == 0);
  CHECK(rows.back().at("share").to_number<double>() == 1);
  double before = -1;
  for (const json::value& row : rows) {
    CHECK(row.at("share").to_number<double>() >= before);
    before = row.at("share").to_number<double>();
  }
  // The row of the description is what a run does.
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=run"}).code == 0);
  const json::value ensemble = place.report("run").at("ensemble");
  const auto described = std::ranges::find_if(rows, [](const json::value& row) { return row.at("described") == true; });
  REQUIRE(described != rows.end());
  CHECK(described->at("share").to_number<double>() ==
        doctest::Approx(ensemble.at("cascade").at(0).at("share").to_number<double>()));
  CHECK(described->at("accuracy").to_number<double>() == doctest::Approx(ensemble.at("accuracy").to_number<double>()));
  // Nobody passed on: the first two members. Everybody: all three.
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=all", "cascade=null"}).code == 0);
  CHECK(rows.back().at("accuracy").to_number<double>() ==
        doctest::Approx(place.report("all").at("ensemble").at("accuracy").to_number<double>()));
}

TEST_CASE("what a cascade does not go with is refused or said") {
  const Workplace place(kCascade);
  const Finished rules(place, {"run", "e.yaml", "--rules", "mean,vote"});
  CHECK(rules.code == 2);
  CHECK(contains(rules.err(), "--rules does not go with 'cascade'"));
  CHECK(contains(rules.err(), "cascade=null"));
  const Finished none(place, {"evaluate", "e.yaml", "--cascade-sweep", "cascade=null"});
  CHECK(none.code == 2);
  CHECK(contains(none.err(), "a cascade sweep is not possible: the description has no 'cascade'"));
  const Finished unlabelled(place, {"evaluate", "e.yaml", "--cascade-sweep", "input.classes=null"});
  CHECK(unlabelled.code == 2);
  CHECK(contains(unlabelled.err(), "the images of task 'random' have no labels"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=here", "save_members=true"}).code == 0);
  const Finished combined(place, {"combine", "here"});
  CHECK(combined.code == 2);
  CHECK(contains(combined.err(), "the members of a cascade did not predict every image"));
}

}  // namespace
}  // namespace tutti::test
