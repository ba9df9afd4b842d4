// The first steps of the worker program, as far as they show without a coordinator.
#include "worker/launch.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "common/atomic_file.hpp"
#include "common/build_id.hpp"
#include "common/wire/spawn_contract.hpp"
#include "coordinator/process/child.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/census.hpp"
#include "tests/support/places.hpp"
#include "tests/support/run_program.hpp"
#include "tests/worker/requests.hpp"
#include "worker/control_client.hpp"

namespace tutti::test {
namespace {

/// A worker without arena and channel, which is enough until it gets a member to load.
struct Started {
  explicit Started(std::vector<std::string> arguments) : Started(std::move(arguments), Sockets::make()) {}
  Started(std::vector<std::string> arguments, Sockets sockets,
          const std::filesystem::path& program = test::kWorkerProgram)
      : child(Child::spawn({program, std::move(arguments), {}, {-1, 1, 2, sockets.worker.get()}})),
        control(std::move(sockets.coordinator)) {}
  ExitStatus end() {
    pollfd exit{child.pidfd(), POLLIN, 0};
    REQUIRE(::poll(&exit, 1, 60'000) == 1);
    const auto status = reap(child.pidfd());
    REQUIRE(status);
    return *status;
  }
  Child child;
  worker::ControlClient control;
};

std::string parent_is_us() { return "--parent=" + std::to_string(::getpid()); }

std::string status_field(int pid, const std::string& key) {
  Program grep({"/bin/grep", "^" + key + ":", "/proc/" + std::to_string(pid) + "/status"});
  grep.wait();
  return grep.out();
}

TEST_CASE("a worker that was started by hand says so and leaves with code 2") {
  Program worker({test::kWorkerProgram});
  CHECK(worker.code() == kUsage);
  CHECK(worker.out().empty());
  CHECK(worker.err() ==
        "tutti-worker: tutti-worker is started by Tutti's coordinator, not by hand\n"
        "  hint: use 'tutti run', 'tutti train', or the library\n");
}

TEST_CASE("a worker with nonsense for arguments says so and leaves with code 2") {
  Program worker({test::kWorkerProgram, "--parent=1", "--nonsense"});
  CHECK(worker.code() == kUsage);
  CHECK(worker.err() == "tutti-worker: unknown argument '--nonsense'\n");
}

TEST_CASE("a worker whose coordinator is gone leaves with code 3") {
  Program worker({test::kWorkerProgram, "--member=a", "--parent=1"});
  CHECK(worker.code() == kOrphaned);
  CHECK(worker.err().empty());
}

TEST_CASE("a worker says hello with its build and leaves when the socket closes") {
  Started worker({"--member=a", parent_is_us()});
  const auto message = worker.control.receive();
  REQUIRE(message);
  CHECK(std::get<control::Hello>(*message).build_id == build_id());
  worker.control = worker::ControlClient(UniqueFd());
  CHECK(std::get<Exited>(worker.end()).code == kLeft);
}

TEST_CASE("a worker that must stop before it has loaded leaves") {
  Started worker({"--member=a", parent_is_us()});
  worker.control.send(control::Stop{});
  CHECK(std::get<Exited>(worker.end()).code == kLeft);
}

TEST_CASE("a message out of turn is answered with a failure") {
  Started worker({"--member=a", parent_is_us()});
  worker.control.receive();
  worker.control.send(control::BeginTraining{});
  const auto message = worker.control.receive();
  REQUIRE(message);
  CHECK(std::get<control::Failure>(*message).text == "the coordinator sent a control message out of turn");
  CHECK(std::get<Exited>(worker.end()).code == kFailed);
}

TEST_CASE("a worker has a separate process group and is chosen before others when memory runs out") {
  Started worker({"--member=a", parent_is_us()});
  worker.control.receive();
  CHECK(::getpgid(worker.child.pid()) == worker.child.pid());
  Program score({"/bin/cat", "/proc/" + std::to_string(worker.child.pid()) + "/oom_score_adj"});
  score.wait();
  CHECK(score.out() == "500\n");
}

TEST_CASE("a worker runs on the cores that it was given") {
  const int core = ::sched_getcpu();
  Started worker({"--member=a", parent_is_us(), "--cores=" + std::to_string(core)});
  worker.control.receive();
  CHECK(status_field(worker.child.pid(), "Cpus_allowed_list") == "Cpus_allowed_list:\t" + std::to_string(core) + "\n");
}

TEST_CASE("cores that are not there are a failure with their numbers") {
  Started worker({"--member=a", parent_is_us(), "--cores=4000,4001"});
  const auto message = worker.control.receive();
  REQUIRE(message);
  const auto& failure = std::get<control::Failure>(*message);
  CHECK(failure.text == "could not run on cores 4000,4001: Invalid argument");
  CHECK(failure.hint.find("tutti plan") != std::string::npos);
}

rlimit core_limit(int pid) {
  rlimit limit{};
  REQUIRE(::prlimit(pid, RLIMIT_CORE, nullptr, &limit) == 0);
  return limit;
}

TEST_CASE("a worker leaves no core file unless it was told to") {
  const rlimit before = core_limit(::getpid());
  Started worker({"--member=a", parent_is_us()});
  worker.control.receive();
  // 0 if it was 0 before and may not be raised: see the case below.
  const rlim_t expected = before.rlim_max == 0 && core_limit(worker.child.pid()).rlim_max == 0 ? 0 : 1;
  CHECK(core_limit(worker.child.pid()).rlim_cur == expected);
  CHECK(core_limit(worker.child.pid()).rlim_max == expected);
  Started with_core({"--member=a", parent_is_us(), "--core-files"});
  with_core.control.receive();
  CHECK(core_limit(with_core.child.pid()).rlim_max == before.rlim_max);  // AddressSanitizer changes the other one
}

/// How a child ends that takes its place as a worker and then aborts.
template <class Before>
int abort_as_worker(Before before) {
  const int parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    before();
    worker::take_place({"a", parent, {}, false, false});
    ::signal(SIGABRT, SIG_DFL);
    ::abort();
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

TEST_CASE("a worker that aborts dumps nothing") {
  const TemporaryFolder folder;
  const int status = abort_as_worker([&] {
    rlimit limit{};
    ::getrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_CORE, &limit);
    if (::chdir(folder.path().c_str()) != 0) ::_exit(1);
  });
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
  CHECK_FALSE(WCOREDUMP(status));
  CHECK(folder.names().empty());
}

TEST_CASE("a worker whose limit is zero for good cannot be dumped at all") {
  const int parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) ::_exit(1);
    ::prctl(PR_SET_DUMPABLE, 1);
    worker::take_place({"a", parent, {}, false, false});
    ::_exit(::prctl(PR_GET_DUMPABLE) == 0 ? 0 : 2);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

#ifdef TUTTI_KILL_POINTS
constexpr bool kHasKillPoints = true;
#else
constexpr bool kHasKillPoints = false;
#endif

TEST_CASE("a worker dies at an armed scripted fault once and only in builds that have them") {
  const TemporaryFolder folder;
  const auto token = folder / "token";
  AtomicFile(token).commit();
  ::setenv("TUTTI_KILL_POINT", ("worker.tied:1:" + token.string()).c_str(), 1);
  Started first({"--member=a", parent_is_us()});
  CHECK(first.control.receive().has_value() != kHasKillPoints);
  Started second({"--member=a", parent_is_us()});
  CHECK(second.control.receive().has_value());
  ::unsetenv("TUTTI_KILL_POINT");
  CHECK(std::filesystem::exists(token) != kHasKillPoints);
  if (kHasKillPoints) CHECK(std::get<Signaled>(first.end()).signal == SIGKILL);
}

TEST_CASE("a spare without the plugin that it is to open says so") {
  const TemporaryFolder folder;
  std::filesystem::copy(test::kWorkerProgram, folder / "tutti-worker");
  for (const bool cuda : {false, true}) {
    Started worker({"--member=a", parent_is_us()}, Sockets::make(), folder / "tutti-worker");
    worker.control.receive();
    worker.control.send(control::Preload{cuda});
    const auto message = worker.control.receive();
    REQUIRE(message);
    CHECK(std::get<control::Failure>(*message).text ==
          (cuda ? "cannot run a member on CUDA: libtutti-cuda.so is not installed"
                : "cannot run a member of LibTorch: libtutti-torch.so is not installed"));
    CHECK(std::get<Exited>(worker.end()).code == kFailed);
  }
}

TEST_CASE("a worker drops the descriptors that a host left open") {
  const UniqueFd left_open(::open("/dev/null", O_RDONLY));  // without close-on-exec
  const UniqueFd higher(::fcntl(left_open.get(), F_DUPFD, 100));
  Started worker({"--member=a", parent_is_us()});
  worker.control.receive();
  const std::filesystem::path folder = "/proc/" + std::to_string(worker.child.pid()) + "/fd";
  CHECK_FALSE(std::filesystem::exists(folder / "100"));
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    CHECK(std::stoi(entry.path().filename()) < kFirstForeignFd);
}

}  // namespace
}  // namespace tutti::test
