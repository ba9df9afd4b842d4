#include "worker/write_guard.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "common/wire/control.hpp"
#include "common/wire/spawn_contract.hpp"

namespace tutti::worker {
namespace {

// A signal handler can only reach globals, and must not allocate, so everything is prepared beforehand.
std::atomic<std::uintptr_t> g_begin = 0;
std::atomic<std::uintptr_t> g_end = 0;
std::string g_message;
int g_control_fd = -1;
struct sigaction g_before {};  // as of Python's faulthandler

void on_fault(int signal, siginfo_t* info, void*) {
  const bool sent = info->si_code <= 0;  // by a process; there is no address then
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  if (!sent && address >= g_begin && address < g_end) {
    // If sending fails, the exit code still tells the coordinator.
    [[maybe_unused]] const ssize_t length = ::send(g_control_fd, g_message.data(), g_message.size(), MSG_NOSIGNAL);
    ::_exit(kFailed);
  }
  // Another fault: the instruction runs again, with the action that was there before. A signal that was sent does not
  // come again by itself; this one is delivered when the handler returns.
  ::sigaction(signal, &g_before, nullptr);
  if (sent) ::raise(signal);
}

}  // namespace

void guard_against_writes(std::span<const std::byte> memory, const std::string& member, int control_fd) {
  g_begin = g_end = 0;  // nothing is watched while the message changes
  g_control_fd = control_fd;
  g_message = control::encode(control::Failure{
      "the model writes to its input, which all members share",
      fmt::format("give it a private copy of each batch: set 'copy_input: true' at member '{}'", member), true});
  g_begin = reinterpret_cast<std::uintptr_t>(memory.data());
  g_end = g_begin + memory.size();
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  struct sigaction before {};
  ::sigaction(SIGSEGV, &action, &before);
  if ((before.sa_flags & SA_SIGINFO) == 0 || before.sa_sigaction != on_fault) g_before = before;
}

}  // namespace tutti::worker
