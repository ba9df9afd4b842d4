// What must not outlive tutti-bench, however it ends: children that compute, and temporary folders. Workers of a pool
// need no entry: the kernel ends them with their coordinator.
#pragma once

#include <filesystem>
#include <set>

#include "common/mutex.hpp"
#include "common/signal_waiter.hpp"
#include "common/unique_fd.hpp"

namespace tutti::bench {

/// Create it first in main(), before any other thread: they inherit the blocked signals. A signal kills the children,
/// removes the folders, and ends the program with 128 + its number.
class Departure {
 public:
  Departure() = default;
  Departure(const Departure&) = delete;
  Departure& operator=(const Departure&) = delete;

  /// A child, by its pidfd, until it is forgotten. Any thread.
  void take_along(int pidfd);
  void forget(int pidfd);
  /// A folder, with all that is in it. Any thread.
  void take_along(const std::filesystem::path& folder);
  void forget(const std::filesystem::path& folder);

 private:
  [[noreturn]] void leave(int number);

  Mutex mutex_;
  std::set<int> children_ TUTTI_GUARDED_BY(mutex_);
  std::set<std::filesystem::path> folders_ TUTTI_GUARDED_BY(mutex_);
  SignalWaiter waiter_{[this](int number) { leave(number); }};  // last: it uses the others
};

/// A new folder in the folder for temporary files, removed with its content when the object or the program ends.
class FolderForATime {
 public:
  /// Throws Error(failed).
  explicit FolderForATime(Departure& departure);
  FolderForATime(const FolderForATime&) = delete;
  FolderForATime& operator=(const FolderForATime&) = delete;
  ~FolderForATime();
  const std::filesystem::path& path() const noexcept { return path_; }
  /// A way to the folder that is not its name: who creates missing folders cannot create it again once it is removed.
  std::filesystem::path held_path() const;

 private:
  Departure& departure_;
  std::filesystem::path path_;
  UniqueFd held_;
};

}  // namespace tutti::bench
