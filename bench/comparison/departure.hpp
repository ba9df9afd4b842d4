// What must not outlive tutti-bench, however it ends: children that compute, and folders for a time. Ctrl-C, SIGTERM
// and SIGHUP are awaited by a thread of its own, so no code runs inside a signal handler. Workers of a pool need no
// entry: the kernel ends them with their coordinator.
#pragma once

#include <atomic>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

namespace tutti::bench {

/// Create it first in main(), before any other thread: they inherit the blocked signals. A signal kills the children,
/// removes the folders, and ends the program with 128 + its number.
class Departure {
 public:
  Departure();
  ~Departure();
  Departure(const Departure&) = delete;
  Departure& operator=(const Departure&) = delete;

  /// A child, by its pidfd, until it is forgotten. Any thread.
  void take_along(int pidfd);
  void forget(int pidfd);
  /// A folder, with all that is in it. Any thread.
  void take_along(const std::filesystem::path& folder);
  void forget(const std::filesystem::path& folder);

 private:
  void run();

  std::mutex mutex_;
  std::set<int> children_;
  std::set<std::filesystem::path> folders_;
  std::atomic<bool> closing_ = false;
  std::thread thread_;
};

/// A fresh folder in that for temporary files; it and its content are gone with the object, or with the program.
class FolderForATime {
 public:
  /// Throws Error(failed).
  explicit FolderForATime(Departure& departure);
  FolderForATime(const FolderForATime&) = delete;
  FolderForATime& operator=(const FolderForATime&) = delete;
  ~FolderForATime();
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  Departure& departure_;
  std::filesystem::path path_;
};

}  // namespace tutti::bench
