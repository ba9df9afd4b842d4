// Tests of common/atomic_file.hpp: a file is there whole, or as it was before, and every failure says what to do.
#include "common/atomic_file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include "common/nameless_file.hpp"
#include "common/system_limits.hpp"
#include "common/unique_fd.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/ordinary_user.hpp"
#include "tests/common/small_disk.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti {
namespace {

using test::contains;
using test::error_of;
using test::kNoSmallDisk;
using test::mount_small_disk;
using test::OrdinaryUser;
using test::TemporaryFolder;

void put(const std::filesystem::path& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

// Limits the size of every file that this program writes, while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_CASE("files that are synced together appear at once, and a folder that is not there is named") {
  const TemporaryFolder folder;
  AtomicFile file(folder / "a.txt");
  file.write("whole");
  CHECK_FALSE(std::filesystem::exists(folder / "a.txt"));
  file.commit(Sync::later);
  CHECK(read_text(folder / "a.txt", "a file") == "whole");
  CHECK_NOTHROW(sync_files(folder.path()));
  const auto error = error_of([&] { sync_files(folder / "none"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "could not write " + (folder / "none").string());
}

TEST_CASE("what was written can be changed and shortened and committed under another name") {
  const TemporaryFolder folder;
  AtomicFile file(folder / "a.txt");
  file.write("0123456789");
  file.write_at(2, "AB");
  file.cut(8);
  file.write("end");
  file.commit_as(folder / "b.txt");
  CHECK(read_text(folder / "b.txt", "the text") == "01AB4567end");
  CHECK(folder.names() == std::vector<std::string>{"b.txt"});
}

TEST_CASE("a change that the file cannot take is an error that names it") {
  const TemporaryFolder folder;
  AtomicFile file(folder / "a.txt");
  file.write("0123");
  const FileSizeLimit limit(4);
  for (const auto& error : {error_of([&] { file.write_at(4, "x"); }), error_of([&] { file.cut(5); })}) {
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->message() == fmt::format("could not write {}", (folder / "a.txt").string()));
    CHECK(error->detail() == "File too large");
    CHECK(error->hint() == limit_hint(EFBIG));
  }
}

TEST_CASE("a committed file holds what was written in order and leaves no temporary file") {
  const TemporaryFolder folder;
  AtomicFile file(folder / "a.txt");
  CHECK(file.path() == folder / "a.txt");
  file.write("one ");
  file.write(std::as_bytes(std::span("two", 3)));
  file.write(std::string_view{});
  CHECK_FALSE(std::filesystem::exists(folder / "a.txt"));
  file.commit();
  CHECK(read_text(folder / "a.txt", "the text") == "one two");
  CHECK(folder.names() == std::vector<std::string>{"a.txt"});
}

TEST_CASE("a file that is not committed leaves the old one and nothing else") {
  const TemporaryFolder folder;
  put(folder / "a.txt", "old");
  {
    AtomicFile file(folder / "a.txt");
    file.write("new");
    CHECK(read_text(folder / "a.txt", "the text") == "old");
  }
  CHECK(read_text(folder / "a.txt", "the text") == "old");
  CHECK(folder.names() == std::vector<std::string>{"a.txt"});
}

/// Whether this folder's file system has files without a name.
bool has_nameless_files(const std::filesystem::path& folder) {
  return static_cast<bool>(nameless_file(folder, O_WRONLY));
}

TEST_CASE("a file has no name until it is committed") {
  const TemporaryFolder folder;
  if (!has_nameless_files(folder.path())) {
    std::puts("SKIPPED: this file system has no files without a name");
    return;
  }
  AtomicFile file(folder / "a.txt");
  file.write("text");
  CHECK(folder.names().empty());
  file.commit();
  CHECK(folder.names() == std::vector<std::string>{"a.txt"});
}

TEST_CASE("a process that is killed while it writes leaves the old file and nothing else") {
  const TemporaryFolder folder;
  if (!has_nameless_files(folder.path())) {
    std::puts("SKIPPED: this file system has no files without a name");
    return;
  }
  put(folder / "a.txt", "old");
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(folder / "a.txt");
    file.write("new");
    ::raise(SIGKILL);
  }
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  CHECK(read_text(folder / "a.txt", "the text") == "old");
  CHECK(folder.names() == std::vector<std::string>{"a.txt"});
}

TEST_CASE("a committed file has the rights that the user's mask leaves") {
  const TemporaryFolder folder;
  const mode_t before = ::umask(0027);
  put(folder / "a.txt", "text");
  ::umask(before);
  CHECK((std::filesystem::status(folder / "a.txt").permissions() & std::filesystem::perms::mask) ==
        static_cast<std::filesystem::perms>(0640));
}

TEST_CASE("a name that is too long is an error before anything is written") {
  const TemporaryFolder folder;
  const auto error = error_of([&] { AtomicFile file(folder / std::string(255, 'x')); });
  REQUIRE(error);
  CHECK(error->detail() == "File name too long");
}

TEST_CASE("a committed file replaces the old one") {
  const TemporaryFolder folder;
  put(folder / "a.txt", "a long old text");
  put(folder / "a.txt", "new");
  CHECK(read_text(folder / "a.txt", "the text") == "new");
}

TEST_CASE("two files for one name do not disturb each other and the last commit wins") {
  const TemporaryFolder folder;
  AtomicFile first(folder / "a.txt");
  AtomicFile second(folder / "a.txt");
  first.write("first");
  second.write("second");
  second.commit();
  first.commit();
  CHECK(read_text(folder / "a.txt", "the text") == "first");
  CHECK(folder.names().size() == 1);
}

TEST_CASE("a moved file continues where it was and is removed once") {
  const TemporaryFolder folder;
  std::optional<AtomicFile> moved;
  {
    AtomicFile file(folder / "a.txt");
    file.write("one ");
    moved.emplace(std::move(file));
  }
  moved->write("two");
  moved->commit();
  { const AtomicFile dropped(AtomicFile(folder / "b.txt")); }
  CHECK(read_text(folder / "a.txt", "the text") == "one two");
  CHECK(folder.names() == std::vector<std::string>{"a.txt"});
}

TEST_CASE("a name without a folder is written to the current folder") {
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  put("plain.txt", "here");
  std::filesystem::current_path(before);
  CHECK(read_text(folder / "plain.txt", "the text") == "here");
}

TEST_CASE("a missing folder is an error that says to create it") {
  const TemporaryFolder folder;
  const auto error = error_of([&] { AtomicFile file(folder / "none" / "a.txt"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "could not write " + (folder / "none" / "a.txt").string());
  CHECK(error->detail() == "No such file or directory");
  CHECK(error->hint() == "create the folder " + (folder / "none").string() + " first");
}

TEST_CASE("a folder that is a link to nothing is an error that names both") {
  const TemporaryFolder folder;
  std::filesystem::create_symlink("gone", folder / "link");
  const auto error = error_of([&] { AtomicFile file(folder / "link" / "a.txt"); });
  REQUIRE(error);
  CHECK(error->message() == "could not write " + (folder / "link" / "a.txt").string());
  CHECK(error->hint() == (folder / "link").string() + " is a link to gone, which does not exist");
}

TEST_CASE("a file in the place of the folder is an error that says to create the folder") {
  const TemporaryFolder folder;
  put(folder / "a.txt", "a file");
  const auto error = error_of([&] { AtomicFile file(folder / "a.txt" / "b.txt"); });
  REQUIRE(error);
  CHECK(error->detail() == "Not a directory");
  CHECK(contains(error->hint(), "create the folder"));
}

TEST_CASE("a folder in the place of the file is an error before anything is written") {
  const TemporaryFolder folder;
  for (const auto& path : {folder.path(), folder.path() / ""}) {
    const auto error = error_of([&] { AtomicFile file(path); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->detail() == "Is a directory");
    CHECK(error->hint() == "choose another name, or move that folder away");
  }
}

TEST_CASE("a folder that appears while the file is written is an error at the commit") {
  const TemporaryFolder folder;
  AtomicFile file(folder / "a");
  std::filesystem::create_directory(folder / "a");
  const auto error = error_of([&] { file.commit(); });
  REQUIRE(error);
  CHECK(error->detail() == "Is a directory");
}

TEST_CASE("a folder without permission is an error that says to make it writable") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "closed");
  ::chmod((folder / "closed").c_str(), 0555);
  const OrdinaryUser user;
  const auto error = error_of([&] { AtomicFile file(folder / "closed" / "a.txt"); });
  REQUIRE(error);
  CHECK(error->detail() == "Permission denied");
  CHECK(error->hint() == "make " + (folder / "closed").string() + " writable for this user, or choose another folder");
}

TEST_CASE("a file over the size limit is an error and the old file stays") {
  const TemporaryFolder folder;
  put(folder / "a.txt", "old");
  {
    const FileSizeLimit limit(4096);
    const auto error = error_of([&] { put(folder / "a.txt", std::string(10000, 'x')); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->detail() == "File too large");
    CHECK(error->hint() == limit_hint(EFBIG));
  }
  CHECK(read_text(folder / "a.txt", "the text") == "old");
  CHECK(folder.names().size() == 1);
}

// Runs in a child: a mount namespace is for good. Exit status: 0 as wished, else what failed.
int fill_small_disk(const std::filesystem::path& mount_point) {
  if (!mount_small_disk(mount_point)) return kNoSmallDisk;
  put(mount_point / "a.txt", "old");
  const auto error = error_of([&] { put(mount_point / "a.txt", std::string(1 << 20, 'x')); });
  if (!error || error->detail() != "No space left on device") return 1;
  if (error->hint() != "free space below " + mount_point.string() + ", or choose another folder") return 2;
  return read_text(mount_point / "a.txt", "the text") == "old" ? 0 : 3;
}

TEST_CASE("a full disk is an error that says to free space and the old file stays") {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(fill_small_disk(folder.path()));
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNoSmallDisk) {
    std::puts("SKIPPED: a small disk cannot be mounted here");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("reading a missing text names what it was to be") {
  const auto error = error_of([] { read_text("/nowhere/a.yaml", "the configuration"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "cannot read the configuration /nowhere/a.yaml");
  CHECK(error->detail() == "No such file or directory");
}

TEST_CASE("reading a folder as text is an error") {
  const TemporaryFolder folder;
  const auto error = error_of([&] { read_text(folder.path(), "the configuration"); });
  REQUIRE(error);
  CHECK(error->detail() == "Is a directory");
}

TEST_CASE("a text longer than the read buffer is read whole") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 50000; ++i) text += std::to_string(i);
  put(folder / "a.txt", text);
  CHECK(read_text(folder / "a.txt", "the text") == text);
}

}  // namespace
}  // namespace tutti
