// The trace of an ensemble: what each process did with which segment, and when; and what happened to workers that died.
#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>

#include "common/random.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"
#include "tests/support/trace_file.hpp"

namespace tutti::test {
namespace {

Options traced(const std::filesystem::path& file) {
  Options options = with_worker();
  options.trace = file;
  return options;
}

/// The one event of this name with this segment.
TraceEvent only(const TraceFile& trace, const std::string& name, std::uint64_t segment, int pid) {
  std::vector<TraceEvent> found = trace.events(name, pid);
  std::erase_if(found, [&](const TraceEvent& event) { return event.segment() != segment; });
  REQUIRE(found.size() == 1);
  return found.front();
}

TEST_CASE("every segment is filled and then computed by every member and then combined and then written") {
  const NothingLeft census;
  const TemporaryFolder folder;
  const auto images = random_images(80);
  const auto spec = fake_spec(3);
  {
    Ensemble ensemble(published(spec), traced(folder / "trace.json"));
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  }
  const TraceFile trace(folder / "trace.json");
  trace.check_tracks();
  CHECK(trace.about().at("dropped_events") == 0);
  const int self = trace.pid_of("coordinator");
  CHECK(self == ::getpid());
  CHECK(trace.events("fill").size() == 10);
  for (std::uint64_t segment = 0; segment < 10; ++segment) {
    CAPTURE(segment);
    const TraceEvent fill = only(trace, "fill", segment, self);
    const TraceEvent combine = only(trace, "combine", segment, self);
    CHECK(only(trace, "sink", segment, self).begin == combine.end);
    for (const char* member : {"m0", "m1", "m2"}) {
      const TraceEvent infer = only(trace, "infer", segment, trace.pid_of(member));
      CHECK(infer.number("images") == 8);
      CHECK(infer.begin - infer.number("queued_us") >= fill.end);
      CHECK(infer.end + infer.number("noticed_us") <= combine.begin);
    }
  }
  for (const char* member : {"m0", "m1", "m2"}) {
    const int pid = trace.pid_of(member);
    CHECK(trace.order().at(pid) == member[1] - '0' + 1);
    CHECK(trace.events("infer", pid).size() == 10);
    CHECK(trace.events("start", pid).size() == 1);
    const auto depths = trace.events("in flight", pid);
    for (const TraceEvent& depth : depths) CHECK(depth.number("segments") <= 2);  // as many as slots
    CHECK(depths.back().number("segments") == 0);
  }
}

TEST_CASE("computing takes as long as the model needs and waiting fills the rest") {
  const TemporaryFolder folder;
  auto spec = fake_spec(2);
  fake_model(spec, 0).delay_us = 3000;
  {
    Ensemble ensemble(published(spec), traced(folder / "trace.json"));
    ensemble.predict(view(random_images(80)));
  }
  const TraceFile trace(folder / "trace.json");
  for (const TraceEvent& infer : trace.events("infer", trace.pid_of("m0"))) CHECK(infer.end - infer.begin >= 9000);
  CHECK_FALSE(trace.events("wait", trace.pid_of("m1")).empty());
}

TEST_CASE("a worker that was killed and its replacement are two processes in the trace") {
  const NothingLeft census;
  const TemporaryFolder folder;
  const auto images = random_images(32);
  auto spec = fake_spec(2);
  fake_model(spec, 1).faults = {{FaultKind::kill, FaultPhase::predict, 7}};
  spec.failure.back_off = 0.001;
  const Lines lines;
  {
    Ensemble ensemble(published(spec), traced(folder / "trace.json"));
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  }
  const TraceFile trace(folder / "trace.json");
  trace.check_tracks();
  const int first = trace.pid_of("m1");
  const int second = trace.pid_of("m1 (replacement 1)");
  REQUIRE(first != 0);
  REQUIRE(second != 0);
  CHECK(first != second);
  const auto ends = trace.events("was killed by SIGKILL", first);
  REQUIRE(ends.size() == 1);
  CHECK(ends.front().number("unanswered") >= 1);
  REQUIRE_FALSE(trace.events("start", second).empty());
  CHECK(trace.events("start", second).front().begin >= ends.front().begin);
  CHECK(trace.events("infer", first).size() == 2);
  CHECK(trace.events("infer", second).size() == 2);
  for (const TraceEvent& infer : trace.events("infer", first)) CHECK(infer.end <= ends.front().begin);
  REQUIRE_FALSE(lines.with("m1 on cpu died").empty());
  CHECK(trace.events(lines.with("m1 on cpu died").front()).size() == 1);
}

TEST_CASE("a training is traced with all its epochs") {
  const TemporaryFolder folder;
  auto spec = fake_spec(2);
  for (auto& member : spec.members) {
    member.train.epochs = 2;
    member.train.batch_images = 3;
  }
  Options options = traced(folder / "trace.json");
  options.training = true;
  {
    Ensemble ensemble(published(spec), options);
    ListSource source(random_images(40), std::vector<std::int64_t>(40, 1));
    ensemble.train(source, folder.path());
  }
  const TraceFile trace(folder / "trace.json");
  trace.check_tracks();
  CHECK(trace.events("fill").size() == 10);
  CHECK(trace.events("infer").empty());
  for (const char* member : {"m0", "m1"})
    for (std::uint64_t segment = 0; segment < 10; ++segment) only(trace, "train", segment, trace.pid_of(member));
}

TEST_CASE("a pool that fails leaves a trace that says why") {
  const NothingLeft census;
  const TemporaryFolder folder;
  auto spec = failing_at_once(2);
  fake_model(spec, 1).faults = {{FaultKind::exit, FaultPhase::predict, 7}};
  std::string message;
  {
    Ensemble ensemble(published(spec), traced(folder / "trace.json"));
    message = message_of([&] { ensemble.predict(view(random_images(80))); });
  }
  const TraceFile trace(folder / "trace.json");
  trace.check_tracks();
  CHECK(trace.events(message).size() == 1);
  CHECK(trace.events("exited with code 7", trace.pid_of("m1")).size() == 1);
}

TEST_CASE("an ensemble that does not start leaves a trace of the attempt") {
  const NothingLeft census;
  const TemporaryFolder folder;
  auto spec = failing_at_once(2);
  fake_model(spec, 1).faults = {{FaultKind::exception, FaultPhase::load, 0}};
  const auto error = start_error(spec, traced(folder / "trace.json"));
  REQUIRE(error);
  const TraceFile trace(folder / "trace.json");
  CHECK(trace.events(error->message()).size() == 1);
  CHECK(trace.pid_of("m1") != 0);
}

TEST_CASE("a trace that cannot be written is refused before a worker is started") {
  const NothingLeft census;
  const TemporaryFolder folder;
  auto spec = fake_spec(2);
  fake_model(spec, 1).faults = {{FaultKind::exception, FaultPhase::load, 0}};  // starting it would report that
  const auto error = start_error(spec, traced(folder / "none/trace.json"));
  REQUIRE(error);
  CHECK(error->message() == "cannot write a trace to " + (folder / "none/trace.json").string());
  CHECK(contains(error->hint(), "create the folder"));
}

TEST_CASE("a plan that cannot be made leaves the trace of an earlier run alone") {
  const TemporaryFolder folder;
  std::ofstream(folder / "trace.json") << "of yesterday";
  auto spec = fake_spec(2);
  spec.slots = 100'000;
  spec.segment_images = 1'000'000'000;
  REQUIRE(start_error(spec, traced(folder / "trace.json")));
  CHECK(read_text(folder / "trace.json", "it") == "of yesterday");
}

}  // namespace
}  // namespace tutti::test
