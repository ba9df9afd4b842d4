// The other side of a measurement: a thread, or a process forked from this one, pinned to a core if `core` names one.
// Not for production: forking a program with threads would be wrong, but here nothing else runs.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include <sched.h>

namespace tutti::bench::micro {

enum class PeerKind { thread, process };
constexpr std::string_view to_text(PeerKind kind) { return kind == PeerKind::thread ? "threads" : "processes"; }

/// The numbers of the cores that this process may run on, ascending.
std::vector<int> allowed_cores();

/// Keeps this thread on one core for its lifetime.
class Pinned {
 public:
  explicit Pinned(int core);
  ~Pinned();
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

 private:
  cpu_set_t before_{};
};

/// Runs `body` once. The destructor waits for its end, so tell it to end first.
class Peer {
 public:
  /// Without `core` the kernel chooses. Throws Error(failed) if no process can be started.
  Peer(PeerKind kind, std::optional<int> core, const std::function<void()>& body);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

 private:
  std::thread thread_;
  int pid_ = 0;
};

}  // namespace tutti::bench::micro
