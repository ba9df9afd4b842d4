// Files without a name: they hold what is written, and nothing of them can be seen or is left.
#include "common/nameless_file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

TEST_CASE("a file without a name does not appear in its folder") {
  const TemporaryFolder folder;
  const UniqueFd file = nameless_file(folder.path(), O_RDWR);
  if (!file) {
    MESSAGE("skipped: this file system has no such files");
    return;
  }
  CHECK(::write(file.get(), "x", 1) == 1);
  CHECK(folder.names().empty());
  CHECK((::fcntl(file.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a folder that is not there has no files without a name and errno says why") {
  errno = 0;
  CHECK_FALSE(nameless_file("/nowhere", O_RDWR));
  CHECK(errno == ENOENT);
}

TEST_CASE("a file in memory has the tag that is shown and can be sealed") {
  for (const Executable executable : {Executable::no, Executable::yes}) {
    const UniqueFd file = memory_file("some-tag", executable);
    REQUIRE(file);
    const auto link = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", file.get()));
    CHECK(link == "/memfd:tutti-some-tag (deleted)");
    CHECK(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    CHECK((::fcntl(file.get(), F_GETFD) & FD_CLOEXEC) != 0);
  }
}

}  // namespace
}  // namespace tutti::test
