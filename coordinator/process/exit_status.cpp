#include "coordinator/process/exit_status.hpp"

#include <fmt/format.h>
#include <string.h>

namespace tutti {

std::string to_text(const ExitStatus& status) {
  if (const auto* exited = std::get_if<Exited>(&status)) return fmt::format("exited with code {}", exited->code);
  if (const auto* signaled = std::get_if<Signaled>(&status)) {
    const char* name = ::sigabbrev_np(signaled->signal);
    return name != nullptr ? fmt::format("was killed by SIG{}", name)
                           : fmt::format("was killed by signal {}", signaled->signal);
  }
  return "is gone, status unknown (this program ignores SIGCHLD, or waited for it elsewhere)";
}

}  // namespace tutti
