// The program over members of kind `onnx`: their processes, their deaths, and what a user without ONNX Runtime reads.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <cstdio>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"
#include "tests/support/census.hpp"

namespace tutti::test {
namespace {

std::string file(const std::string& name) { return std::string(TUTTI_ONNX_DATA) + "/" + name + ".onnx"; }

std::string two_members(const std::string& more = {}) {
  return fmt::format(R"(
members:
  - {{name: a, model: {{kind: onnx, path: {}}}}}
  - {{name: b, model: {{kind: onnx, path: {}, output: minus}}}}
assignment: cpu
combine: {{rule: mean, over: logits}}
input: {{dataset: random, count: 60000, shape: [3, 2, 2], classes: 3}}
segment_images: 20
batch_images: 8
{})",
                     file("dense"), file("two_outputs"), more);
}

/// With TUTTI_ONNXRUNTIME set to `named`.
ProgramOptions with_runtime(const Workplace& place, const std::string& named) {
  ProgramOptions options = place.options();
  options.environment.emplace_back("TUTTI_ONNXRUNTIME", named);
  return options;
}

bool skipped(const Finished& run) {
  if (run.code != 1 || !contains(run.program.err(), "needs ONNX Runtime, which was not found")) return false;
  std::puts("SKIPPED: no ONNX Runtime was found");
  return true;
}

TEST_CASE("an ensemble of ONNX members predicts and its report names the library") {
  const Workplace place(two_members());
  const Finished run(place, {"run", "e.yaml"});
  if (skipped(run)) return;
  REQUIRE(run.code == 0);
  CHECK(contains(place.read("runs/0001/report.json"), R"("library": "onnxruntime 1.)"));
}

TEST_CASE("an ONNX member that is killed is replaced and no byte changes") {
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
  CHECK(contains(struck.err(), "killed by SIGKILL; replacement started"));
  CHECK(different_results(place, "whole", "struck").empty());
}

TEST_CASE("an ONNX model that draws random numbers is refused") {
  const Workplace place(fmt::format(R"(
members: [{{name: a, model: {{kind: onnx, path: {}}}}}]
assignment: cpu
combine: {{rule: mean, over: logits}}
input: {{dataset: random, count: 8, shape: [3, 2, 2], classes: 3}}
)",
                                    file("random")));
  const Finished run(place, {"run", "e.yaml"});
  if (skipped(run)) return;
  CHECK(run.code == 2);
  CHECK(contains(run.program.err(), "gives other outputs when it predicts the same images again"));
}

TEST_CASE("without ONNX Runtime the error says how to get it") {
  const Workplace place(two_members());
  const auto err = [&](const std::string& named) {
    const Finished run({"run", "e.yaml"}, with_runtime(place, named));
    CHECK(run.code != 0);
    return run.program.err();
  };
  const std::string absent = err((place / "nowhere.so").string());
  CHECK(contains(absent, "cannot open the ONNX Runtime that TUTTI_ONNXRUNTIME names"));
  CHECK(contains(absent, "pip install onnxruntime"));
  std::filesystem::create_directory(place / "empty");
  CHECK(contains(err((place / "empty").string()), "there is no libonnxruntime.so in '"));
  CHECK(contains(err("libz.so.1"), "is not ONNX Runtime"));
}

}  // namespace
}  // namespace tutti::test
