// How a process ended, as a value, and in words. Not a bare int: 9 may be a code or a signal.
#pragma once

#include <string>
#include <variant>

namespace tutti {

struct Exited {
  int code = 0;
};
struct Signaled {
  int signal = 0;
};
/// Gone, but how it ended is unknown: the host program ignores SIGCHLD or has waited for all children.
struct GoneUnseen {};

using ExitStatus = std::variant<Exited, Signaled, GoneUnseen>;

/// "exited with code 7", "was killed by SIGKILL", "is gone, status unknown".
std::string to_text(const ExitStatus& status);

}  // namespace tutti
