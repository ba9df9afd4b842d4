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
      return "too many processes or threads: raise 'ulimit -u' or the cgroup's pids.max";
    case EFBIG:
      return "the limit on the size of a file is too low: raise 'ulimit -f'";
    default:
      return {};
  }
}

std::string refusal_hint(int error) {
  if (error == EPERM || error == ENOSYS)
    return "a container, a sandbox or an old kernel refuses this system call: allow it in the container's seccomp "
           "profile, or use Linux 5.4 or newer";
  return limit_hint(error);
}

}  // namespace tutti
