// A child process: started with posix_spawn, watched and signalled through its pidfd, so that a reused pid is
// never hit. It knows nothing of workers or channels.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/unique_fd.hpp"
#include "coordinator/process/exit_status.hpp"

namespace tutti {

/// Everything is prepared before the spawn, because nothing can be corrected after it.
struct SpawnRequest {
  std::filesystem::path program;
  std::vector<std::string> arguments;                            ///< without argv[0]
  std::vector<std::pair<std::string, std::string>> environment;  ///< added to ours, replacing equal names
  std::vector<int> descriptors;  ///< descriptors[i] becomes the child's number i; -1: /dev/null
};

/// A started child. A resource: moves, does not copy. Destroying it does not end the process.
class Child {
 public:
  /// Call it on a thread that outlives the child: a parent-death signal follows the thread. The child starts in a
  /// separate process group, with default signal handling, an empty signal mask, and only the descriptors of the
  /// request (all our other descriptors are close-on-exec). Throws Error(failed) naming the program.
  static Child spawn(const SpawnRequest& request);

  /// A process that is already our child, created by another one on our behalf (CLONE_PARENT). Throws Error(failed) if
  /// it is not our child, or cannot be watched.
  static Child adopt(int pid);

  int pid() const noexcept { return pid_; }
  /// Readable once the process has ended, with all its threads and memory. -1 if it ended, and was reaped by other
  /// code, before it could be watched.
  int pidfd() const noexcept { return pidfd_.get(); }
  UniqueFd take_pidfd() noexcept { return std::move(pidfd_); }
  /// Kills the process and waits for its end; for a child that is not watched. False if it still exists after
  /// `patience`, stuck in the kernel.
  bool end(std::chrono::milliseconds patience = std::chrono::seconds(10)) noexcept;

 private:
  Child(int pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  int pid_ = 0;
  UniqueFd pidfd_;
};

/// Reaps the child behind `pidfd` if it has ended; nothing while it runs. Never blocks.
std::optional<ExitStatus> reap(int pidfd);

/// Kills the other processes in the group of a child that has ended, which the child started itself. Does nothing if
/// the child is running or was reaped: only while a child waits to be reaped can no other process get its number.
void kill_group(int pid, int pidfd) noexcept;

/// Whether a process was stopped by a signal or a debugger.
bool is_stopped(int pid);

/// Sends a signal; it is not an error if the process has already ended.
void send_signal(int pidfd, int signal) noexcept;

}  // namespace tutti
