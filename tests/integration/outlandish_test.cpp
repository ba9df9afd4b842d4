// Workers that write nonsense, machines that sleep, processes that do not end even after SIGKILL: the outputs stay the
// same, and no correct worker is killed.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <set>

#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

/// Makes the first worker that is started after arm() rogue, and all others honest.
class OneRogue {
 public:
  explicit OneRogue(const std::string& how) : token_(folder_ / "token") {
    ::setenv("TUTTI_ROGUE", how.c_str(), 1);
    ::setenv("TUTTI_ROGUE_TOKEN", token_.c_str(), 1);
    ::setenv("TUTTI_REAL_WORKER", worker_program().c_str(), 1);
  }
  void arm() const { std::ofstream(token_) << "x"; }
  OneRogue(const OneRogue&) = delete;
  OneRogue& operator=(const OneRogue&) = delete;
  ~OneRogue() {
    for (const char* name : {"TUTTI_ROGUE", "TUTTI_ROGUE_TOKEN", "TUTTI_REAL_WORKER"}) ::unsetenv(name);
  }

 private:
  TemporaryFolder folder_;
  const std::string token_;
};

TEST_CASE("a worker that writes nonsense is killed and replaced and none of it is in the result") {
  const auto images = random_images(60);
  const auto spec = fake_spec(2);
  for (const std::string how : {"garbage", "no-hello", "order-of-coordinator", "no-width", "huge-width", "ready-twice",
                                "done-unasked", "wrong-slot", "wrong-seat", "wrong-images", "later-generation", "twice",
                                "nonsense-completions", "nonsense-tasks", "closes-ring", "closes-socket"}) {
    CAPTURE(how);
    const NothingLeft census;
    const OneRogue rogue(how);
    rogue.arm();
    Ensemble ensemble(published(spec), with_worker(test::kRogueWorker));
    const auto answer = ensemble.predict(view(images)).values;
    const Status status = ensemble.status();
    CHECK(status.faults.violations == 1);
    CHECK(status.faults.deaths == 1);
    // The one answer of the rogue before it was detected may be wrong; all others are right.
    if (how != "twice" && how != "nonsense-tasks") CHECK(answer == naive_mean(spec, images));
  }
}

TEST_CASE("a replacement that cannot be given its channel is replaced and no segment is blamed for it") {
  const auto images = random_images(400);
  auto spec = fake_spec(2);
  fake_model(spec, 0).delay_us = 2000;
  spec.failure.poison_limit = 1;
  const NothingLeft census;
  const OneRogue rogue("seals-channel");
  Ensemble ensemble(published(spec), with_worker(test::kRogueWorker));
  auto answer = ensemble.submit(view(images));
  REQUIRE(happens([&] { return ensemble.status().members[0].segments_answered > 0; }));
  rogue.arm();
  ::kill(ensemble.status().members[0].pid, SIGKILL);
  CHECK(answer.get().values == naive_mean(spec, images));
  const Status status = ensemble.status();
  CHECK(status.faults.deaths == 2);
  CHECK(status.faults.set_aside == 0);
}

TEST_CASE("a worker that is stopped before it rings for its answer is not a missed wake-up") {
  const auto images = random_images(60);
  auto spec = fake_spec(2);
  spec.failure.progress = config::FailureSpec::Deadline::fixed;
  spec.failure.progress_deadline = 1;
  const NothingLeft census;
  const OneRogue rogue("stops-before-bell");
  rogue.arm();
  Ensemble ensemble(published(spec), with_worker(test::kRogueWorker));
  ensemble.predict(view(images));
  const Status status = ensemble.status();
  CHECK(status.faults.hangs == 1);
  CHECK(status.faults.missed_wake_ups == 0);
}

/// A coordinator in a separate process: runs `work`, whose result is its exit code.
class Coordinator {
 public:
  template <class RunWork>
  explicit Coordinator(RunWork work) : pid_(::fork()) {
    if (pid_ == 0) ::_exit(work());
  }
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;
  ~Coordinator() {
    if (!waited_) ::kill(pid_, SIGKILL);
    if (!waited_) ::waitpid(pid_, nullptr, 0);
  }
  int pid() const { return pid_; }
  int code() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    waited_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  int pid_;
  bool waited_ = false;
};

TEST_CASE("a machine that sleeps and wakes up kills no worker") {
  auto spec = fake_spec(2);
  for (std::size_t rank = 0; rank < 2; ++rank) fake_model(spec, rank).delay_us = 20'000;
  spec.failure.progress = config::FailureSpec::Deadline::fixed;
  spec.failure.progress_deadline = 1;
  const auto images = random_images(400);
  Coordinator coordinator([&] {
    Ensemble ensemble(published(spec), with_worker());
    if (ensemble.predict(view(images)).values != naive_mean(spec, images)) return 1;
    const FaultCounts faults = ensemble.status().faults;
    return faults.deaths > 0 ? 2 : faults.stalls == 0 ? 3 : 0;
  });
  std::vector<int> workers;
  REQUIRE(happens([&] {
    workers = children_of(coordinator.pid());
    return workers.size() == 2;
  }));
  ::poll(nullptr, 0, 300);
  for (const int worker : workers) ::kill(worker, SIGSTOP);
  ::kill(coordinator.pid(), SIGSTOP);
  ::poll(nullptr, 0, 2600);
  // The coordinator first: it finds workers that have not moved for longer than their deadline.
  ::kill(coordinator.pid(), SIGCONT);
  ::poll(nullptr, 0, 100);
  for (const int worker : workers) ::kill(worker, SIGCONT);
  CHECK(coordinator.code() == 0);
}

TEST_CASE("a worker that does not end even after SIGKILL is left behind with its slots and named in the status") {
  adopt_orphans();
  auto spec = fake_spec(2);
  spec.slots = 4;
  fake_model(spec, 0).delay_us = 20'000;
  spec.failure.progress = config::FailureSpec::Deadline::fixed;
  spec.failure.progress_deadline = 0.5;
  spec.failure.kill_deadline = 0.5;
  const auto images = random_images(160);
  Ensemble ensemble(published(spec), with_worker());
  auto answer = ensemble.submit(view(images));
  REQUIRE(happens([&] { return ensemble.status().members[0].segments_answered > 0; }));
  const int pid = ensemble.status().members[0].pid;
  // A tracer can hold a process in its exit, like a driver that hangs.
  if (::ptrace(PTRACE_SEIZE, pid, nullptr, PTRACE_O_TRACEEXIT) != 0) {
    MESSAGE("SKIPPED: no tracing here");
    return;
  }
  ::kill(pid, SIGSTOP);
  CHECK(answer.get().values == naive_mean(spec, images));
  const Status status = ensemble.status();
  CHECK(status.faults.abandoned_pids == std::vector<int>{pid});
  CHECK(status.faults.hangs == 1);
  CHECK(status.members[0].generation == 1);
  // It ends after all.
  int state = 0;
  REQUIRE(::waitpid(pid, &state, __WALL) == pid);
  ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
  CHECK(happens([&] { return ensemble.status().faults.abandoned_pids.empty(); }));
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
}

/// The files without a name that a process has for its checkpoints.
std::set<ino_t> checkpoint_files_of(int pid) {
  std::set<ino_t> files;
  std::error_code gone;
  for (const auto& fd : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid), gone)) {
    const std::string target = std::filesystem::read_symlink(fd.path(), gone).string();
    const bool in_memory = target.starts_with("/memfd:");
    if (!target.ends_with(" (deleted)") || (in_memory && !contains(target, "checkpoint"))) continue;
    struct stat file {};
    if (::stat(fd.path().c_str(), &file) == 0) files.insert(file.st_ino);
  }
  return files;
}

TEST_CASE("a worker that does not end cannot write into its replacement's checkpoint") {
  adopt_orphans();
  const TemporaryFolder folder;
  auto spec = fake_spec(1);
  spec.slots = 4;
  spec.members[0].train.batch_images = 4;
  fake_model(spec, 0).delay_us = 5'000;
  spec.failure.progress = config::FailureSpec::Deadline::fixed;
  spec.failure.progress_deadline = 0.5;
  spec.failure.kill_deadline = 0.5;
  Ensemble ensemble(published(spec), with_worker());
  ListSource source(random_images(200), std::vector<std::int64_t>(200, 1));
  auto trained = std::async(std::launch::async, [&] { ensemble.train(source, folder.path()); });
  REQUIRE(happens([&] { return ensemble.status().members[0].segments_answered > 4; }));
  const int pid = ensemble.status().members[0].pid;
  if (::ptrace(PTRACE_SEIZE, pid, nullptr, PTRACE_O_TRACEEXIT) != 0) {
    MESSAGE("SKIPPED: no tracing here");
    return;
  }
  ::kill(pid, SIGSTOP);
  int replacement = 0;
  CHECK(happens([&] {
    replacement = ensemble.status().members[0].pid;
    return replacement != 0 && replacement != pid && checkpoint_files_of(replacement).size() == 2;
  }));
  // The replacement reads the valid file; the old process could still be writing to the other.
  CHECK(checkpoint_files_of(pid).size() == 2);
  CHECK(checkpoint_files_of(replacement) != checkpoint_files_of(pid));
  trained.get();
  int state = 0;
  REQUIRE(::waitpid(pid, &state, __WALL) == pid);
  ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
  CHECK(happens([&] { return ensemble.status().faults.abandoned_pids.empty(); }));
}

}  // namespace
}  // namespace tutti::test
