// Runs with members whose predictions were computed elsewhere: the same bytes as with the models that computed them.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <string>
#include <vector>

#include "images/npy_reader.hpp"
#include "tests/common/error_of.hpp"
#include "tests/images/array_files.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

using Words = std::vector<std::string>;

const std::string kSavedInput =
    "input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4, seed: 3}\nsegment_images: 20\n"
    "batch_images: 8\n";
const std::string kLiveMember = "{name: b, model: {kind: fake, classes: 4}, seed: 1}";

/// A run of two fake members in `live`, whose predictions are saved, and a description that takes the first from there.
struct SavedPlace : Workplace {
  SavedPlace() : Workplace(kTwoFakes) {
    REQUIRE(Finished(*this, {"run", "e.yaml", "-q", "output=live", "save_members=true"}).code == 0);
    write("s.yaml", "members:\n  - {name: a, model: {kind: saved, predictions: live/members/a.npy}}\n  - " +
                        kLiveMember + "\nassignment: cpu\n" + kSavedInput);
  }
  /// Runs `s.yaml` into `out`, and the live one with the same words into `wanted`: the same bytes are expected.
  void check_same(const Words& more) const {
    Words saved{"run", "s.yaml", "-q", "output=out"};
    Words live{"run", "e.yaml", "-q", "output=wanted"};
    saved.insert(saved.end(), more.begin(), more.end());
    live.insert(live.end(), more.begin(), more.end());
    const Finished run(*this, saved);
    CAPTURE(run.err());
    CHECK(run.code == 0);
    REQUIRE(Finished(*this, live).code == 0);
    CHECK(different_results(*this, "out", "wanted") == Words{});
  }
};

TEST_CASE("saved predictions are combined by every rule as those of the model that made them") {
  const SavedPlace place;
  for (const auto& rule : enum_names(CombineRule{})) {
    CAPTURE(rule.name);
    place.check_same({"combine.rule=" + std::string(rule.name), "save_members=true"});
  }
  place.check_same({"--rules", "mean,vote", "combine.spread=true"});
  const json::value report = place.report("out");
  CHECK(report.at("members").at(0).at("kind") == "saved");
  CHECK(report.at("members").at(0).at("parameters") == 0);
  CHECK(report.at("members").at(0).at("accuracy") == place.report("wanted").at("members").at(0).at("accuracy"));
}

TEST_CASE("rows belong to the numbers of the samples whatever is left out and however they are cut") {
  const SavedPlace place;
  for (const Words& part : {Words{"input.skip=7"}, Words{"input.limit=21"}, Words{"input.skip=7", "input.limit=30"},
                            Words{"input.skip=13", "segment_images=5", "batch_images=2"}})
    place.check_same(part);
}

TEST_CASE("rows may be those of the samples that are used and of no others") {
  const SavedPlace place;
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=live", "save_members=true", "input.skip=7", "input.limit=30"})
              .code == 0);
  place.check_same({"input.skip=7", "input.limit=30"});
  const Finished other(place, {"run", "s.yaml", "-q", "output=out", "input.skip=7", "input.limit=29"});
  CHECK(other.code == 2);
  CHECK(contains(other.err(), "s.yaml:2:"));
  CHECK(contains(other.err(), "live/members/a.npy has 30 rows, and the input has 50 samples"));
}

TEST_CASE("a run with saved predictions resumes to the same bytes and not with another file") {
  const SavedPlace place;
  const Words part{"input.skip=7", "save_members=true"};
  const auto run = [&](Words words) {
    words.insert(words.end(), part.begin(), part.end());
    return Finished(place, words);
  };
  REQUIRE(run({"run", "s.yaml", "-q", "output=whole"}).code == 0);
  const auto cut = [&] {
    return run({"run", "s.yaml", "-q", "output=cut", "slots=1", "on_worker_failure=fail",
                "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 4}]"})
        .code;
  };
  REQUIRE(cut() == 1);
  REQUIRE(place.has("cut/journal"));
  REQUIRE(run({"run", "s.yaml", "-q", "output=cut", "--resume", "on_worker_failure=fail"}).code == 0);
  CHECK(place.report("cut").at_pointer("/finished/resumed").as_int64() > 0);
  CHECK(different_results(place, "cut", "whole") == Words{});
  REQUIRE(cut() == 1);
  // The same values in another order: only the content tells.
  images::NpyReader reader(place / "live/members/a.npy", images::NpyType::float32);
  std::vector<float> rows(200);
  reader.read(0, rows);
  std::rotate(rows.begin(), rows.begin() + 4, rows.end());
  write_array(place / "live/members/a.npy", "<f4", "(50, 4)", rows);
  const Finished changed = run({"run", "s.yaml", "-q", "output=cut", "--resume", "on_worker_failure=fail"});
  CHECK(changed.code == 2);
  CHECK(contains(changed.err(), "model of a: was "));
}

TEST_CASE("the death of the worker of saved predictions changes no byte") {
  const SavedPlace place;
  Program program(Workplace::command({"run", "s.yaml", "output=out", "members.1.model.delay_ms=40"}), place.options());
  REQUIRE_FALSE(program.wait_for_line("predict ").empty());
  const std::vector<int> workers = children_of(program.pid());
  for (const int worker : workers) ::kill(worker, SIGKILL);
  REQUIRE(program.code() == 0);
  CHECK(place.report("out").at_pointer("/faults/deaths").as_int64() >= 1);
  CHECK(different_results(place, "out", "live") == Words{"labels.npy", "members/a.npy", "members/b.npy"});
}

TEST_CASE("members may all be saved and files of every float type take part") {
  const SavedPlace place;
  std::vector<float> rows(200);
  images::NpyReader(place / "live/members/b.npy", images::NpyType::float32).read(0, rows);
  write_array(place / "b.npy", "<f8", "(50, 4)", std::vector<double>(rows.begin(), rows.end()));
  place.write("s.yaml",
              "members:\n  - {name: a, model: {kind: saved, predictions: live/members/a.npy}}\n"
              "  - {name: b, model: {kind: saved, predictions: b.npy}}\nassignment: cpu\n" +
                  kSavedInput);
  place.check_same({});
  place.check_same({"batch_images=auto"});
  const Finished run(place, {"run", "s.yaml", "output=out"});
  CHECK(contains(run.err(), "b.npy holds float64, which becomes float32"));
}

TEST_CASE("a plan names what saved predictions are and what is wrong with them") {
  const SavedPlace place;
  const Finished plan(place, {"plan", "s.yaml"});
  CAPTURE(plan.err());
  CHECK(plan.code == 0);
  CHECK(contains(plan.out(), "predictions of a: 50 rows of 4 (float32) in live/members/a.npy"));
  CHECK_FALSE(contains(plan.out(), "model of a"));
  const Finished missing(place, {"plan", "s.yaml", "members.0.model.predictions=nothing.npy"});
  CHECK(missing.code == 2);
  CHECK(contains(missing.out(), "missing  a: there is no readable file 'nothing.npy'"));
  const Finished wrong(place, {"plan", "s.yaml", "input.count=40"});
  CHECK(wrong.code == 2);
  CHECK(contains(wrong.err(), "s.yaml:2:49: member 'a': live/members/a.npy has 50 rows, and the input has 40 samples"));
  std::vector<float> rows(200, 0.5F);
  write_array(place / "live/members/a.npy", "<f4", "(50, 4)", rows);
  for (const char* command : {"plan", "run", "evaluate"}) {
    const Finished no_shares(place, {command, "s.yaml"});
    CHECK(no_shares.code == 2);
    CHECK(contains(no_shares.err(),
                   "s.yaml:2:49: member 'a': live/members/a.npy holds no probabilities of classes: they do not sum to "
                   "1"));
  }
}

TEST_CASE("saved predictions are evaluated over the input and not over tasks and are not trained") {
  const SavedPlace place;
  const Finished evaluated(place, {"evaluate", "s.yaml", "-q", "output=e"});
  CAPTURE(evaluated.err());
  CHECK(evaluated.code == 0);
  REQUIRE(Finished(place, {"evaluate", "e.yaml", "-q", "output=live_e"}).code == 0);
  CHECK(different_results(place, "e", "live_e") == Words{});
  const Finished tasks(place, {"evaluate", "s.yaml",
                               "tasks=[{name: t, input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4}}]"});
  CHECK(tasks.code == 2);
  CHECK(
      contains(tasks.err(), "s.yaml:2:49: member 'a' has saved predictions, and each of the 'tasks' has other images"));
  CHECK(contains(tasks.err(), "leave 'tasks' out to evaluate over 'input', or leave the member out"));
  const Finished trained(place, {"train", "s.yaml"});
  CHECK(trained.code == 2);
  CHECK(contains(trained.err(), "a (saved)"));
}

}  // namespace
}  // namespace tutti::test
