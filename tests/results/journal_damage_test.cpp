// Journals that were cut off, changed or made up: reading them is safe, and only correct records are used.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstring>
#include <span>
#include <string>

#include "common/checksum.hpp"
#include "results/journal.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/results/journals.hpp"

namespace tutti::images {
namespace {

using test::error_of;

TEST_CASE("a new empty file is a journal that has not started") {
  const test::TemporaryFolder folder;
  replace(folder.path(), "");
  CHECK_FALSE(Journal(folder.path()).begun());
  replace(folder.path(), "tutti-jou");
  CHECK_FALSE(Journal(folder.path()).begun());
  replace(folder.path(), "tutti-journal/3\n");
  Journal journal(folder.path());
  CHECK_FALSE(journal.begun());
  journal.begin(a_run());
  append(journal, 1);
  check_record(journal, 1);
}

TEST_CASE("of a file that was cut off anywhere the whole records count and the rest is written again") {
  const test::TemporaryFolder folder;
  write_journal(folder.path());
  const std::string whole = content(folder.path());
  for (std::size_t length = 0; length < whole.size(); length += 7) {
    CAPTURE(length);
    replace(folder.path(), whole.substr(0, length));
    {
      Journal journal(folder.path());
      CHECK_FALSE(journal.holds(2));
      if (!journal.begun()) journal.begin(a_run());
      if (!journal.holds(0)) append(journal, 0);
      append(journal, 2);
    }
    CHECK(content(folder.path()) == whole);
  }
}

TEST_CASE("any byte that was changed costs the record that it is in and those behind it") {
  const test::TemporaryFolder folder;
  write_journal(folder.path());
  const std::string whole = content(folder.path());
  for (std::size_t at = 16; at < whole.size(); at += 3) {
    CAPTURE(at);
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x40);
    replace(folder.path(), changed);
    const Journal journal(folder.path());
    CHECK_FALSE(journal.holds(2));
    if (journal.holds(0)) check_record(journal, 0);
  }
}

/// A record as the journal has it, with a checksum that is right.
std::string record(const std::string& payload) {
  std::string head(16, '\0');
  const std::uint64_t length = payload.size();
  const std::uint32_t crc = crc32(std::as_bytes(std::span(payload.data(), payload.size())));
  std::memcpy(&head[0], &length, sizeof length);
  std::memcpy(&head[8], &crc, sizeof crc);
  return head + payload;
}

std::string segment_payload(std::uint64_t first, std::uint32_t count, std::uint32_t files, const std::string& rest) {
  std::string payload(16, '\0');
  std::memcpy(&payload[0], &first, 8);
  std::memcpy(&payload[8], &count, 4);
  std::memcpy(&payload[12], &files, 4);
  return payload + rest;
}

TEST_CASE("records that lie about themselves with a right checksum are not believed") {
  const test::TemporaryFolder folder;
  {
    Journal journal(folder.path());
    journal.begin(a_run());
  }
  const std::string begin = content(folder.path());
  const std::string eight(8, '\0');
  const auto holds_any = [&](const std::string& payload) {
    replace(folder.path(), begin + record(payload));
    return Journal(folder.path()).finished_segments() > 0;
  };
  CHECK(holds_any(segment_payload(20, 20, 2, eight)));  // the form is right
  CHECK(holds_any(segment_payload(20, 20, 1, eight)));  // with four bytes of sums
  CHECK(holds_any(segment_payload(40, 10, 0, "")));
  CHECK_FALSE(holds_any(""));
  CHECK_FALSE(holds_any(std::string(15, '\0')));
  CHECK_FALSE(holds_any(segment_payload(10, 20, 2, eight)));  // begins between segments
  CHECK_FALSE(holds_any(segment_payload(60, 20, 2, eight)));  // behind the last image
  CHECK_FALSE(holds_any(segment_payload(20, 10, 2, eight)));  // of another length
  CHECK_FALSE(holds_any(segment_payload(40, 0, 2, eight)));   // of no image
  CHECK_FALSE(holds_any(segment_payload(20, 20, 3, eight)));  // more files than it is long
  CHECK_FALSE(holds_any(segment_payload(20, 20, 0xffffffff, eight)));
}

TEST_CASE("of a segment that is in the file twice the last record counts") {
  const test::TemporaryFolder folder;
  write_journal(folder.path());
  const std::string whole = content(folder.path());
  replace(folder.path(), whole + record(segment_payload(40, 10, 0, "x")) + record(segment_payload(20, 20, 0, "")));
  const Journal journal(folder.path());
  CHECK(journal.finished() == std::vector<std::uint64_t>{0, 1, 2});
  check_record(journal, 0);
  CHECK(journal.record(2) == SegmentRecord{{}, {std::byte{'x'}}});
}

TEST_CASE("the journals of earlier versions are rejected by name") {
  const test::TemporaryFolder folder;
  for (const char* magic : {"tutti-journal/1\n", "tutti-journal/2\n", "tutti-journal/30"}) {
    replace(folder.path(), std::string(magic) + "more");
    const auto error = error_of([&] { Journal journal(folder.path()); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() ==
          fmt::format("{} is the journal of another version of Tutti", (folder / "journal").string()));
    CHECK(error->detail() == "its run can only be continued by the version that began it");
    CHECK(error->hint() == fmt::format("remove {} to start again", (folder / "journal").string()));
    CHECK(content(folder.path()) == std::string(magic) + "more");
  }
}

TEST_CASE("headers that make no sense are those of a journal that has not started") {
  const test::TemporaryFolder folder;
  for (const char* text : {"", "{", "[]", "{}", R"({"images": 50})",
                           R"({"images": -1, "segment_images": 20, "members": 2, "fingerprint": {}})",
                           R"({"images": 50, "segment_images": 0, "members": 2, "fingerprint": {}})",
                           R"({"images": 50, "segment_images": 20, "members": 2, "fingerprint": []})",
                           R"({"images": 50, "segment_images": 20, "members": 2, "fingerprint": {"a": 1}})",
                           R"({"images": 50, "segment_images": 5000000000, "members": 2, "fingerprint": {}})"}) {
    CAPTURE(text);
    replace(folder.path(), "tutti-journal/3\n" + record(text));
    CHECK_FALSE(Journal(folder.path()).begun());
  }
  replace(
      folder.path(),
      "tutti-journal/3\n" + record(R"({"images": 50, "segment_images": 20, "members": 2, "fingerprint": {"a": "1"}})"));
  CHECK(Journal(folder.path()).header().fingerprint.at("a") == "1");
  // A header that claims to be larger than the file, or than any header can be.
  replace(folder.path(), "tutti-journal/3\n" + std::string(8, '\xff') + std::string(8, '\0'));
  CHECK_FALSE(Journal(folder.path()).begun());
  replace(folder.path(), "tutti-journal/3\n" + record(std::string((16 << 20) + 1, ' ')));
  CHECK_FALSE(Journal(folder.path()).begun());
}

TEST_CASE("another file of that name is not touched") {
  const test::TemporaryFolder folder;
  replace(folder.path(), "Dear diary, today we went to the lake");
  const auto error = error_of([&] { Journal journal(folder.path()); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == fmt::format("{} is not a journal of Tutti", (folder / "journal").string()));
  CHECK(error->detail() == "it begins with other bytes");
  CHECK(error->hint() == "move it away, or choose another folder: output=...");
  CHECK(content(folder.path()) == "Dear diary, today we went to the lake");
}

}  // namespace
}  // namespace tutti::images
