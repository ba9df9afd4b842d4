// A worker ends with its coordinator in every state, and only by the death signal: here its control socket stays open.
// The test adopts it, so that its new parent is not an init process.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "coordinator/process/child.hpp"
#include "tests/support/census.hpp"
#include "tests/support/places.hpp"
#include "tests/worker/requests.hpp"
#include "worker/control_client.hpp"

namespace tutti::test {
namespace {

using namespace std::chrono_literals;

/// Starts a worker as the child of the calling process.
int spawn_worker(const Sockets& sockets) {
  const std::string parent = "--parent=" + std::to_string(::getpid());
  return Child::spawn({test::kWorkerProgram, {"--member=a", parent}, {}, {-1, 1, 2, sockets.worker.get()}}).pid();
}

/// A worker whose parent is a separate process, and whose socket is the test's.
class Fostered {
 public:
  Fostered() : sockets_(Sockets::make()) {
    adopt_orphans();
    std::array<int, 2> pipe{};
    REQUIRE(::pipe(pipe.data()) == 0);
    parent_ = ::fork();
    if (parent_ == 0) {
      const int pid = spawn_worker(sockets_);
      (void)!::write(pipe[1], &pid, sizeof pid);
      for (;;) ::pause();
    }
    REQUIRE(::read(pipe[0], &worker_, sizeof worker_) == sizeof worker_);
    ::close(pipe[0]);
    ::close(pipe[1]);
    control.emplace(std::move(sockets_.coordinator));
  }
  Fostered(const Fostered&) = delete;
  Fostered& operator=(const Fostered&) = delete;
  ~Fostered() {
    ::kill(parent_, SIGKILL);
    ::kill(worker_, SIGKILL);  // gone already, unless the test has failed
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
  }

  int worker() const { return worker_; }
  /// True if the worker follows within a second.
  bool follows() {
    if (ends(worker_, 0ms)) return false;  // it had ended before
    ::kill(parent_, SIGKILL);
    return ends(worker_, 1s);
  }
  std::optional<worker::ControlClient> control;

 private:
  Sockets sockets_;
  int parent_ = 0;
  int worker_ = 0;
};

char state_of(int pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  const std::string line{std::istreambuf_iterator<char>(stat), {}};
  const std::size_t name_end = line.rfind(')');
  return name_end == line.npos ? '?' : line.at(name_end + 2);
}

/// Loads a member that stops in this phase, and hangs there when it continues; waits until it has stopped.
void bring_to(Fostered& fostered, FaultPhase phase) {
  REQUIRE(fostered.control->receive());
  fostered.control->send(control::Load{
      fake_request({.classes = 4, .faults = {{FaultKind::stop, phase, 0}, {FaultKind::hang, phase, 0}}})});
  REQUIRE(happens([&] { return state_of(fostered.worker()) == 'T'; }));
}

TEST_CASE("a worker that waits for its member ends with its coordinator") {
  Fostered fostered;
  REQUIRE(fostered.control->receive());
  CHECK(fostered.follows());
}

TEST_CASE("a worker that loads ends with its coordinator") {
  Fostered fostered;
  bring_to(fostered, FaultPhase::load);
  ::kill(fostered.worker(), SIGCONT);
  CHECK(fostered.follows());
}

TEST_CASE("a worker that warms up ends with its coordinator") {
  Fostered fostered;
  bring_to(fostered, FaultPhase::warm_up);
  ::kill(fostered.worker(), SIGCONT);
  CHECK(fostered.follows());
}

TEST_CASE("a worker that is stopped ends with its coordinator") {
  Fostered fostered;
  bring_to(fostered, FaultPhase::load);
  CHECK(fostered.follows());
}

// The death signal is set after the program has started; until then the worker finds out by looking who its parent is.
// A worker that missed both would wait for its member for ever, and this test with it.
TEST_CASE("a worker whose coordinator dies at any moment of the start does not stay") {
  adopt_orphans();
  for (int round = 0; round < 300; ++round) {
    const Sockets sockets = Sockets::make();
    const int parent = ::fork();
    if (parent == 0) {
      spawn_worker(sockets);
      for (;;) ::pause();
    }
    for (int i = 0; i < round * 20'000; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
    ::kill(parent, SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
  }
}

}  // namespace
}  // namespace tutti::test
