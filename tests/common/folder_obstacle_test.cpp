// What is in the way of a folder: files, links that lead nowhere, missing permission.
#include "common/folder_obstacle.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cerrno>
#include <fstream>

#include "tests/common/ordinary_user.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

TEST_CASE("a file or a link that leads nowhere is in the way of a folder") {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "x";
  std::filesystem::create_symlink(folder / "gone", folder / "link");
  CHECK(folder_obstacle(folder.path()).empty());
  CHECK(folder_obstacle(folder / "a/b/c").empty());
  CHECK(folder_obstacle("nothing/of/this").empty());
  CHECK(folder_obstacle(folder / "file") == "it is not a folder");
  CHECK(folder_obstacle(folder / "file/a/b") == (folder / "file").string() + " is not a folder");
  CHECK(folder_obstacle(folder / "link/a").starts_with((folder / "link").string() + " is a link to "));
}

TEST_CASE("a folder that may not be written denies what is below it") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "closed");
  ::chmod((folder / "closed").c_str(), 0555);
  const OrdinaryUser user;
  CHECK(folder_denial(folder / "closed") == EACCES);
  CHECK(folder_denial(folder / "closed/a/b") == EACCES);
  ::chmod((folder / "closed").c_str(), 0755);
}

TEST_CASE("a folder that may be written denies nothing") {
  const TemporaryFolder folder;
  CHECK(folder_denial(folder.path()) == 0);
  CHECK(folder_denial(folder / "a/b") == 0);
}

}  // namespace
}  // namespace tutti::test
