#include "worker/write_guard.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cassert>
#include <cstdint>

#include "common/control.hpp"
#include "common/spawn_contract.hpp"

namespace tutti::worker {
namespace {

// A signal handler can reach nothing but globals, and may call nothing that allocates: all is prepared beforehand.
struct Range {
  std::uintptr_t begin;
  std::uintptr_t end;
};
constexpr std::size_t kMaxRanges = 4;
std::array<Range, kMaxRanges> g_ranges;
std::atomic<std::size_t> g_range_count = 0;
std::string g_message;
int g_control_fd = -1;

void on_fault(int signal, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (std::size_t i = 0; i < g_range_count.load(); ++i) {
    if (address < g_ranges[i].begin || address >= g_ranges[i].end) continue;
    // Nothing to be done where it cannot be sent: the exit code still tells.
    [[maybe_unused]] const ssize_t sent = ::send(g_control_fd, g_message.data(), g_message.size(), MSG_NOSIGNAL);
    ::_exit(kFailed);
  }
  // Not ours: the instruction is run again, with the default action.
  ::signal(signal, SIG_DFL);
}

}  // namespace

void guard_against_writes(std::span<const std::byte> memory, const std::string& member, int control_fd) {
  const std::size_t next = g_range_count.load();
  assert(next < kMaxRanges);
  const auto begin = reinterpret_cast<std::uintptr_t>(memory.data());
  g_ranges[next] = {begin, begin + memory.size()};
  g_control_fd = control_fd;
  g_message = control::encode(control::Failure{
      "the model writes to its input, which all members share",
      fmt::format("give it a private copy of each batch: set 'copy_input: true' at member '{}'", member), true});
  g_range_count = next + 1;
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigaction(SIGSEGV, &action, nullptr);
}

}  // namespace tutti::worker
