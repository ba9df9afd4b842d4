// Tests of the folders of runs.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "common/log.hpp"
#include "results/run_folder.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/ordinary_user.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/common/without_flock.hpp"

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

TEST_CASE("numbering continues after the highest number whatever other names there are") {
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
    CHECK(error->hint() == "choose another folder with 'output'");
  }
  CHECK(std::filesystem::file_size(folder / "results") == 4);
}

TEST_CASE("a link that leads nowhere in the place of the folder is an error that names both") {
  const TemporaryFolder folder;
  std::filesystem::create_symlink(folder / "gone", folder / "link");
  for (const char* requested : {"link", "link/below"}) {
    CAPTURE(requested);
    const auto error = error_of([&] { RunFolder(folder / requested, {}); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "cannot write results to " + (folder / requested).string());
    CHECK(error->detail() ==
          (folder / "link").string() + " is a link to " + (folder / "gone").string() + ", which does not exist");
    CHECK(error->hint() == "choose another folder with 'output'");
  }
  CHECK(error_of([&] { make_run_folder({}, folder / "link"); }));  // the place of numbered folders
  std::filesystem::create_directory(folder / "gone");
  CHECK_FALSE(error_of([&] { RunFolder(folder / "link/below", {}); }));
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

TEST_CASE("a folder that could not be made or written is found without making it") {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "x";
  const auto below = error_of([&] { check_run_folder(folder / "file" / "a", {}); });
  REQUIRE(below);
  CHECK(below->kind() == ErrorKind::usage);
  CHECK(below->message() == "cannot write results to " + (folder / "file" / "a").string());
  CHECK(below->detail() == (folder / "file").string() + " is not a folder");
  CHECK(error_of([&] { make_run_folder(folder / "file" / "a", {}); })->kind() == ErrorKind::usage);
  CHECK_FALSE(error_of([&] { check_run_folder({}, folder / "runs"); }));
  CHECK_FALSE(std::filesystem::exists(folder / "runs"));
  std::filesystem::create_directory(folder / "closed");
  ::chmod((folder / "closed").c_str(), 0555);
  const test::OrdinaryUser user;
  for (const auto& place : {folder / "closed", folder / "closed" / "a"}) {
    const auto closed = error_of([&] { check_run_folder(place, {}); });
    REQUIRE(closed);
    CHECK(closed->kind() == ErrorKind::failed);
    CHECK(closed->message() == "could not write into the folder " + place.string());
    CHECK(closed->detail() == "Permission denied");
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

TEST_CASE("a folder that was made and stayed empty goes and any other stays") {
  const TemporaryFolder folder;
  { const MadeFolder made({}, folder / "runs"); }
  CHECK_FALSE(std::filesystem::exists(folder / "runs" / "0001"));
  {
    const MadeFolder made(folder / "a", "");
    std::ofstream(made.path() / "result") << "a result";
    errno = ENOSPC;
  }
  CHECK(errno == ENOSPC);  // the program may be on its way to say why it ends
  CHECK(std::filesystem::exists(folder / "a" / "result"));
  std::filesystem::create_directory(folder / "before");
  { const MadeFolder there(folder / "before", ""); }
  CHECK(std::filesystem::exists(folder / "before"));
  {
    MadeFolder made(folder / "kept", "");
    made.keep();
  }
  CHECK(std::filesystem::exists(folder / "kept"));
  {
    MadeFolder made(folder / "moved", "");
    const MadeFolder other(std::move(made));
    CHECK(other.path() == folder / "moved");
  }
  CHECK_FALSE(std::filesystem::exists(folder / "moved"));
}

TEST_CASE("a folder is written into by one program at a time") {
  const TemporaryFolder folder;
  for (const bool requested : {true, false}) {
    std::optional<RunFolder> first(std::in_place, requested ? folder / "out" : std::filesystem::path(),
                                   folder / "runs");
    const std::filesystem::path path = first->path();
    CHECK(path == folder / (requested ? "out" : "runs/0001"));
    const auto error = error_of([&] { const RunFolder second(path, folder / "runs"); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "another tutti is writing into " + path.string());
    CHECK(error->detail() == "it holds the lock of this folder");
    CHECK(error->hint() == "wait until it ends, or choose another run folder");
    CHECK(std::filesystem::is_directory(path));
    CHECK(std::filesystem::is_empty(path));
    // A rejected program removes nothing, and a lock can be moved.
    const RunFolder moved(std::move(*first));
    first.reset();
    CHECK(error_of([&] { const RunFolder second(path, folder / "runs"); }));
  }
  CHECK_FALSE(error_of([&] { const RunFolder again(folder / "out", folder / "runs"); }));
}

TEST_CASE("programs that start and end at the same time never hold one folder or a folder that is gone") {
  const TemporaryFolder folder;
  constexpr std::size_t kPrograms = 4;
  constexpr int kEach = 5000;
  std::atomic<int> holders = 0;
  std::atomic<int> shared = 0;
  std::atomic<int> gone = 0;
  std::atomic<int> held = 0;
  {
    std::vector<std::jthread> programs;
    for (std::size_t program = 0; program < kPrograms; ++program)
      programs.emplace_back([&] {
        for (int i = 0; i < kEach; ++i)
          error_of([&] {
            const RunFolder out(folder / "out", "");
            ++held;
            if (holders++ != 0) ++shared;
            std::this_thread::yield();
            if (!std::filesystem::is_directory(out.path())) ++gone;
            --holders;
          });
      });
  }
  CHECK(held > 0);
  CHECK(shared == 0);
  CHECK(gone == 0);
}

TEST_CASE("if a folder cannot be locked a warning says so and the work is done") {
  const TemporaryFolder folder;
  for (const int code : {ENOLCK, EOPNOTSUPP, EBADF}) {
    std::vector<std::string> lines;
    log::set_output([&](log::Level level, std::string_view line) {
      if (level == log::Level::warning) lines.emplace_back(line);
    });
    const bool done = test::without_flock(code, [&] {
      const RunFolder out(folder / "out", "");
      std::ofstream(out.path() / "result") << "a result";
    });
    log::set_output({});
    if (!done) {
      std::puts("SKIPPED: this process may not filter its system calls");
      return;
    }
    CHECK(lines == std::vector<std::string>{"cannot lock " + (folder / "out").string() + " (" +
                                            std::generic_category().message(code) +
                                            "): make sure that no other tutti writes into it"});
    CHECK(std::filesystem::exists(folder / "out" / "result"));
  }
}

}  // namespace
}  // namespace tutti::images
