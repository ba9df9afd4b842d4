// What the recorder writes, with times and processes that the test chooses.
#include "coordinator/observe/trace.hpp"

#include <doctest/doctest.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <limits>
#include <optional>
#include <thread>

#include "common/build_id.hpp"
#include "common/log.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/trace_file.hpp"

namespace tutti::test {
namespace {

using Time = TraceRecorder::Time;
constexpr int kPid = 1000;
constexpr std::uint64_t kNonsense = std::numeric_limits<std::uint64_t>::max();

Time at(std::int64_t microseconds) { return Time{} + std::chrono::hours(1) + std::chrono::microseconds(microseconds); }
std::uint64_t stamp(std::int64_t microseconds) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(at(microseconds).time_since_epoch()).count());
}

/// A recorder of two members, the first of which has a process that has been free since 10 us.
struct Rig {
  explicit Rig(std::size_t limit = TraceRecorder::kMaxEvents) {
    recorder.emplace(folder / "trace.json", std::vector<std::string>{"a", "b"}, at(0), limit);
    recorder->chosen(kPid, {0}, 0, at(5));
    recorder->begun(kPid, at(10));
  }
  void hand_out(std::uint64_t sequence, std::int64_t when, TaskKind kind = TaskKind::predict) {
    recorder->handed_out(kPid, {Sequence(sequence), SegmentId(70 + sequence), 0, 0, 8, kind}, at(when));
  }
  void answer(std::uint64_t sequence, std::int64_t when, std::uint64_t begun, std::uint64_t computed,
              std::uint64_t written) {
    CompletionRecord record{Sequence(sequence), SegmentId(70 + sequence), 0, 0, 8};
    record.begun_nanoseconds = begun;
    record.computed_nanoseconds = computed;
    record.written_nanoseconds = written;
    recorder->answered(kPid, record, at(when));
  }
  TraceFile end() {
    recorder.reset();
    return TraceFile(folder / "trace.json");
  }
  TemporaryFolder folder;
  std::optional<TraceRecorder> recorder;
};

TEST_CASE("a task gives a slice of waiting and one of computing and one of writing") {
  Rig rig;
  rig.hand_out(0, 20);
  rig.answer(0, 90, stamp(30), stamp(70), stamp(80));
  const TraceFile trace = rig.end();
  trace.check_tracks();
  CHECK(trace.names().at(kPid) == "a");
  CHECK(trace.names().at(::getpid()) == "coordinator");
  CHECK(trace.order().at(kPid) == 1);
  CHECK(trace.order().at(::getpid()) == 0);
  const auto check = [&](const char* name, double begin, double end) {
    CAPTURE(name);
    const auto slices = trace.events(name);
    REQUIRE(slices.size() == 1);
    CHECK(slices[0].phase == "X");
    CHECK(slices[0].pid == kPid);
    CHECK(slices[0].begin == begin);
    CHECK(slices[0].end == end);
  };
  check("start", 5, 10);
  check("wait", 10, 30);
  check("infer", 30, 70);
  check("write", 70, 80);
  const TraceEvent infer = trace.events("infer").front();
  CHECK(infer.segment() == 70);
  CHECK(infer.number("images") == 8);
  CHECK(infer.number("queued_us") == 10);
  CHECK(infer.number("noticed_us") == 10);
  CHECK(trace.about().at("tutti") == version());
  CHECK(trace.about().at("dropped_events") == 0);
}

TEST_CASE("a training task is labelled as training") {
  Rig rig;
  rig.hand_out(0, 20, TaskKind::train);
  rig.answer(0, 90, stamp(30), stamp(70), stamp(80));
  const TraceFile trace = rig.end();
  CHECK(trace.events("train").size() == 1);
  CHECK(trace.events("infer").empty());
}

TEST_CASE("what is in flight at a worker is counted up and down") {
  Rig rig;
  rig.hand_out(0, 20);
  rig.hand_out(1, 21);
  rig.answer(0, 90, stamp(30), stamp(70), stamp(80));
  rig.recorder->ended(kPid, "killed by SIGKILL", at(95));
  const TraceFile trace = rig.end();
  std::vector<double> counts;
  for (const TraceEvent& event : trace.events("in flight", kPid)) {
    CHECK(event.phase == "C");
    counts.push_back(event.number("segments"));
  }
  CHECK(counts == std::vector<double>{0, 1, 2, 1, 0});
  REQUIRE(trace.events("killed by SIGKILL").size() == 1);
  CHECK(trace.events("killed by SIGKILL").front().number("unanswered") == 1);
}

TEST_CASE("impossible times are clamped between hand-out and arrival") {
  const std::vector<std::vector<std::uint64_t>> all{{0, 0, 0},
                                                    {kNonsense, kNonsense, kNonsense},
                                                    {kNonsense, 0, stamp(60)},
                                                    {stamp(60), stamp(50), stamp(40)},
                                                    {stamp(2), stamp(500), stamp(400)},
                                                    {1, kNonsense, 1}};
  for (const auto& times : all) {
    CAPTURE(times[0]);
    CAPTURE(times[1]);
    Rig rig;
    rig.hand_out(0, 20);
    rig.hand_out(1, 20);
    rig.answer(0, 45, stamp(30), stamp(35), stamp(40));
    rig.answer(1, 90, times[0], times[1], times[2]);
    const TraceFile trace = rig.end();
    trace.check_tracks();
    const auto slices = trace.events("infer");
    REQUIRE(slices.size() == 2);
    CHECK(slices[0].begin == 30);
    CHECK(slices[1].begin >= 40);  // handed out at 20, but its worker was busy until then
    CHECK(slices[1].end <= 90);
    CHECK(slices[1].number("queued_us") >= 20);
    CHECK(slices[1].number("queued_us") <= 70);
    CHECK(slices[1].number("noticed_us") <= 50);
  }
}

TEST_CASE("times between two eighths of a microsecond do not make slices overlap") {
  Rig rig;
  std::uint64_t now = stamp(20) + 1;
  for (std::uint64_t sequence = 0; sequence < 300; ++sequence) {
    rig.hand_out(sequence, 20);
    rig.answer(sequence, 100'000, now, now + 61 + sequence, now + 130 + 2 * sequence);
    now += 130 + 2 * sequence + sequence % 3;
  }
  rig.end().check_tracks();
}

TEST_CASE("unknown processes and unexpected answers give no event") {
  Rig rig;
  rig.recorder->begun(7, at(20));
  rig.recorder->handed_out(7, {}, at(20));
  rig.recorder->answered(7, {}, at(20));
  rig.recorder->ended(7, "exited with code 0", at(20));
  rig.answer(5, 30, stamp(20), stamp(20), stamp(20));
  const TraceFile trace = rig.end();
  CHECK(trace.pid_of("a") == kPid);
  CHECK_FALSE(trace.names().contains(7));
  CHECK(trace.events("infer").empty());
  CHECK(trace.instants().empty());
}

TEST_CASE("a segment is known by its number from its filling to its sink") {
  Rig rig;
  using Deed = TraceRecorder::Deed;
  rig.recorder->did(Deed::fill, 1, 8, at(20), at(25));
  rig.recorder->opened(1, 42);
  std::thread driver([&] {
    ::pthread_setname_np(::pthread_self(), "a driver");
    rig.recorder->did(Deed::combine, 1, 8, at(30), at(31));
    rig.recorder->did(Deed::sink, 1, 8, at(31), at(40));
  });
  driver.join();
  rig.recorder->did(Deed::fill, 1, 3, at(50), at(55));
  rig.recorder->opened(1, 43);
  rig.recorder->did(Deed::fill, 0, 3, at(60), at(65));  // the pool ended before it was opened
  const TraceFile trace = rig.end();
  trace.check_tracks();
  const auto fills = trace.events("fill", ::getpid());
  REQUIRE(fills.size() == 2);
  CHECK(fills[0].segment() == 42);
  CHECK(fills[0].end == 25);
  CHECK(fills[1].segment() == 43);
  CHECK(fills[1].number("images") == 3);
  for (const char* name : {"combine", "sink"}) {
    REQUIRE(trace.events(name).size() == 1);
    CHECK(trace.events(name).front().segment() == 42);
    CHECK(trace.threads().at(trace.events(name).front().tid) == "a driver");
  }
}

TEST_CASE("a line with quotes and ends of lines is an instant with the same text") {
  Rig rig;
  const std::string line = "m1 \"died\"\n\tof \\ it\x01";
  rig.recorder->said(line, at(20));
  CHECK(rig.end().instants() == std::vector<std::string>{line});
}

TEST_CASE("a replacement has a separate track and its own name") {
  Rig rig;
  rig.recorder->ended(kPid, "killed by SIGKILL", at(20));
  rig.recorder->chosen(kPid + 1, {0}, 1, at(21));
  const TraceFile trace = rig.end();
  CHECK(trace.pid_of("a") == kPid);
  CHECK(trace.pid_of("a (replacement 1)") == kPid + 1);
  CHECK(trace.order().at(kPid + 1) == 1);
}

/// Collects log lines.
struct Logged {
  Logged() {
    log::set_output([this](log::Level level, std::string_view line) { lines.emplace_back(level, line); });
    log::set_level(log::Level::info);
  }
  ~Logged() {
    log::set_output({});
    log::set_level(log::Level::warning);
  }
  std::vector<std::pair<log::Level, std::string>> lines;
};

TEST_CASE("events beyond the limit are counted and logged and left out") {
  Logged logged;
  Rig rig(5);
  for (std::uint64_t sequence = 0; sequence < 4; ++sequence) rig.hand_out(sequence, 20);
  rig.recorder->said("too late", at(30));
  rig.answer(0, 90, stamp(40), stamp(50), stamp(60));
  const std::string path = (rig.folder / "trace.json").string();
  const TraceFile trace = rig.end();
  CHECK(trace.about().at("event_limit") == 5);
  CHECK(trace.about().at("dropped_events") == 6);  // an in flight, the line, wait, infer, write, in flight
  CHECK(trace.events("infer").empty());
  CHECK(trace.instants().empty());
  CHECK(trace.events("in flight").size() == 4);
  REQUIRE(logged.lines.size() == 2);
  CHECK(logged.lines[0].first == log::Level::warning);
  CHECK(logged.lines[0].second ==
        "the trace " + path + " ends early: 6 events came after the first 5 and were left out");
  CHECK(logged.lines[1].second == "the trace is in " + path + "; ui.perfetto.dev shows it");
}

TEST_CASE("the file appears only at the end and replaces an older one") {
  const TemporaryFolder folder;
  std::ofstream(folder / "trace.json") << "of yesterday";
  {
    const TraceRecorder recorder(folder / "trace.json", {}, at(0));
    CHECK(read_text(folder / "trace.json", "it") == "of yesterday");
  }
  CHECK(TraceFile(folder / "trace.json").about().at("dropped_events") == 0);
  CHECK(folder.names() == std::vector<std::string>{"trace.json"});
}

TEST_CASE("a relative name is resolved in the folder of the start") {
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  {
    const TraceRecorder recorder("trace.json", {}, at(0));
    std::filesystem::current_path(before);
  }
  CHECK(folder.names() == std::vector<std::string>{"trace.json"});
}

TEST_CASE("a link stays a link and the file behind it is written") {
  const TemporaryFolder folder;
  std::ofstream(folder / "real.json") << "x";
  std::filesystem::create_symlink("real.json", folder / "link.json");
  { const TraceRecorder recorder(folder / "link.json", {}, at(0)); }
  CHECK(std::filesystem::is_symlink(folder / "link.json"));
  CHECK(TraceFile(folder / "real.json").about().at("dropped_events") == 0);
}

TEST_CASE("a trace that cannot be written is refused at the start") {
  const TemporaryFolder folder;
  const auto error_at = [](const std::filesystem::path& path) {
    return error_of([&] { const TraceRecorder recorder(path, {}, at(0)); });
  };
  const auto missing = error_at(folder / "none/trace.json");
  REQUIRE(missing);
  CHECK(missing->kind() == ErrorKind::usage);
  CHECK(missing->message() == "cannot write a trace to " + (folder / "none/trace.json").string());
  CHECK(missing->detail() == "there is no folder " + (folder / "none").string());
  CHECK(error_at(folder.path())->detail() == "it is not a regular file");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const auto pipe = error_at(folder / "pipe");
  REQUIRE(pipe);
  CHECK(pipe->kind() == ErrorKind::usage);
  CHECK(pipe->message() == "cannot write a trace to " + (folder / "pipe").string());
  CHECK(pipe->detail() == "it is not a regular file");
  CHECK(pipe->hint() == "name a file that may be replaced, 'trace.json' for example");
}

TEST_CASE("a trace that cannot be put in place at the end is an error in the log") {
  Logged logged;
  Rig rig;
  const std::string path = (rig.folder / "trace.json").string();
  std::filesystem::create_directories(rig.folder / "trace.json/in the way");
  rig.recorder.reset();
  REQUIRE(logged.lines.size() == 1);
  CHECK(logged.lines[0].first == log::Level::error);
  CHECK(logged.lines[0].second.starts_with("could not write the trace of this run: could not write " + path));
}

}  // namespace
}  // namespace tutti::test
