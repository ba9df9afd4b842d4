// The other side of a measurement: a thread, or a process forked from this one, on a core of its own if that is
// asked for. Not for products: a fork of a program with threads would be wrong; here nothing else runs.
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

/// The cores that this process may use, ascending.
std::vector<int> usable_cores();

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

/// Runs `body` once. The destructor waits for its end; whoever destroys it has told it to end.
class Peer {
 public:
  /// `core` nothing: wherever the kernel puts it. Throws Error(failed) if no process can be made.
  Peer(PeerKind kind, std::optional<int> core, const std::function<void()>& body);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

 private:
  std::thread thread_;
  int pid_ = 0;
};

}  // namespace tutti::bench::micro
