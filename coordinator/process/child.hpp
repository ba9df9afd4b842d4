// A child process: started with posix_spawn, watched and signalled through its pidfd, so that a pid that was reused is
// never meant. It knows nothing of workers or channels.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/unique_fd.hpp"
#include "coordinator/process/exit_status.hpp"

namespace tutti {

/// Everything is prepared before the spawn, since nothing can be mended after it.
struct SpawnRequest {
  std::filesystem::path program;
  std::vector<std::string> arguments;                            ///< without argv[0]
  std::vector<std::pair<std::string, std::string>> environment;  ///< added to ours, replacing equal names
  std::vector<int> descriptors;  ///< descriptors[i] becomes the child's number i; -1: /dev/null
};

/// A started child. A resource: moves, does not copy. Destroying it does not end the process.
class Child {
 public:
  /// Call it on a thread that lives as long as the child shall: a parent-death signal follows the thread. The child
  /// begins in a process group of its own, with default signal handling, an empty signal mask, and no descriptors but
  /// those of the request (all others of ours are close-on-exec). Throws Error(failed) naming the program.
  static Child spawn(const SpawnRequest& request);

  /// A process that is our child already, made by another one in our name (CLONE_PARENT). Throws Error(failed) where it
  /// is no child of ours, or cannot be watched.
  static Child adopt(int pid);

  int pid() const noexcept { return pid_; }
  /// Readable once the process has ended, all its threads and memory included. -1 where it had ended, and was reaped
  /// by somebody else, before it could be watched.
  int pidfd() const noexcept { return pidfd_.get(); }
  UniqueFd take_pidfd() noexcept { return std::move(pidfd_); }
  /// Kills the process and waits for its end: for a child that is not watched. False where it is still there after
  /// `patience`, stuck in the kernel.
  bool end(std::chrono::milliseconds patience = std::chrono::seconds(10)) noexcept;

 private:
  Child(int pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  int pid_ = 0;
  UniqueFd pidfd_;
};

/// Reaps the child behind `pidfd` if it has ended; nothing while it runs. Never blocks.
std::optional<ExitStatus> reap(int pidfd);

/// Ends whatever else is in the process group of a child that has ended: processes that it started itself. Does nothing
/// where the child runs, or was reaped by somebody: only a child that waits for us keeps its number from others.
void kill_group(int pid, int pidfd) noexcept;

/// Whether a process was stopped by a signal or a debugger.
bool is_stopped(int pid);

/// Sends a signal; a process that has ended already is no error.
void send_signal(int pidfd, int signal) noexcept;

}  // namespace tutti
