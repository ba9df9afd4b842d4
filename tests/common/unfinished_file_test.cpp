// Tests of files that stay when they are not complete (common/atomic_file.hpp), and are continued.
#include <doctest/doctest.h>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "common/atomic_file.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti {
namespace {

using test::TemporaryFolder;

void put_whole(const std::filesystem::path& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

TEST_CASE("a file that stays has a name from the start and goes with its object unless it is kept") {
  const TemporaryFolder folder;
  CHECK(unfinished_of("a/b.npy") == "a/b.npy.unfinished");
  for (const bool kept : {false, true}) {
    AtomicFile file(folder / "a.txt", Unfinished::stays);
    file.write_at(0, "012345");
    CHECK(folder.names() == std::vector<std::string>{"a.txt.unfinished"});
    file.keep(kept);
  }
  CHECK(read_text(folder / "a.txt.unfinished", "the text") == "012345");
  {
    const AtomicFile other(folder / "a.txt", Unfinished::stays);
    CHECK(read_text(folder / "a.txt.unfinished", "the text").empty());
  }
  CHECK(folder.names().empty());
}

TEST_CASE("a file is continued where it was and committed under its name") {
  const TemporaryFolder folder;
  {
    AtomicFile file(folder / "a.txt", Unfinished::stays);
    file.write_at(0, "0123");
    file.keep(true);
  }
  {
    AtomicFile file(folder / "a.txt", Unfinished::continues);
    std::string found(4, ' ');
    CHECK(file.read_at(0, std::as_writable_bytes(std::span(found))));
    CHECK(found == "0123");
    CHECK_FALSE(file.read_at(1, std::as_writable_bytes(std::span(found))));
    file.write_at(4, "45");
  }
  AtomicFile file(folder / "a.txt", Unfinished::continues);
  file.commit();
  CHECK(read_text(folder / "a.txt", "the text") == "012345");
  CHECK(folder.names() == std::vector<std::string>{"a.txt"});
}

TEST_CASE("a file that was in place already is taken from there to be continued") {
  const TemporaryFolder folder;
  put_whole(folder / "a.txt", "0123");
  AtomicFile file(folder / "a.txt", Unfinished::continues);
  CHECK(folder.names() == std::vector<std::string>{"a.txt.unfinished"});
  file.write_at(4, "45");
  file.commit();
  CHECK(read_text(folder / "a.txt", "the text") == "012345");
}

TEST_CASE("a file that stays is put in place as well, and no longer changes there when it is continued") {
  const TemporaryFolder folder;
  put_whole(folder / "a.txt", "old");
  {
    AtomicFile file(folder / "a.txt", Unfinished::stays);
    file.write_at(0, "0123");
    file.keep(true);
    file.link_as(folder / "a.txt");
  }
  CHECK(read_text(folder / "a.txt", "the text") == "0123");
  CHECK(folder.names().size() == 2);
  std::filesystem::rename(folder / "a.txt", folder / "elsewhere.txt");
  put_whole(folder / "a.txt", "another file");
  {
    const AtomicFile file(folder / "a.txt", Unfinished::continues);
    CHECK(read_text(folder / "a.txt", "the text") == "another file");
  }
  std::filesystem::rename(folder / "elsewhere.txt", folder / "a.txt");
  const AtomicFile file(folder / "a.txt", Unfinished::continues);
  CHECK(folder.names() == std::vector<std::string>{"a.txt.unfinished"});
}

TEST_CASE("a file that stays does not shorten an older one that is in place as well") {
  const TemporaryFolder folder;
  {
    AtomicFile file(folder / "a.txt", Unfinished::stays);
    file.write_at(0, "0123");
    file.keep(true);
    file.link_as(folder / "a.txt");
  }
  const AtomicFile other(folder / "a.txt", Unfinished::stays);
  CHECK(read_text(folder / "a.txt", "the text") == "0123");
  CHECK(read_text(folder / "a.txt.unfinished", "the text").empty());
}

}  // namespace
}  // namespace tutti
