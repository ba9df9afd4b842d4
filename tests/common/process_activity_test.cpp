// What the kernel says of a process that computes, of one that waits, and of one that is gone.
#include "common/process_activity.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

namespace tutti::test {
namespace {

/// Looks again and again until this holds; false if it never does.
template <class Condition>
bool comes_true(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

/// A child that does this until the object goes.
class Busy {
 public:
  template <class Call>
  explicit Busy(Call call) : pid_(::fork()) {
    if (pid_ != 0) return;
    for (;;) call();
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  ~Busy() { end(); }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  int pid() const { return pid_; }

 private:
  int pid_;
};

TEST_CASE("a process that computes is runnable and its processor time grows") {
  const Busy child([] {});
  double begin = -1;
  CHECK(comes_true([&] {
    const auto now = activity_of(child.pid());
    if (begin < 0 && now) begin = now->cpu_seconds;
    return now && now->runnable == 1 && now->cpu_seconds > begin;
  }));
}

TEST_CASE("a process that waits is not runnable whatever its name says") {
  const Busy child([] {
    ::prctl(PR_SET_NAME, "a) R (b");
    ::pause();
  });
  CHECK(comes_true([&] {
    const auto now = activity_of(child.pid());
    return now && now->runnable == 0;
  }));
  const auto before = activity_of(child.pid());
  REQUIRE(before);
  CHECK(activity_of(child.pid()) == before);
}

TEST_CASE("a stopped process is not runnable") {
  const Busy child([] {});
  ::kill(child.pid(), SIGSTOP);
  CHECK(comes_true([&] {
    const auto now = activity_of(child.pid());
    return now && now->runnable == 0;
  }));
}

TEST_CASE("of a process that is gone nothing is known") {
  Busy child([] { ::pause(); });
  const int pid = child.pid();
  child.end();
  CHECK_FALSE(activity_of(pid));
}

}  // namespace
}  // namespace tutti::test
