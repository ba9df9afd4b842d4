// Tests of the folders of runs.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <set>
#include <thread>
#include <vector>

#include "images/run_folder.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/ordinary_user.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::images {
namespace {

using test::error_of;
using test::TemporaryFolder;

TEST_CASE("a requested folder is created with its parents") {
  const TemporaryFolder folder;
  CHECK(make_run_folder(folder / "a" / "b", folder / "runs") == folder / "a" / "b");
  CHECK(std::filesystem::is_directory(folder / "a" / "b"));
  CHECK_FALSE(std::filesystem::exists(folder / "runs"));
}

TEST_CASE("a requested folder that exists keeps what is in it") {
  const TemporaryFolder folder;
  std::ofstream(folder / "kept.txt") << "kept";
  CHECK(make_run_folder(folder.path(), folder / "runs") == folder.path());
  CHECK(std::filesystem::exists(folder / "kept.txt"));
}

TEST_CASE("without a request runs are numbered from 0001") {
  const TemporaryFolder folder;
  CHECK(make_run_folder({}, folder / "runs") == folder / "runs" / "0001");
  CHECK(make_run_folder({}, folder / "runs") == folder / "runs" / "0002");
  CHECK(std::filesystem::is_directory(folder / "runs" / "0002"));
}

TEST_CASE("numbering goes on after the highest number whatever else stands there") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "0041");
  std::filesystem::create_directories(folder / "demo");
  std::filesystem::create_directories(folder / "99-old");
  std::ofstream(folder / "0042") << "a file";
  CHECK(make_run_folder({}, folder.path()) == folder / "0043");
  std::filesystem::create_directories(folder / "9999");
  CHECK(make_run_folder({}, folder.path()) == folder / "10000");
}

TEST_CASE("runs that start at the same time get different folders") {
  const TemporaryFolder folder;
  constexpr std::size_t kRuns = 8;
  constexpr std::size_t kEach = 10;
  std::vector<std::vector<std::filesystem::path>> found(kRuns);
  {
    std::vector<std::jthread> runs;
    for (auto& mine : found)
      runs.emplace_back([&] {
        for (std::size_t i = 0; i < kEach; ++i) mine.push_back(make_run_folder({}, folder / "runs"));
      });
  }
  std::set<std::filesystem::path> distinct;
  for (const auto& mine : found) distinct.insert(mine.begin(), mine.end());
  CHECK(distinct.size() == kRuns * kEach);
}

TEST_CASE("a file in the place of the folder is an error and stays") {
  const TemporaryFolder folder;
  std::ofstream(folder / "results") << "text";
  for (const bool requested : {true, false}) {
    const auto error = error_of(
        [&] { requested ? make_run_folder(folder / "results", {}) : make_run_folder({}, folder / "results"); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "cannot write results to " + (folder / "results").string());
    CHECK(error->detail() == "it is not a folder");
    CHECK(error->hint() == "choose another folder with `output:`");
  }
  CHECK(std::filesystem::file_size(folder / "results") == 4);
}

TEST_CASE("a folder that cannot be created is an error that names it") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "closed");
  ::chmod((folder / "closed").c_str(), 0555);
  const test::OrdinaryUser user;
  for (const bool requested : {true, false}) {
    const auto error = error_of(
        [&] { requested ? make_run_folder(folder / "closed" / "a", {}) : make_run_folder({}, folder / "closed"); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->message() ==
          "could not create the folder " + (folder / "closed" / (requested ? "a" : "0001")).string());
    CHECK(error->detail() == "Permission denied");
  }
}

TEST_CASE("a folder that cannot be looked into is an error and no other exception") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "hidden");
  ::chmod((folder / "hidden").c_str(), 0600);
  const test::OrdinaryUser user;
  const auto error = error_of([&] { make_run_folder(folder / "hidden" / "a", {}); });
  REQUIRE(error);
  CHECK(error->detail() == "Permission denied");
}

TEST_CASE("runs are numbered in a folder that cannot be listed") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "runs" / "0001");
  ::chmod((folder / "runs").c_str(), 0333);
  const test::OrdinaryUser user;
  CHECK(make_run_folder({}, folder / "runs") == folder / "runs" / "0002");
}

}  // namespace
}  // namespace tutti::images
