// The program over members whose models are graphs in files: their processes, their deaths, and what a user without the
// library reads. Compiled once for each kind: TUTTI_KIND, TUTTI_LIBRARY (its name), TUTTI_VARIABLE, TUTTI_PACKAGE (of
// pip, and its word for `backend`), TUTTI_FILE, TUTTI_NOT_SANITIZED (0 or 1).
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <cstdio>

#include "tests/common/error_of.hpp"
#include "tests/common/sanitized.hpp"
#include "tests/integration/programs.hpp"
#include "tests/support/census.hpp"
#include "tests/support/coalesced_rows.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

std::string file(const std::string& name) { return test::in_sources("tests/onnx/data/" + name + ".onnx"); }

std::string two_members(const std::string& more = {}) {
  return fmt::format(R"(
members:
  - {{name: a, model: {{kind: {0}, path: {1}}}}}
  - {{name: b, model: {{kind: {0}, path: {2}, output: minus}}}}
assignment: cpu
combine: {{rule: mean, over: logits}}
input: {{dataset: random, count: 60000, shape: [3, 2, 2], classes: 3}}
segment_images: 20
batch_images: 8
{3})",
                     TUTTI_KIND, file("dense"), file("two_outputs"), more);
}

/// With the library's variable set to `named`.
ProgramOptions with_library(const Workplace& place, const std::string& named) {
  ProgramOptions options = place.options();
  options.environment.emplace_back(TUTTI_VARIABLE, named);
  return options;
}

bool skipped(const Finished& run) {
  if (kSanitized && TUTTI_NOT_SANITIZED) {
    std::puts("SKIPPED: " TUTTI_LIBRARY " does not run in a program with a sanitizer");
    return true;
  }
  if (run.code != 1 || !contains(run.program.err(), "needs " TUTTI_LIBRARY ", which was not found")) return false;
  std::puts("SKIPPED: no " TUTTI_LIBRARY " was found");
  return true;
}

TEST_CASE("an ensemble predicts and its report names the library") {
  const Workplace place(two_members());
  const Finished run(place, {"run", "e.yaml"});
  if (skipped(run)) return;
  REQUIRE(run.code == 0);
  CHECK(contains(place.read("runs/0001/report.json"), "\"library\": \"" TUTTI_PACKAGE " "));
}

TEST_CASE("a member that is killed is replaced and no byte changes") {
  const Workplace place(two_members());
  const Finished whole(place, {"run", "e.yaml", "output=whole"});
  if (skipped(whole)) return;
  REQUIRE(whole.code == 0);
  Program struck(Workplace::command({"run", "e.yaml", "output=struck"}), place.options());
  std::vector<int> workers;
  REQUIRE(happens([&] {
    workers = children_of(struck.pid());
    return workers.size() == 2 && place.has("struck/journal");
  }));
  CHECK(::kill(workers[0], SIGKILL) == 0);
  CHECK(struck.code() == 0);
  CHECK(contains(struck.err(), "killed by SIGKILL"));
  CHECK(contains(struck.err(), "replacement started"));
  CHECK(different_results(place, "whole", "struck").empty());
}

TEST_CASE("a row of a shared segment is that of a whole batch for a file and for a network of Tutti") {
  std::string model;
  std::string over = "logits";
  ImageShape shape{3, 32, 32};
  SUBCASE("a file") {
    model = fmt::format("{{kind: {}, path: {}}}", TUTTI_KIND, file("network"));
    shape = {3, 2, 2};
  }
  SUBCASE("small-cnn") { model = "{kind: small-cnn, backend: " TUTTI_PACKAGE "}"; }
  SUBCASE("mlp") { model = "{kind: mlp, layers: [32, 10], backend: " TUTTI_PACKAGE "}"; }
  SUBCASE("clip-vit") {
    model = fmt::format("{{kind: clip-vit, path: \"{}/bare\", backend: {}}}",
                        test::in_sources("tests/torch/data/clip").string(), TUTTI_PACKAGE);
    over = "features";
  }
  CAPTURE(model);
  if (kSanitized && TUTTI_NOT_SANITIZED) {
    std::puts("SKIPPED: " TUTTI_LIBRARY " does not run in a program with a sanitizer");
    return;
  }
  try {
    check_rows_of_whole_batches(model, shape, over);
  } catch (const Error& error) {
    if (!contains(error.what(), "needs " TUTTI_LIBRARY ", which was not found")) throw;
    std::puts("SKIPPED: no " TUTTI_LIBRARY " was found");
  }
}

TEST_CASE("a model that draws random numbers is refused") {
  const Workplace place(fmt::format(R"(
members: [{{name: a, model: {{kind: {}, path: {}}}}}]
assignment: cpu
combine: {{rule: mean, over: logits}}
input: {{dataset: random, count: 8, shape: [3, 2, 2], classes: 3}}
)",
                                    TUTTI_KIND, file("random")));
  const Finished run(place, {"run", "e.yaml"});
  if (skipped(run)) return;
  CHECK(run.code == 2);
  CHECK(contains(run.program.err(), "gives other outputs when it predicts the same images again"));
}

TEST_CASE("of several files those that do not load or predict something else are refused") {
  const Workplace place(fmt::format(R"(
members: [{{name: a, model: {{kind: auto, files: [{}, {}, {}, {}]}}}}]
assignment: cpu
combine: {{rule: mean, over: logits}}
input: {{dataset: random, count: 40, shape: [3, 2, 2], classes: 3}}
batch_images: 8
)",
                                    file("dense"), file("softmax"), file("unknown_operator"), file("fixed")));
  const Finished run(place, {"run", "e.yaml", "--no-cache"});
  if (run.code == 2 && contains(run.program.err(), "a: no form of the model can be started")) {
    std::puts("SKIPPED: no library for ONNX models was found");
    return;
  }
  CAPTURE(run.program.err());
  REQUIRE(run.code == 0);
  std::string chosen;
  const json::value report = place.report();
  for (const json::value& form : report.at("members").at(0).at("forms").as_array()) {
    const std::string model = form.at("model").as_string().c_str();
    const std::string reason = form.at("reason").as_string().c_str();
    CAPTURE(model);
    if (reason.empty()) chosen = model;
    if (form.at("library").is_null() || contains(model, "unknown_operator")) {
      CHECK_FALSE(reason.empty());
      CHECK(form.at("images_per_second").as_double() == 0);
    } else if (contains(model, "softmax")) {
      CHECK(contains(reason, "its outputs differ from those of "));
    }
  }
  CHECK((contains(chosen, "dense.onnx") || contains(chosen, "fixed.onnx")));
  const Finished only(place,
                      {"run", "e.yaml", "--no-cache", "members.0.model.files=[" + file("unknown_operator") + "]"});
  CHECK(only.code == 2);
  CHECK(contains(only.program.err(), "a: no form of the model can be started"));
  CHECK(contains(only.program.err(), "onnx " + file("unknown_operator") + ": "));
  CHECK(contains(only.program.err(), "openvino " + file("unknown_operator") + ": "));
}

TEST_CASE("a plan that measures prints the form that was chosen as a file says it, and saves the description with it") {
  const Workplace place(fmt::format(R"(
members: [{{name: a, model: {{kind: auto, files: [{}, {}]}}}}]
assignment: cpu
combine: {{rule: mean, over: logits}}
input: {{dataset: random, count: 40, shape: [3, 2, 2], classes: 3}}
batch_images: 8
)",
                                    file("dense"), file("unknown_operator")));
  const Finished plan(place, {"plan", "e.yaml", "--measure", "--no-cache", "--save", "chosen.yaml"});
  if (plan.code == 2 && contains(plan.program.err(), "a: no form of the model can be started")) {
    std::puts("SKIPPED: no library for ONNX models was found");
    return;
  }
  CAPTURE(plan.program.err());
  REQUIRE(plan.code == 0);
  CHECK(contains(plan.out(), "\n  model:\n    kind: "));
  CHECK(contains(plan.out(), "\n    path: \"" + file("dense") + "\"\n"));
  CHECK(contains(plan.out(), "\nwritten, with these forms: chosen.yaml\n"));
  const std::string chosen = place.read("chosen.yaml");
  CHECK(contains(chosen, "path: \"" + file("dense") + "\""));
  CHECK_FALSE(contains(chosen, " files:"));
  CHECK_FALSE(contains(chosen, "unknown_operator"));
  CHECK(Finished(place, {"run", "chosen.yaml", "output=chosen"}).code == 0);
  const json::value report = parse_json(place.read("chosen/report.json"), "the report");
  CHECK(report.at("members").at(0).at("forms").as_array().empty());
  const Finished again(place, {"plan", "e.yaml", "--measure", "--save", "chosen.yaml"});
  CHECK(again.code == 2);
  CHECK(contains(again.program.err(), "chosen.yaml exists already"));
  CHECK_FALSE(contains(again.out(), "member"));  // before anything was started
}

TEST_CASE("a network of Tutti without the library says so with its backend") {
  const Workplace place(fmt::format(R"(
members: [{{name: a, model: {{kind: mlp, layers: [3], backend: {}}}}}]
assignment: cpu
combine: {{rule: mean, over: logits}}
input: {{dataset: random, count: 8, shape: [3, 2, 2], classes: 3}}
)",
                                    TUTTI_PACKAGE));
  const Finished run({"run", "e.yaml"}, with_library(place, (place / "nowhere.so").string()));
  CHECK(run.code == 1);
  CHECK(contains(run.program.err(),
                 "a on cpu failed while starting: cannot run a member of kind 'mlp' with "
                 "'backend: " TUTTI_PACKAGE "': cannot open the " TUTTI_LIBRARY " that "));
}

TEST_CASE("without the library the error says how to get it") {
  const Workplace place(two_members());
  const auto err = [&](const std::string& named) {
    const Finished run({"run", "e.yaml"}, with_library(place, named));
    CHECK(run.code != 0);
    return run.program.err();
  };
  const std::string absent = err((place / "nowhere.so").string());
  CHECK(contains(absent, "cannot open the " TUTTI_LIBRARY " that " TUTTI_VARIABLE " names"));
  CHECK(contains(absent, "pip install " TUTTI_PACKAGE));
  std::filesystem::create_directory(place / "empty");
  CHECK(contains(err((place / "empty").string()), "there is no " TUTTI_FILE " in '"));
  CHECK(contains(err("libz.so.1"), "is not " TUTTI_LIBRARY));
}

}  // namespace
}  // namespace tutti::test
