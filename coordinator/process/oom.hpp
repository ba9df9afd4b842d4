// Whether the kernel has killed processes because there was not enough memory. The kernel counts such kills, but the
// parent of the process only sees "killed by SIGKILL".
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace tutti {

/// For use by one thread.
class OutOfMemoryWatch {
 public:
  /// `vmstat` is /proc/vmstat: tests use their own file. Starts watching now.
  explicit OutOfMemoryWatch(std::filesystem::path vmstat = "/proc/vmstat");
  /// True if the kernel has killed a process of this machine because there was not enough memory since the last look;
  /// false if the counter cannot be read.
  bool look();

 private:
  std::optional<std::uint64_t> kills() const;
  std::filesystem::path vmstat_;
  std::optional<std::uint64_t> seen_;
};

}  // namespace tutti
