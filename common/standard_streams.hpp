// The numbers 0, 1 and 2, which a process may lack: a shell closes them with `>&-`, and some daemons and cron jobs
// start programs without them. A file that then gets such a number receives whatever is printed.
#pragma once

#include <array>

namespace tutti {

/// For programs, as the first thing in main(): opens /dev/null at each of 0, 1 and 2 that is closed.
void open_missing_standard_streams() noexcept;

/// For the library, which does not own these numbers: none of them is free while this lives, so what another library
/// opens meanwhile gets a higher one. For what opens files itself, see UniqueFd.
class OccupiedStandardStreams {
 public:
  OccupiedStandardStreams() noexcept;
  OccupiedStandardStreams(const OccupiedStandardStreams&) = delete;
  OccupiedStandardStreams& operator=(const OccupiedStandardStreams&) = delete;
  ~OccupiedStandardStreams();

 private:
  std::array<bool, 3> ours_{};
};

}  // namespace tutti
