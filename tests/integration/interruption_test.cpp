// Ctrl-C, SIGTERM and a debugger.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "common/nameless_file.hpp"
#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

/// The second member takes too long to wait for, except in warm-up.
const std::string kSlow = R"(
members:
  - {name: a, model: {kind: fake, classes: 4}}
  - {name: b, model: {kind: fake, classes: 4, faults: [{kind: hang, phase: predict, at_batch: 0}]}}
assignment: cpu
input: {dataset: random, count: 5000, shape: [1, 4, 4], classes: 4}
segment_images: 20
batch_images: 8
progress_deadline_s: off
drain_deadline_s: 0.05
)";

/// Starts a run whose second member hangs in its first batch, and waits until the run is in progress.
struct Running {
  explicit Running(int ignored_signal = 0)
      : place(kSlow), program(Workplace::command({"run", "e.yaml", "--verbose"}), options(place, ignored_signal)) {
    adopt_orphans();
    REQUIRE_FALSE(program.wait_for_line("2 workers ready").empty());
    // The folder is made when the ensemble is watched for signals.
    REQUIRE(happens([this] { return place.has("runs/0001"); }));
    workers = children_of(program.pid());
    REQUIRE(workers.size() == 2);
  }
  void check_nothing_left() const {
    for (const int worker : workers) CHECK(ends(worker));
    CHECK(children_of(::getpid()).empty());
  }
  static ProgramOptions options(const Workplace& place, int ignored_signal) {
    ProgramOptions options = place.options();
    options.ignored_signal = ignored_signal;
    return options;
  }
  Workplace place;
  Program program;
  std::vector<int> workers;
};

TEST_CASE("Ctrl-C ends a run with code 130 and a report and no process") {
  Running run;
  run.program.signal(SIGINT);
  CHECK(run.program.code() == 130);
  CHECK(contains(run.program.err(), "SIGINT: finishing the work in flight; a second signal ends the program at once"));
  CHECK(contains(run.program.err(), "tutti: interrupted\n  detail: no segment was finished, so nothing is kept\n"));
  CHECK(run.place.report().at("completed") == false);
  CHECK(run.place.report().at("interrupted_by") == "SIGINT");
  CHECK(run.place.report().at_pointer("/finished/segments") == 0);
  // No segment was finished.
  for (const char* file : {"predictions.npy", "predictions.partial.npy", "journal"})
    CHECK_FALSE(run.place.has(std::string("runs/0001/") + file));
  CHECK_FALSE(contains(run.program.err(), "--resume"));
  run.check_nothing_left();
}

TEST_CASE("Ctrl-C ends an evaluation with code 130 and the finished part is in its report") {
  const Workplace place(kSlow + R"(
tasks:
  - {name: quick, input: {dataset: random, count: 20, shape: [1, 4, 4], classes: 4}}
  - {name: stuck, input: {dataset: random, count: 500, shape: [1, 4, 4], classes: 4}}
)");
  // The first task is one segment of three batches.
  Program program(Workplace::command({"evaluate", "e.yaml", "members.1.model.faults.0.at_batch=3"}), place.options());
  REQUIRE_FALSE(program.wait_for_line("quick  100 %").empty());
  REQUIRE(happens([&] { return place.has("runs/0001/tasks/stuck"); }));
  program.signal(SIGINT);
  CHECK(program.code() == 130);
  // The finished part is shown, and the missing part is named.
  CHECK(contains(program.out(), "ensemble mean"));
  CHECK(contains(program.out(), "\nnot finished: stuck; averages are over the figures above\n"));
  const json::value report = place.report();
  CHECK(report.at("completed") == false);
  CHECK(report.at("interrupted_by") == "SIGINT");
  CHECK(report.at_pointer("/evaluation/tasks/0/images") == 20);
  CHECK(report.at_pointer("/evaluation/tasks").as_array().size() == 1);
  CHECK(place.has("runs/0001/tasks/quick/disagreement.npy"));
  CHECK(place.has("runs/0001/tasks/quick/predictions.csv"));
  for (const char* file :
       {"disagreement.npy", "disagreement.partial.npy", "predictions.csv", "predictions.partial.csv"})
    CHECK_FALSE(place.has(std::string("runs/0001/tasks/stuck/") + file));
}

TEST_CASE("SIGTERM ends a run with code 143 and a report and no process") {
  Running run;
  run.program.signal(SIGTERM);
  CHECK(run.program.code() == 143);
  CHECK(run.place.report().at("completed") == false);
  CHECK(run.place.report().at("interrupted_by") == "SIGTERM");
  run.check_nothing_left();
}

TEST_CASE("a terminal that is closed ends a run with code 129 and a report and no process") {
  Running run;
  run.program.signal(SIGHUP);
  CHECK(run.program.code() == 129);
  CHECK(contains(run.program.err(), "tutti: interrupted"));
  CHECK(run.place.report().at("completed") == false);
  CHECK(run.place.report().at("interrupted_by") == "SIGHUP");
  run.check_nothing_left();
}

// nohup ignores SIGHUP, a shell ignores SIGINT for what a script starts in the background, and a parent may ignore any.
TEST_CASE("a signal that was ignored when a run was started stays ignored") {
  for (const int ignored : {SIGHUP, SIGINT, SIGTERM}) {
    CAPTURE(ignored);
    Running run(ignored);
    const int other = ignored == SIGTERM ? SIGINT : SIGTERM;
    run.program.signal(ignored);
    run.program.signal(ignored);  // a second one that counts would end the program at once
    run.program.signal(other);
    CHECK(run.program.code() == 128 + other);
    CHECK(run.place.report().at("completed") == false);
    CHECK(run.place.report().at("interrupted_by") == (other == SIGTERM ? "SIGTERM" : "SIGINT"));
    run.check_nothing_left();
  }
}

/// Whether this folder supports files without a name.
bool has_nameless_files(const std::filesystem::path& folder) {
  return static_cast<bool>(nameless_file(folder, O_WRONLY));
}

TEST_CASE("a run that is killed leaves no half file") {
  Running run;
  const auto folder = run.place / "runs/0001";
  if (!has_nameless_files(folder)) {
    std::puts("SKIPPED: this file system has no files without a name");
    return;
  }
  // The results are open while it runs.
  REQUIRE(happens([&] {
    const auto open = descriptors_of(run.program.pid());
    return std::count_if(open.begin(), open.end(), [](const auto& name) { return contains(name, "runs/0001/#"); }) == 3;
  }));
  run.program.signal(SIGKILL);
  CHECK(run.program.code() == 128 + SIGKILL);
  std::set<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) left.insert(entry.path().filename());
  CHECK(left == std::set<std::string>{"journal", "report.json"});
  CHECK(run.place.report("runs/0001").at("completed") == false);
  for (const int worker : run.workers) {
    CHECK(ends(worker));
    ::waitpid(worker, nullptr, 0);  // the test has adopted it
  }
}

TEST_CASE("training that is interrupted writes a report and no weights") {
  adopt_orphans();
  const Workplace place(R"(
members: [{name: a, model: {kind: fake, classes: 4, weights: a.safetensors, delay_ms: 5}, train: {epochs: 100000}}]
assignment: cpu
input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4}
segment_images: 20
)");
  Program program(Workplace::command({"train", "e.yaml"}), place.options());
  REQUIRE_FALSE(program.wait_for_line("epoch 2/100000").empty());
  program.signal(SIGINT);
  CHECK(program.code() == 130);
  CHECK(contains(program.err(), "tutti: interrupted\n  detail: no weights were written\n"));
  const json::value report = place.report();
  CHECK(report.at("command") == "train");
  CHECK(report.at("completed") == false);
  CHECK(report.at("interrupted_by") == "SIGINT");
  CHECK(report.at("finished").is_null());
  CHECK(report.at_pointer("/members/0/epochs").as_array().size() >= 2);
  CHECK(report.at_pointer("/members/0/images").to_number<std::uint64_t>() >= 100);
  CHECK(report.at_pointer("/members/0/weights").is_null());
  CHECK_FALSE(place.has("a.safetensors"));
  CHECK(children_of(::getpid()).empty());
}

TEST_CASE("Ctrl-C while the workers start ends the program at once and leaves no process") {
  adopt_orphans();
  const Workplace place(R"(
members: [{name: a, model: {kind: fake, load_delay_ms: 3000000}}]
assignment: cpu
input: {dataset: random, count: 1, shape: [1, 4, 4], classes: 4}
)");
  Program program(Workplace::command({"run", "e.yaml"}), place.options());
  std::vector<int> workers;
  REQUIRE(happens([&] {
    workers = children_of(program.pid());
    return workers.size() == 1;
  }));
  program.signal(SIGINT);
  CHECK(program.code() == 130);
  CHECK(contains(program.err(), "tutti: interrupted\n  detail: the workers were not ready yet\n"));
  for (const int worker : workers) {
    CHECK(ends(worker));
    ::waitpid(worker, nullptr, 0);  // the test has adopted it
  }
  CHECK(children_of(::getpid()).empty());
  CHECK_FALSE(place.has("runs"));
}

TEST_CASE("a second Ctrl-C ends a run at once and says how to continue it") {
  const Workplace place(kSlow);
  Program program(Workplace::command({"run", "e.yaml", "drain_deadline_s=100"}), place.options());
  // The message is ready before anything is in the journal.
  REQUIRE(happens([&] { return place.has("runs/0001/journal") && !place.read("runs/0001/journal").empty(); }));
  program.signal(SIGINT);
  REQUIRE_FALSE(program.wait_for_line("SIGINT: finishing the work in flight").empty());
  program.signal(SIGINT);
  CHECK(program.code() == 130);
  CHECK(contains(program.err(),
                 "tutti: interrupted\n  detail: the finished segments are kept in runs/0001/journal; "
                 "continue with: tutti run e.yaml drain_deadline_s=100 output=runs/0001 --resume\n"));
}

TEST_CASE("a worker to debug waits and continues when a debugger attaches") {
  adopt_orphans();
  const Workplace place;
  // A deadline that would have passed long before: deadlines are off.
  Program program(Workplace::command({"run", "e.yaml", "--debug-worker", "b", "start_deadline_s=0.001"}),
                  place.options());
  const std::string line = program.wait_for_line("waits for a debugger: gdb -p ");
  REQUIRE_FALSE(line.empty());
  CHECK(contains(line, "[b] b waits for a debugger"));
  const int pid = std::stoi(line.substr(line.rfind(' ') + 1));
  if (::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) != 0) {
    std::puts("SKIPPED: this process may not trace another");
    program.signal(SIGKILL);
    return;
  }
  // A debugger lets a worker that ends end.
  int status = 0;
  while (::waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
    ::ptrace(PTRACE_CONT, pid, nullptr, WSTOPSIG(status));
  CHECK(program.code() == 0);
  CHECK(place.report().at("completed") == true);
}

}  // namespace
}  // namespace tutti::test
