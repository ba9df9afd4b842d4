// The journal of a run: its content comes back unchanged, and every failure is reported.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>

#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "common/system_limits.hpp"
#include "results/journal.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/limited_files.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/results/journals.hpp"

namespace tutti::images {
namespace {

using test::error_of;

TEST_CASE("what was journaled is there again with every byte when the file is opened again") {
  const test::TemporaryFolder folder;
  CHECK_FALSE(Journal::exists(folder.path()));
  write_journal(folder.path());
  CHECK(Journal::exists(folder.path()));
  const Journal journal(folder.path());
  CHECK(journal.begun());
  CHECK(journal.header() == a_run());
  CHECK(journal.finished() == std::vector<std::uint64_t>{0, 2});
  CHECK(journal.finished_segments() == 2);
  CHECK(journal.finished_images() == 30);
  CHECK(journal.holds(2));
  CHECK_FALSE(journal.holds(1));
  check_record(journal, 0);
  check_record(journal, 2);
}

TEST_CASE("a journal continues where it ended and can be removed") {
  const test::TemporaryFolder folder;
  write_journal(folder.path());
  {
    Journal journal(folder.path());
    append(journal, 1);
    check_record(journal, 1);
  }
  Journal journal(folder.path());
  CHECK(journal.finished() == std::vector<std::uint64_t>{0, 1, 2});
  check_record(journal, 1);
  journal.remove();
  CHECK(folder.names().empty());
  journal.remove();  // a file that is gone is none of our business
}

TEST_CASE("a journal that is started again holds nothing of before") {
  const test::TemporaryFolder folder;
  write_journal(folder.path());
  {
    Journal journal(folder.path());
    JournalHeader other = a_run();
    other.images = 100;
    journal.begin(other);
    CHECK(journal.finished_segments() == 0);
  }
  const Journal journal(folder.path());
  CHECK(journal.header().images == 100);
  CHECK(journal.finished_segments() == 0);
}

TEST_CASE("two runs cannot share a folder at the same time") {
  const test::TemporaryFolder folder;
  {
    const Journal first(folder.path());
    const auto error = error_of([&] { Journal second(folder.path()); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == fmt::format("another run is writing into {}", folder.path().string()));
    CHECK(error->detail() == "it holds the lock of the folder's journal");
    CHECK(error->hint() == "wait until it ends, or choose another folder: output=...");
  }
  CHECK_FALSE(error_of([&] { Journal second(folder.path()); }));
}

TEST_CASE("a record that does not fit the run is an error that names the segment") {
  const test::TemporaryFolder folder;
  write_journal(folder.path());
  const Error error = Journal(folder.path()).misfit(2);
  CHECK(error.kind() == ErrorKind::failed);
  CHECK(error.message() == fmt::format("the journal {} does not fit this run", (folder / "journal").string()));
  CHECK(error.detail() == "the record of segment 2 has another form");
  CHECK(error.hint() == fmt::format("remove {} to start again", (folder / "journal").string()));
}

TEST_CASE("a segment that was forgotten can be appended again, and then that record counts") {
  const test::TemporaryFolder folder;
  write_journal(folder.path());
  const SegmentRecord other{{1}, {}};
  {
    Journal journal(folder.path());
    journal.forget(0);
    CHECK(journal.finished() == std::vector<std::uint64_t>{2});
    CHECK(journal.finished_images() == 10);
    journal.append(0, other.checksums, other.sums);
    CHECK(journal.record(0) == other);
  }
  const Journal journal(folder.path());
  CHECK(journal.finished() == std::vector<std::uint64_t>{0, 2});
  CHECK(journal.record(0) == other);
  check_record(journal, 2);
}

TEST_CASE("a segment that was forgotten and not appended again is there when the journal is opened again") {
  const test::TemporaryFolder folder;
  write_journal(folder.path());
  Journal(folder.path()).forget(2);
  check_record(Journal(folder.path()), 2);
}

TEST_CASE("a journal that becomes shorter while it is read gives an error and no garbage") {
  const test::TemporaryFolder folder;
  write_journal(folder.path());
  const Journal journal(folder.path());
  std::filesystem::resize_file(folder / "journal", 40);
  const auto error = error_of([&] { journal.record(0); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == fmt::format("could not read {}", (folder / "journal").string()));
  CHECK(error->detail() == "it ended early");
}

TEST_CASE("a folder that is missing or may not be written to is named") {
  const auto missing = error_of([] { Journal journal("/nowhere"); });
  REQUIRE(missing);
  CHECK(missing->kind() == ErrorKind::failed);
  CHECK(missing->message() == "could not write /nowhere/journal");
  CHECK(missing->hint() == "create the folder /nowhere first");
  const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "journal");
  CHECK_FALSE(Journal::exists(folder.path()));
  const auto taken = error_of([&] { Journal journal(folder.path()); });
  REQUIRE(taken);
  CHECK(taken->hint() == "choose another name, or move that folder away");
}

TEST_CASE("without a free descriptor there is no journal and the reason is said") {
  const test::TemporaryFolder folder;
  const test::NoMoreFiles limit;
  const auto error = error_of([&] { Journal journal(folder.path()); });
  REQUIRE(error);
  CHECK(error->detail() == "Too many open files");
}

/// Files of this process may not grow beyond `bytes`, as on a disk that is full.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;
  ~FileLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_CASE("a record that does not fit on the disk is taken back and the journal stays good") {
  const test::TemporaryFolder folder;
  write_journal(folder.path());
  const std::string before = content(folder.path());
  Journal journal(folder.path());
  for (const rlim_t room : {0, 1, 16, 40, 60}) {
    CAPTURE(room);
    std::optional<Error> error;
    {
      const FileLimit limit(before.size() + room);
      error = error_of([&] { append(journal, 1); });
    }
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->message() == fmt::format("could not write {}", (folder / "journal").string()));
    CHECK(error->detail() == "File too large");
    CHECK(error->hint() == limit_hint(EFBIG));
    CHECK(content(folder.path()) == before);
    CHECK_FALSE(journal.holds(1));
  }
  append(journal, 1);
  check_record(journal, 1);
}

TEST_CASE("segments are counted with the short one at the end") {
  const JournalHeader run = a_run();
  CHECK(run.segments() == 3);
  CHECK(run.count_of(0) == 20);
  CHECK(run.count_of(2) == 10);
  CHECK(JournalHeader{}.segments() == 0);
  CHECK(JournalHeader{40, 20, 1, {}}.segments() == 2);
  CHECK(JournalHeader{~std::uint64_t{0}, 1, 1, {}}.segments() == ~std::uint64_t{0});
}

TEST_CASE("a segment of no files and no sums is finished too, and one of many is written whole") {
  const test::TemporaryFolder folder;
  const SegmentRecord large{std::vector<std::uint32_t>(3000, 5), std::vector<std::byte>(5'000'000, std::byte{3})};
  {
    Journal journal(folder.path());
    journal.begin(a_run());
    journal.append(0, {}, {});
    journal.append(1, large.checksums, large.sums);
  }
  const Journal journal(folder.path());
  CHECK(journal.record(0) == SegmentRecord{});
  CHECK(journal.record(1) == large);
}

}  // namespace
}  // namespace tutti::images
