// Tests of the recognition of Git LFS pointers.
#include "common/lfs_pointer.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <fstream>

#include "common/atomic_file.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/lfs_pointer_text.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

TEST_CASE("the text that Git LFS leaves in the place of a file is recognised by its beginning") {
  CHECK(is_lfs_pointer(kLfsPointer));
  CHECK_FALSE(is_lfs_pointer(""));
  CHECK_FALSE(is_lfs_pointer("version 1\nmembers: []\n"));
  CHECK_FALSE(is_lfs_pointer("# " + kLfsPointer));
}

TEST_CASE("a Git LFS pointer is an error that names the file and the command") {
  const TemporaryFolder folder;
  std::ofstream(folder / "a.pt") << kLfsPointer;
  const auto error = error_of([&] { refuse_lfs_pointer(folder / "a.pt"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == (folder / "a.pt").string() + " is a Git LFS pointer, not the file itself");
  CHECK(error->detail() == "the repository was cloned without its large files");
  CHECK(error->hint() == "run 'git lfs pull' in the repository");
  CHECK(error_of([&] { read_text(folder / "a.pt", "the text"); })->message() == error->message());
}

TEST_CASE("files that are no pointers and files that cannot be read are left to their readers") {
  const TemporaryFolder folder;
  std::ofstream(folder / "a.txt") << "version";
  CHECK_FALSE(error_of([&] { refuse_lfs_pointer(folder / "a.txt"); }));
  CHECK_FALSE(error_of([&] { refuse_lfs_pointer(folder / "absent"); }));
  CHECK_FALSE(error_of([&] { refuse_lfs_pointer(folder.path()); }));
}

}  // namespace
}  // namespace tutti::test
