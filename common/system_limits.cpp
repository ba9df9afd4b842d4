#include "common/system_limits.hpp"

#include <cerrno>

namespace tutti {

std::string limit_hint(int error) {
  switch (error) {
    case EMFILE:
      return "too many open files: raise 'ulimit -n'";
    case ENFILE:
      return "too many open files on this machine: raise the sysctl fs.file-max";
    case EAGAIN:
      return "too many processes: raise 'ulimit -u' or the cgroup's pids.max";
    default:
      return {};
  }
}

}  // namespace tutti
