// The nameless file of a checkpoint: where it is, and that nothing of it is left behind.
#include "coordinator/process/checkpoint_file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include <tutti/error.hpp>

#include "tests/common/error_of.hpp"
#include "tests/common/limited_files.hpp"
#include "tests/common/ordinary_user.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

/// Sets $TMPDIR for the lifetime of the object.
class TemporaryFilesIn {
 public:
  explicit TemporaryFilesIn(const std::filesystem::path& folder) {
    if (const char* before = std::getenv("TMPDIR")) before_ = before;
    ::setenv("TMPDIR", folder.c_str(), 1);
  }
  TemporaryFilesIn(const TemporaryFilesIn&) = delete;
  TemporaryFilesIn& operator=(const TemporaryFilesIn&) = delete;
  ~TemporaryFilesIn() {
    if (before_.empty())
      ::unsetenv("TMPDIR");
    else
      ::setenv("TMPDIR", before_.c_str(), 1);
  }

 private:
  std::string before_;
};

std::string place_of(const UniqueFd& file) {
  return std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", file.get())).string();
}

bool in_memory(const UniqueFd& file) { return contains(place_of(file), "memfd:tutti-checkpoint"); }

/// Checks what holds for every checkpoint file, on disk or in memory.
void check_file(const UniqueFd& file) {
  REQUIRE(file);
  CHECK((::fcntl(file.get(), F_GETFD) & FD_CLOEXEC) != 0);
  struct stat status {};
  REQUIRE(::fstat(file.get(), &status) == 0);
  CHECK(S_ISREG(status.st_mode));
  CHECK(status.st_size == 0);
  CHECK(status.st_nlink == 0);
  char byte = 'x';
  CHECK(::pwrite(file.get(), &byte, 1, 100) == 1);
  CHECK(::pread(file.get(), &byte, 1, 0) == 1);
  CHECK(byte == 0);
}

TEST_CASE("a checkpoint on disk has no name and leaves nothing in the folder") {
  const TemporaryFolder folder;
  const TemporaryFilesIn place(folder.path());
  if (!UniqueFd(::open(folder.path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600))) {
    std::puts("SKIPPED: this file system has no files without a name");
    return;
  }
  {
    const UniqueFd file = make_checkpoint_file();
    check_file(file);
    CHECK(place_of(file).starts_with(folder.path().string() + "/"));
    struct stat status {};
    REQUIRE(::fstat(file.get(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);  // no other user may read a member's state
    CHECK(folder.names().empty());
    const UniqueFd another = make_checkpoint_file();
    struct stat other {};
    REQUIRE(::fstat(another.get(), &other) == 0);
    CHECK(other.st_ino != status.st_ino);
  }
  CHECK(folder.names().empty());
}

ino_t inode_of(int fd) {
  struct stat status {};
  REQUIRE(::fstat(fd, &status) == 0);
  return status.st_ino;
}

TEST_CASE("each member keeps its files until a process that may write to them is left behind") {
  CheckpointFiles files;
  const auto inodes = [&](Rank rank) {
    const std::array<int, 2> both = files.of(rank);
    return std::array{inode_of(both[0]), inode_of(both[1])};
  };
  const auto first = inodes(Rank(0));
  const auto other = inodes(Rank(3));
  CHECK(first[0] != first[1]);
  CHECK(std::set{first[0], first[1], other[0], other[1]}.size() == 4);
  CHECK(inodes(Rank(0)) == first);
  files.leave_behind(Rank(0), 1);
  const auto later = inodes(Rank(0));
  CHECK(later[1] == first[1]);
  CHECK(inodes(Rank(3)) == other);
  files.leave_behind(Rank(3), std::nullopt);
  files.leave_behind(Rank(7), 0);  // it was never trained
  CHECK(inodes(Rank(0)) == later);
}

TEST_CASE("if the folder for temporary files does not support it a checkpoint is kept in memory") {
  const TemporaryFolder folder;
  for (const std::string& unusable : {(folder / "missing").string(), std::string("/proc"), std::string("/dev/null")}) {
    CAPTURE(unusable);
    const TemporaryFilesIn place(unusable);
    const UniqueFd file = make_checkpoint_file();
    check_file(file);
    CHECK(in_memory(file));
  }
}

TEST_CASE("if the folder for temporary files cannot be written a checkpoint is kept in memory") {
  const TemporaryFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec |
                                                  std::filesystem::perms::others_read |
                                                  std::filesystem::perms::others_exec);
  const TemporaryFilesIn place(folder.path());
  UniqueFd file;
  {
    const OrdinaryUser somebody;
    file = make_checkpoint_file();
  }
  CHECK(in_memory(file));
}

TEST_CASE("a checkpoint file without a free descriptor is refused with a hint") {
  std::optional<Error> error;
  {
    const NoMoreFiles limit;
    error = error_of([] { make_checkpoint_file(); });
  }
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "could not create a checkpoint file");
  CHECK(error->detail() == "Too many open files");
  CHECK(contains(error->hint(), "ulimit -n"));
}

}  // namespace
}  // namespace tutti::test
