// --trace of the program tutti.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"
#include "tests/support/trace_file.hpp"

namespace tutti::test {
namespace {

bool is_stopped(int process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  const std::string line{std::istreambuf_iterator<char>(file), {}};
  return contains(line, ") T ");
}

TEST_CASE("a traced run gives the same bytes and one without it writes no trace") {
  const Workplace place;
  CHECK(Finished(place, {"run", "e.yaml", "output=plain"}).code == 0);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(place / "")) ++files;
  CHECK(files == 2);  // the description and the results
  const Finished run(place, {"run", "e.yaml", "output=traced", "--trace", "trace.json"});
  CHECK(run.code == 0);
  CHECK(contains(run.err(), "trace.json; ui.perfetto.dev shows it"));
  CHECK(different_results(place, "plain", "traced").empty());
  const TraceFile trace(place / "trace.json");
  trace.check_tracks();
  for (const char* member : {"a", "b"}) CHECK(trace.events("infer", trace.pid_of(member)).size() == 3);
  CHECK(trace.events("sink").size() == 3);
}

TEST_CASE("a traced training shows the training and the prediction after it") {
  const Workplace place;
  const Finished train(place, {"train", "e.yaml", "--trace", "trace.json"});
  CHECK(train.code == 0);
  const TraceFile trace(place / "trace.json");
  trace.check_tracks();
  for (const char* kind : {"train", "infer"}) CHECK(trace.events(kind, trace.pid_of("b")).size() >= 3);
}

TEST_CASE("a run that is interrupted leaves its trace") {
  const Workplace place(R"(
members:
  - {name: a, model: {kind: fake, classes: 4}}
  - {name: b, model: {kind: fake, classes: 4, faults: [{kind: stop, phase: predict, at_batch: 0}]}}
assignment: cpu
input: {dataset: random, count: 5000, shape: [1, 4, 4], classes: 4}
segment_images: 20
progress_deadline_s: off
drain_deadline_s: 0.05
)");
  Program program(Workplace::command({"run", "e.yaml", "--trace", "trace.json"}), place.options());
  // With nothing in flight there would be nothing to interrupt.
  REQUIRE(happens(
      [&] { return std::ranges::any_of(children_of(program.pid()), [](int worker) { return is_stopped(worker); }); }));
  program.signal(SIGINT);
  CHECK(program.code() == 128 + SIGINT);
  const TraceFile trace(place / "trace.json");
  trace.check_tracks();
  CHECK(trace.events("interrupted").size() == 1);
}

TEST_CASE("a trace that cannot be written ends the program before anything is started") {
  const Workplace place;
  const Finished run(place, {"run", "e.yaml", "--trace", "none/trace.json"});
  CHECK(run.code == 2);
  CHECK(contains(run.err(), "tutti: cannot write a trace to none/trace.json\n  detail: there is no folder none\n"));
  CHECK_FALSE(place.has("runs"));
  CHECK(Finished(place, {"run", "e.yaml", "--dry-run", "--trace", "trace.json"}).code == 2);
  CHECK(Finished(place, {"plan", "e.yaml", "--trace", "trace.json"}).code == 2);
}

}  // namespace
}  // namespace tutti::test
