// Tests of sinks whose files stay when they are not complete, and are continued by a later run.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "common/atomic_file.hpp"
#include "results/sinks.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::images {
namespace {

using test::TemporaryFolder;
using FileNames = std::vector<std::string>;

const ResultForm kThree{3, Dims{2}, Dims{}, {{"cnn-0", {2}}, {"cnn-1", {1}}}};

constexpr std::array kScores{0.25F, 0.75F, 0.5F, 0.5F, 1.0F, 0.0F};
constexpr std::array<std::int64_t, 3> kClasses{1, 0, 0};
constexpr std::array kOther{7.0F, 8.0F, 9.0F};

// Hands the images first .. first + count - 1 of the results above to `sink`.
void hand_on(Sink& sink, std::uint64_t first, std::uint32_t count) {
  const std::array members{MemberSegmentResult{2, std::span(kScores).subspan(first * 2, count * 2)},
                           MemberSegmentResult{1, std::span(kOther).subspan(first, count)}};
  SegmentResult result;
  result.first = first;
  result.count = count;
  result.members = members;
  result.width = 2;
  result.values = members[0].values;
  result.predicted = std::span(kClasses).subspan(first, count);
  sink.write(result);
}

FileNames names_in(const std::filesystem::path& folder) {
  FileNames names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TEST_CASE("a sink whose files stay is continued and gives the same files") {
  const TemporaryFolder right;
  NpySink whole(right.path(), kThree);
  hand_on(whole, 0, 3);
  whole.finish();
  const TemporaryFolder folder;
  {
    NpySink sink(folder.path(), kThree, nullptr, Unfinished::stays);
    hand_on(sink, 1, 1);
    sink.keep(true);
  }
  CHECK(names_in(folder.path()) == FileNames{"members", "predicted.npy.unfinished", "predictions.npy.unfinished"});
  NpySink sink(folder.path(), kThree, nullptr, Unfinished::continues);
  for (NpyWriter* writer : sink.writers()) writer->note_rows(1, 1);
  hand_on(sink, 0, 1);
  const SegmentResult known = sink.read(1, 1);
  CHECK(known.first == 1);
  CHECK(known.width == 2);
  CHECK(std::ranges::equal(known.values, std::span(kScores).subspan(2, 2)));
  CHECK(std::ranges::equal(known.predicted, std::span(kClasses).subspan(1, 1)));
  REQUIRE(known.members.size() == 2);
  CHECK(std::ranges::equal(known.members[1].values, std::span(kOther).subspan(1, 1)));
  SumReader nothing({});
  sink.read_segment(1, 1, nothing);
  hand_on(sink, 2, 1);
  sink.finish();
  CHECK(names_in(folder.path()) == FileNames{"members", "predicted.npy", "predictions.npy"});
  for (const char* file : {"predictions.npy", "predicted.npy", "members/cnn-0.npy", "members/cnn-1.npy"})
    CHECK(read_text(folder / file, "it") == read_text(right / file, "it"));
}

TEST_CASE("a sink whose files stay and are not kept leaves nothing") {
  const TemporaryFolder folder;
  {
    NpySink sink(folder.path(), kThree, nullptr, Unfinished::stays);
    hand_on(sink, 0, 2);
  }
  CHECK(folder.names().empty());
}

}  // namespace
}  // namespace tutti::images
