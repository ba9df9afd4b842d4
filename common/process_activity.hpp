// What a process has done so far and whether it could do more, as the kernel counts it: what tells a process that is
// slow from one that hangs. Only the numbers; what follows from them is decided elsewhere.
#pragma once

#include <cstdint>
#include <optional>

namespace tutti {

struct ProcessActivity {
  double cpu_seconds = 0;          ///< of all its threads, since it started; in steps of 10 ms
  std::uint32_t runnable = 0;      ///< threads that run now, or would if they were given a processor
  std::uint64_t major_faults = 0;  ///< pages that it had to wait for, from a file or from swap

  friend bool operator==(const ProcessActivity&, const ProcessActivity&) = default;
};

/// Nothing if the process has ended, or /proc cannot tell. Any thread.
std::optional<ProcessActivity> activity_of(int pid);

}  // namespace tutti
