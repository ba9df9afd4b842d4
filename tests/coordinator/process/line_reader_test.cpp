// Lines from bytes, in whatever pieces they arrive.
#include "coordinator/process/line_reader.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/random.hpp"

namespace tutti::test {
namespace {

/// The lines of `text` when it arrives in pieces of at most `piece` bytes.
std::vector<std::string> lines_of(std::string_view text, std::size_t piece) {
  std::vector<std::string> lines;
  LineReader reader([&](std::string_view line) { lines.emplace_back(line); });
  for (std::size_t at = 0; at < text.size(); at += piece) reader.add(text.substr(at, piece));
  reader.finish();
  return lines;
}

TEST_CASE("lines are the same in whatever pieces their bytes arrive") {
  const std::string text = "one\n\ntwo and more\r\n\xFF\n last without newline";
  const std::vector<std::string> expected{"one", "", "two and more\r", "\xFF", " last without newline"};
  for (std::size_t piece = 1; piece <= text.size(); ++piece) CHECK(lines_of(text, piece) == expected);
}

TEST_CASE("a line that is too long is cut into several and none is invented") {
  for (const std::size_t length :
       {kMaxLineBytes - 1, kMaxLineBytes, kMaxLineBytes + 1, 2 * kMaxLineBytes, 3 * kMaxLineBytes + 5})
    for (const std::size_t piece : {std::size_t{1}, std::size_t{4096}, kMaxLineBytes, length + 1, length}) {
      CAPTURE(length);
      CAPTURE(piece);
      const auto lines = lines_of(std::string(length, 'x') + "\nnext\n", piece);
      const std::size_t parts = (length + kMaxLineBytes - 1) / kMaxLineBytes;
      REQUIRE(lines.size() == parts + 1);
      std::size_t sum = 0;
      for (std::size_t i = 0; i < parts; ++i) {
        CHECK(lines[i].size() <= kMaxLineBytes);
        sum += lines[i].size();
      }
      CHECK(sum == length);
      CHECK(lines.back() == "next");
    }
}

TEST_CASE("nothing gives no line") {
  CHECK(lines_of("", 1).empty());
  CHECK(lines_of("\n", 1) == std::vector<std::string>{""});
}

}  // namespace
}  // namespace tutti::test
