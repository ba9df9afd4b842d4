// What is found of an earlier run, and the messages about it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "program/run/unfinished.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

using namespace program;
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
  CHECK(folder_to_resume(with_journal(folder / "here"), "/nowhere") == folder / "here");
  const auto error = error_of([&] { folder_to_resume(folder.path(), "/nowhere"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == fmt::format("there is nothing to resume in {}", folder.path().string()));
  CHECK(error->detail() == "it holds no journal: its run was completed, or was never started");
  CHECK(error->hint() == "leave --resume out");
}

TEST_CASE("without a name the numbered folder with the highest number and a journal is resumed") {
  const TemporaryFolder folder;
  const auto nothing = error_of([&] { folder_to_resume({}, folder.path()); });
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
  CHECK(folder_to_resume({}, folder.path()) == folder / "10");
  CHECK(error_of([] { folder_to_resume({}, "/nowhere"); }));
}

TEST_CASE("a folder with an unfinished run is not written over") {
  const TemporaryFolder folder;
  with_journal(folder / "started", 2);
  const auto error = error_of([&] { journal_before(false, folder / "started"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == fmt::format("{} holds an unfinished run (2 of 3 segments)", (folder / "started").string()));
  CHECK(error->hint() == fmt::format("continue it with --resume, or remove {} to start again",
                                     (folder / "started" / "journal").string()));
  CHECK(journal_before(true, folder / "started")->finished_segments() == 2);
}

TEST_CASE("a run with no finished segment starts again") {
  const TemporaryFolder folder;
  with_journal(folder / "started", 0);
  CHECK(journal_before(false, folder / "started").has_value());
  CHECK_FALSE(journal_before(false, folder / "fresh").has_value());
  CHECK_FALSE(journal_before(false, {}).has_value());
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

TEST_CASE("the command that continues a run can be typed as it is printed") {
  const TemporaryFolder folder;
  CHECK(finished_text(Journal(with_journal(folder / "started"))) == "finished 1 of 3 segments");
  CommandLine line;
  line.file = "my ensemble.yaml";
  line.overrides = {"seed=3", "combine={rule: vote}", "x=it's"};
  line.assign = {"a=cpu:0-1"};
  CHECK(resume_command(line, "runs/0007", false) ==
        "tutti run 'my ensemble.yaml' seed=3 'combine={rule: vote}' 'x=it'\\''s' output=runs/0007 --assign a=cpu:0-1 "
        "--resume");
  line = {};
  line.file = "e.yaml";
  line.worker = "/opt/tutti-worker";
  CHECK(resume_command(line, "runs/0007", true) == "tutti run e.yaml --worker /opt/tutti-worker --resume");
  line = {};
  line.file = "a.pt";
  line.overrides = {"b.pt"};
  line.images = "my photos";
  line.preprocess = "clip";
  line.rule = "vote";
  line.csv = "id,label";
  CHECK(resume_command(line, "runs/0007", false) ==
        "tutti run a.pt b.pt output=runs/0007 --images 'my photos' --preprocess clip --rule vote --csv id,label "
        "--resume");
}

}  // namespace
}  // namespace tutti::test
