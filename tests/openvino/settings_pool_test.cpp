// The program over members of OpenVINO with settings of their own: what the report says, and who shares a cache.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "tests/common/error_of.hpp"
#include "tests/common/sanitized.hpp"
#include "tests/integration/programs.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;

std::string members_with(const std::string& settings) {
  return fmt::format(R"(
members:
  - {{name: a, model: {{kind: openvino, path: {0}{1}}}}}
  - {{name: b, model: {{kind: openvino, path: {0}{1}}}}}
assignment: cpu
combine: {{rule: mean, over: logits}}
input: {{dataset: random, count: 40, shape: [3, 2, 2], classes: 3}}
segment_images: 20
batch_images: 8
)",
                     test::in_sources("tests/onnx/data/network.onnx").string(), settings);
}

/// Whether OpenVINO, or the precision, is not to be had here; says so.
bool unusable(const Finished& run) {
  if (kSanitized) {
    std::puts("SKIPPED: OpenVINO does not run in a program with a sanitizer");
    return true;
  }
  if (run.code == 1 && contains(run.program.err(), "needs OpenVINO, which was not found")) {
    std::puts("SKIPPED: no OpenVINO was found");
    return true;
  }
  if (run.code != 2 || !contains(run.program.err(), "on this processor")) return false;
  std::puts("SKIPPED: the processor lacks this precision");
  return true;
}

TEST_CASE("the log and the report say how far another precision is from float32") {
  const Workplace place(members_with(", precision: bf16"));
  const Finished run(place, {"run", "e.yaml"});
  if (unusable(run)) return;
  REQUIRE(run.code == 0);
  CHECK(contains(run.program.err(),
                 "a on cpu: in bf16, its outputs for made-up samples differ from those in f32 by at most "));
  const json::value report = place.report();
  const std::string note = report.at("members").at(0).at("note").as_string().c_str();
  CHECK(contains(note, "in bf16, its outputs "));
  // Its model is the same, and so are the made-up samples.
  CHECK(report.at("members").at(1).at("note").as_string() == note.c_str());
}

TEST_CASE("a precision that the processor lacks is an error that names what it would be") {
  const Workplace place(members_with(", precision: f16"));
  ProgramOptions options = place.options();
  options.environment.emplace_back("ONEDNN_MAX_CPU_ISA", "AVX512_CORE");
  Program run(Workplace::command({"run", "e.yaml"}), options);
  const int code = run.code();
  const std::string said = run.err();
  if (kSanitized || contains(said, "needs OpenVINO, which was not found")) {
    std::puts("SKIPPED: no OpenVINO was found");
    return;
  }
  CAPTURE(said);
  CHECK(code == 2);
  CHECK(contains(said, "in f16 on this processor"));
  CHECK(contains(said, "it would compute in "));
  CHECK(contains(said, "leave 'precision' out"));
}

TEST_CASE("two workers that keep the same model at the same time predict the same bytes") {
  const Workplace place(members_with(""));
  const Finished plain(place, {"run", "e.yaml", "output=plain"});
  if (unusable(plain)) return;
  REQUIRE(plain.code == 0);
  for (const char* const output : {"first", "second"}) {
    const Finished cached(place, {"run", "e.yaml", std::string("output=") + output, "members.0.model.cache=cache",
                                  "members.1.model.cache=cache"});
    CHECK(cached.code == 0);
    CHECK_FALSE(contains(cached.program.err(), "compiled model"));
    CHECK(different_results(place, "plain", output).empty());
  }
  int files = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(place / "cache")) files += entry.is_regular_file();
  CHECK(files == 1);
}

}  // namespace
}  // namespace tutti::test
