// A model that writes to its input becomes words on the control socket; other faults take their usual course.
#include "worker/write_guard.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/wire/control.hpp"
#include "common/wire/spawn_contract.hpp"
#include "tests/worker/requests.hpp"
#include "worker/control_client.hpp"

namespace tutti::test {
namespace {

constexpr std::size_t kBytes = 8192;

/// Runs `write` on guarded read-only memory in a child and returns how the child ended.
template <class Write>
int end_of_child(int control_fd, Write write) {
  void* const memory = ::mmap(nullptr, kBytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  const pid_t pid = ::fork();
  if (pid == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::signal(SIGSEGV, SIG_DFL);  // a sanitizer's action, or doctest's, would come back
    worker::guard_against_writes({static_cast<const std::byte*>(memory), kBytes}, "cnn-0", control_fd);
    write(static_cast<volatile char*>(memory));
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  ::munmap(memory, kBytes);
  return status;
}

TEST_CASE("a write to guarded memory is reported with the option that fixes it") {
  for (const std::size_t place : {std::size_t{0}, kBytes - 1}) {
    Sockets sockets = Sockets::make();
    const int status = end_of_child(sockets.worker.get(), [&](volatile char* memory) { memory[place] = 1; });
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == kFailed);
    worker::ControlClient coordinator(std::move(sockets.coordinator));
    sockets.worker.reset();
    const auto message = coordinator.receive();
    REQUIRE(message);
    const auto& failure = std::get<control::Failure>(*message);
    CHECK(failure.text == "the model writes to its input, which all members share");
    CHECK(failure.hint == "give it a private copy of each batch: set 'copy_input: true' at member 'cnn-0'");
    CHECK(failure.usage);
  }
}

TEST_CASE("a read of guarded memory is not a fault") {
  Sockets sockets = Sockets::make();
  const int status = end_of_child(sockets.worker.get(), [](volatile char* memory) { (void)memory[100]; });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("memory that was guarded before and no longer is kills as ever") {
  Sockets sockets = Sockets::make();
  const int fd = sockets.worker.get();
  const int status = end_of_child(fd, [fd](volatile char* memory) {
    const std::byte other{};
    worker::guard_against_writes({&other, 1}, "cnn-0", fd);
    memory[0] = 1;
  });
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSEGV);
}

TEST_CASE("a fault elsewhere kills as ever and says nothing") {
  Sockets sockets = Sockets::make();
  const int status = end_of_child(sockets.worker.get(), [](volatile char*) {
    void* const other = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *static_cast<volatile char*>(other) = 1;
  });
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSEGV);
  worker::ControlClient coordinator(std::move(sockets.coordinator));
  sockets.worker.reset();
  CHECK_FALSE(coordinator.receive().has_value());
}

TEST_CASE("a SIGSEGV that a process sends kills as ever and says nothing") {
  for (const bool with_address : {false, true}) {
    CAPTURE(with_address);
    Sockets sockets = Sockets::make();
    const int status = end_of_child(sockets.worker.get(), [&](volatile char* memory) {
      siginfo_t info{};
      info.si_code = with_address ? SI_QUEUE : SI_USER;
      // Whatever the sender puts in its place is no address.
      if (with_address) info.si_addr = const_cast<char*>(memory);
      if (with_address)
        ::syscall(SYS_rt_sigqueueinfo, ::getpid(), SIGSEGV, &info);
      else
        ::kill(::getpid(), SIGSEGV);
    });
    REQUIRE(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGSEGV);
    worker::ControlClient coordinator(std::move(sockets.coordinator));
    sockets.worker.reset();
    CHECK_FALSE(coordinator.receive().has_value());
  }
}

}  // namespace
}  // namespace tutti::test
