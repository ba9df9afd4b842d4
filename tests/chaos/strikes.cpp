#include "tests/chaos/strikes.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <string>

#include "common/random.hpp"
#include "common/unique_fd.hpp"

namespace tutti::test {
namespace {

/// A handle of a child of this process; nothing if `pid` is not its child (any more). The number alone could belong to
/// another process meanwhile.
UniqueFd hold_child(int pid) {
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return {};
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  const std::size_t end = text.rfind(')');
  if (end == text.npos) return {};
  char state = 0;
  int parent = 0;
  if (std::sscanf(text.c_str() + end + 1, " %c %d", &state, &parent) != 2 || parent != ::getpid()) return {};
  return pidfd;
}

bool send(const UniqueFd& pidfd, int signal) {
  return ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

}  // namespace

Strikes::Strikes(const Ensemble& ensemble, const StrikePlan& plan, std::uint64_t& drawn, StrikeCounts& counts)
    : ensemble_(ensemble), plan_(plan), drawn_(drawn), counts_(counts), thread_([this] { run(); }) {}

Strikes::~Strikes() {
  ending_ = true;
  thread_.join();
}

double Strikes::draw() { return static_cast<double>(random_at(plan_.seed, drawn_++) >> 11) * 0x1p-53; }

bool Strikes::pause(double seconds) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!ending_ && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(
        std::min<std::chrono::duration<double>>(std::chrono::milliseconds(20), end - std::chrono::steady_clock::now()));
  return !ending_;
}

/// The process of one of the workers of the member; 0: it has none now.
int Strikes::one_of(const MemberStatus& member) {
  const auto draw_below = [&](std::size_t count) {
    return static_cast<std::size_t>(draw() * static_cast<double>(count));
  };
  const MemberStatus& part = member.stages.empty() ? member : member.stages[draw_below(member.stages.size())];
  const std::size_t replica = draw_below(part.replicas.size());
  return part.replicas.empty() ? part.pid : part.replicas[replica].pid;
}

void Strikes::run() {
  while (pause(-std::log(1.0 - draw()) / plan_.per_second)) strike();
}

void Strikes::strike() {
  const Status status = ensemble_.status();
  const auto rank = static_cast<std::size_t>(draw() * static_cast<double>(status.members.size()));
  const bool stop = draw() < plan_.stop_share;
  const bool forget = draw() < plan_.forgotten_share;
  const double length = draw() * 0.05;
  const int pid = one_of(status.members[rank]);
  if (pid == 0) return;
  const UniqueFd child = hold_child(pid);
  if (!child) return;
  if (!stop) {
    counts_.kills += send(child, SIGKILL) ? 1 : 0;
    return;
  }
  if (!send(child, SIGSTOP)) return;
  ++counts_.stops;
  if (forget) {
    ++counts_.forgotten;
    return;
  }
  pause(length);
  send(child, SIGCONT);
}

}  // namespace tutti::test
