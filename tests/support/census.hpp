// Counts what a process owns, so that a test can say that nothing was left behind. For tests only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tutti::test {

/// Longer than anything that a test waits for takes, sanitizers and a busy machine included.
constexpr std::chrono::seconds kPatience{60};

/// The processes whose parent is `pid`, zombies included.
std::vector<int> children_of(int pid);

/// The targets of the links in /proc/<pid>/fd, sorted: "/memfd:tutti-arena (deleted)", "anon_inode:[eventfd]".
std::vector<std::string> descriptors_of(int pid);

/// Processes, descriptors and mapped memory of this process. Two are compared.
struct Census {
  static Census now();
  std::vector<int> children;
  std::vector<std::string> descriptors;
  std::vector<std::string> mapped_memory;  ///< lines of /proc/self/maps that name memory of Tutti
  std::size_t threads = 0;
  friend bool operator==(const Census&, const Census&) = default;
  std::string text() const;
};

/// Starts and ends a thread, since the first one may bring another that stays (a sanitizer's).
void settle_threads();

/// Makes this process the parent of every orphan below it, so that a census sees grandchildren that were left behind.
void adopt_orphans();

/// True once the process has ended (a zombie counts), false if it is still there after `patience`.
bool ends(int pid, std::chrono::milliseconds patience = kPatience);

/// Looks again and again until `condition` holds; false if it does not within kPatience. For what cannot be awaited.
bool happens(const std::function<bool()>& condition);

/// Times that the first thread of a process went to sleep by itself: it stays where it is in a process that is idle.
std::uint64_t voluntary_switches(int pid);
/// The same of one thread of this process.
std::uint64_t voluntary_switches_of_thread(const std::string& name);
/// Seconds until the next timerfd of this process fires; nothing if none is set.
std::optional<double> next_timer();

}  // namespace tutti::test
