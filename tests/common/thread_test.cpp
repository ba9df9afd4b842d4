// Tutti's threads inside a host program have names and do not take its signals.
#include "common/thread.hpp"

#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>

#include <string>

namespace tutti::test {
namespace {

sigset_t mask_of_this_thread() {
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return mask;
}

TEST_CASE("a started thread has every signal blocked and its starter's mask is as it was") {
  const sigset_t before = mask_of_this_thread();
  sigset_t inside;
  start_thread("tutti-test", [&] { inside = mask_of_this_thread(); }).join();
  const sigset_t after = mask_of_this_thread();
  for (int number = 1; number <= SIGRTMAX; ++number) {
    CAPTURE(number);
    CHECK(::sigismember(&after, number) == ::sigismember(&before, number));
    // These cannot be blocked; the C library keeps those between them and SIGRTMIN to itself.
    if (number == SIGKILL || number == SIGSTOP || (number >= __SIGRTMIN && number < SIGRTMIN)) continue;
    CHECK(::sigismember(&inside, number) == 1);
  }
}

TEST_CASE("a started thread has its name") {
  char name[16] = "";
  start_thread("tutti-test", [&] { ::pthread_getname_np(::pthread_self(), name, sizeof name); }).join();
  CHECK(std::string(name) == "tutti-test");
}

}  // namespace
}  // namespace tutti::test
