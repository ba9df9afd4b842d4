// What is found of an earlier run, and the messages about it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "evaluation/run/unfinished.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

using images::Journal;

const images::JournalHeader kUnfinishedRun{50, 20, 1, {{"seed", "3"}, {"threads of a", "2"}}};

/// A folder with a journal that holds the first `segments` segments.
std::filesystem::path with_journal(const std::filesystem::path& folder, std::uint64_t segments = 1) {
  std::filesystem::create_directories(folder);
  Journal journal(folder);
  journal.begin(kUnfinishedRun);
  for (std::uint64_t segment = 0; segment < segments; ++segment) journal.append(segment, {}, {});
  return folder;
}

TEST_CASE("a named folder is resumed if it holds a journal") {
  const TemporaryFolder folder;
  CHECK(folder_to_resume(with_journal(folder / "here"), "/nowhere", "--resume") == folder / "here");
  const auto error = error_of([&] { folder_to_resume(folder.path(), "/nowhere", "--resume"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == fmt::format("there is nothing to resume in {}", folder.path().string()));
  CHECK(error->detail() == "it holds no journal: its run was completed, or was never started");
  CHECK(error->hint() == "leave --resume out");
}

TEST_CASE("without a name the numbered folder with the highest number and a journal is resumed") {
  const TemporaryFolder folder;
  const auto nothing = error_of([&] { folder_to_resume({}, folder.path(), "--resume"); });
  REQUIRE(nothing);
  CHECK(nothing->kind() == ErrorKind::usage);
  CHECK(nothing->message() == fmt::format("there is nothing to resume below {}", folder.path().string()));
  CHECK(nothing->detail() ==
        "no numbered folder there holds a journal: their runs were completed, or were never started");
  CHECK(nothing->hint() == "leave --resume out, or name the folder: output=...");
  with_journal(folder / "0009");
  with_journal(folder / "10");
  with_journal(folder / "digits");
  std::filesystem::create_directory(folder / "0011");
  CHECK(folder_to_resume({}, folder.path(), "--resume") == folder / "10");
  CHECK(error_of([] { folder_to_resume({}, "/nowhere", "--resume"); }));
}

TEST_CASE("a folder with an unfinished run is not written over") {
  const TemporaryFolder folder;
  with_journal(folder / "started", 2);
  const auto error = error_of([&] { journal_before(false, folder / "started", "--resume"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == fmt::format("{} holds an unfinished run (2 of 3 segments)", (folder / "started").string()));
  CHECK(error->hint() == fmt::format("continue it with --resume, or remove {} to start again",
                                     (folder / "started" / "journal").string()));
  CHECK(journal_before(true, folder / "started", "--resume")->finished_segments() == 2);
}

TEST_CASE("a run with no finished segment starts again") {
  const TemporaryFolder folder;
  with_journal(folder / "started", 0);
  CHECK(journal_before(false, folder / "started", "--resume").has_value());
  CHECK_FALSE(journal_before(false, folder / "fresh", "--resume").has_value());
  CHECK_FALSE(journal_before(false, {}, "--resume").has_value());
  CHECK_FALSE(std::filesystem::exists(folder / "fresh"));
}

TEST_CASE("a different run is refused with every difference") {
  const TemporaryFolder folder;
  const Journal journal(with_journal(folder / "started"));
  CHECK_FALSE(error_of([&] { check_same_run(journal, kUnfinishedRun); }));
  images::JournalHeader other = kUnfinishedRun;
  other.fingerprint = {{"seed", "4"}, {"threads of a", "1"}};
  const auto error = error_of([&] { check_same_run(journal, other); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() ==
        fmt::format("the run in {} is a different one and cannot be resumed", (folder / "started").string()));
  CHECK(error->detail() == "seed: was 3, now 4\n          threads of a: was 2, now 1");
  CHECK(error->hint() == fmt::format("run it as it was started, or remove {} to start again", journal.path().string()));
  other = kUnfinishedRun;
  other.images = 60;
  const auto cut = error_of([&] { check_same_run(journal, other); });
  REQUIRE(cut);
  CHECK(cut->detail() ==
        "cut: was 50 images in segments of 20 for 1 member, now 60 images in segments of 20 for 1 member");
}

TEST_CASE("how far an unfinished run came is said in segments") {
  const TemporaryFolder folder;
  CHECK(finished_text(Journal(with_journal(folder / "started"))) == "finished 1 of 3 segments");
}

}  // namespace
}  // namespace tutti::test
