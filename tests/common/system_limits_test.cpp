// What to raise, for each reason why the system rejects something.
#include "common/system_limits.hpp"

#include <doctest/doctest.h>

#include <cerrno>

namespace tutti::test {
namespace {

TEST_CASE("each limit of the system is named with what raises it") {
  CHECK(limit_hint(EMFILE) == "too many open files: raise 'ulimit -n'");
  CHECK(limit_hint(ENFILE) == "too many open files on this machine: raise the sysctl fs.file-max");
  CHECK(limit_hint(EFBIG) == "the limit on the size of a file is too low: raise 'ulimit -f'");
  CHECK(limit_hint(EAGAIN) == "too many processes or threads: raise 'ulimit -u' or the cgroup's pids.max");
}

TEST_CASE("an error without a limit has no hint") {
  for (const int error : {0, EPERM, ENOENT, ENOMEM, ENOSPC, EIO, -1}) {
    CAPTURE(error);
    CHECK(limit_hint(error).empty());
  }
}

TEST_CASE("a system call that is refused points at the container and a limit at the limit") {
  for (const int error : {EPERM, ENOSYS}) {
    CAPTURE(error);
    CHECK(refusal_hint(error) ==
          "a container, a sandbox or an old kernel refuses this system call: allow it in the container's seccomp "
          "profile, or use Linux 5.4 or newer");
  }
  for (const int error : {EMFILE, ENFILE, EFBIG, EAGAIN, ENOENT, ENOMEM, 0}) {
    CAPTURE(error);
    CHECK(refusal_hint(error) == limit_hint(error));
  }
}

}  // namespace
}  // namespace tutti::test
