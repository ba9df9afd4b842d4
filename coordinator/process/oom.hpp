// Whether the kernel has killed processes for want of memory: it says so in a counter, and to the victim's parent only
// "killed by SIGKILL".
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace tutti {

/// One thread.
class OutOfMemoryWatch {
 public:
  /// `vmstat` is /proc/vmstat: tests have their own. Begins to watch now.
  explicit OutOfMemoryWatch(std::filesystem::path vmstat = "/proc/vmstat");
  /// True where the kernel has killed some process of this machine for want of memory since the last look; false where
  /// it does not say.
  bool look();

 private:
  std::optional<std::uint64_t> kills() const;
  std::filesystem::path vmstat_;
  std::optional<std::uint64_t> seen_;
};

}  // namespace tutti
