// A process that lacks some of its standard streams.
#include "common/standard_streams.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "common/unique_fd.hpp"

namespace tutti::test {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

bool is_null(int fd) {
  struct stat here {};
  struct stat null {};
  return ::fstat(fd, &here) == 0 && ::stat("/dev/null", &null) == 0 && here.st_rdev == null.st_rdev &&
         S_ISCHR(here.st_mode);
}

/// Whether `holds` is true in a child without these descriptors.
template <class Call>
bool without(const std::vector<int>& closed, Call holds) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    for (const int fd : closed) ::close(fd);
    ::_exit(holds() ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

const std::vector<std::vector<int>> kMissing{{0}, {1}, {2}, {0, 1}, {1, 2}, {0, 2}, {0, 1, 2}};

TEST_CASE("a program gets /dev/null for each standard stream that is missing") {
  for (const auto& closed : kMissing)
    CHECK(without(closed, [&] {
      open_missing_standard_streams();
      for (const int fd : closed)
        if (!is_null(fd) || (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0) return false;
      return is_open(0) && is_open(1) && is_open(2);
    }));
}

TEST_CASE("standard streams that are there stay as they are and nothing else is opened") {
  CHECK(without({}, [] {
    struct stat before {};
    struct stat after {};
    const int next = ::dup(0);
    ::close(next);
    ::fstat(1, &before);
    open_missing_standard_streams();
    ::fstat(1, &after);
    return before.st_ino == after.st_ino && !is_open(next);
  }));
}

TEST_CASE("a library occupies the missing standard streams only for a while") {
  for (const auto& closed : kMissing)
    CHECK(without(closed, [&] {
      {
        const OccupiedStandardStreams occupied;
        if (!is_open(0) || !is_open(1) || !is_open(2)) return false;
      }
      for (int fd = 0; fd <= 2; ++fd)
        if (is_open(fd) == (std::find(closed.begin(), closed.end(), fd) != closed.end())) return false;
      return true;
    }));
}

TEST_CASE("what is opened without standard streams gets none of their numbers") {
  for (const auto& closed : kMissing)
    CHECK(without(closed, [&] {
      const UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
      char byte = 0;
      return file.get() > 2 && ::read(file.get(), &byte, 1) == 1 && (::fcntl(file.get(), F_GETFD) & FD_CLOEXEC) != 0 &&
             !is_open(closed.front());
    }));
}

}  // namespace
}  // namespace tutti::test
