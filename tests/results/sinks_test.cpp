// Tests of the sinks: files that appear together at the end, and results in memory.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "images/npy.hpp"
#include "results/sinks.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::images {
namespace {

using test::error_of;
using test::TemporaryFolder;

const ResultForm kForm{3, Dims{2}, Dims{}, {{"cnn-0", {2}}, {"cnn-1", {1}}}};

constexpr std::array kValues{0.25F, 0.75F, 0.5F, 0.5F, 1.0F, 0.0F};
constexpr std::array<std::int64_t, 3> kPredicted{1, 0, 0};
constexpr std::array kSecond{7.0F, 8.0F, 9.0F};

// Hands the images first .. first + count - 1 of the results above to `sink`.
void hand(Sink& sink, std::uint64_t first, std::uint32_t count, bool combined = true) {
  const std::array members{MemberSegmentResult{2, std::span(kValues).subspan(first * 2, count * 2)},
                           MemberSegmentResult{1, std::span(kSecond).subspan(first, count)}};
  SegmentResult result;
  result.first = first;
  result.count = count;
  result.members = members;
  if (combined) {
    result.width = 2;
    result.values = members[0].values;
    result.predicted = std::span(kPredicted).subspan(first, count);
  }
  sink.write(result);
}

struct Array {
  std::vector<std::uint64_t> shape;
  std::string descr;
  std::vector<float> floats;
};

Array load(const std::filesystem::path& path) {
  const InputFile file(path);
  const NpyHeader header = read_npy_header(file);
  Array array{header.shape, header.descr, {}};
  if (header.descr == "<f4") {
    array.floats.resize((file.size() - header.data_offset) / 4);
    file.read(header.data_offset, std::as_writable_bytes(std::span(array.floats)));
  } else {
    std::vector<std::int64_t> integers((file.size() - header.data_offset) / 8);
    file.read(header.data_offset, std::as_writable_bytes(std::span(integers)));
    array.floats.assign(integers.begin(), integers.end());
  }
  return array;
}

using Names = std::vector<std::string>;

Names sorted_names(const std::filesystem::path& folder) {
  Names names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TEST_CASE("a finished sink has written the scores and classes and each member") {
  const TemporaryFolder folder;
  NpySink sink(folder.path(), kForm);
  hand(sink, 0, 2);
  hand(sink, 2, 1);
  sink.finish();
  const Array predictions = load(folder / "predictions.npy");
  CHECK(predictions.shape == std::vector<std::uint64_t>{3, 2});
  CHECK(predictions.floats == std::vector<float>(kValues.begin(), kValues.end()));
  const Array predicted = load(folder / "predicted.npy");
  CHECK(predicted.descr == "<i8");
  CHECK(predicted.shape == std::vector<std::uint64_t>{3});
  CHECK(predicted.floats == std::vector{1.0F, 0.0F, 0.0F});
  CHECK(load(folder / "members" / "cnn-0.npy").floats == predictions.floats);
  CHECK(load(folder / "members" / "cnn-1.npy").shape == std::vector<std::uint64_t>{3, 1});
  CHECK(load(folder / "members" / "cnn-1.npy").floats == std::vector{7.0F, 8.0F, 9.0F});
  CHECK(folder.names().size() == 3);
}

TEST_CASE("labels are kept with the members if they are asked for and cut off with them") {
  const TemporaryFolder folder;
  ResultForm form = kForm;
  form.labels = true;
  const std::array<std::int64_t, 2> labels{1, 0};
  const auto write_two = [&](NpySink& sink) {
    const std::array members{MemberSegmentResult{2, std::span(kValues).first(4)},
                             MemberSegmentResult{1, std::span(kSecond).first(2)}};
    SegmentResult result;
    result.count = 2;
    result.width = 2;
    result.members = members;
    result.values = members[0].values;
    result.predicted = std::span(kPredicted).first(2);
    result.labels = labels;
    sink.write(result);
  };
  NpySink cut(folder.path(), form);
  write_two(cut);
  cut.finish_partial();
  CHECK(load(folder / "labels.partial.npy").floats == std::vector{1.0F, 0.0F});
  form.images = 2;
  NpySink whole(folder.path(), form);
  write_two(whole);
  whole.finish();
  CHECK(load(folder / "labels.npy").descr == "<i8");
  CHECK(load(folder / "labels.npy").floats == std::vector{1.0F, 0.0F});
  CHECK_FALSE(std::filesystem::exists(folder / "labels.partial.npy"));
}

TEST_CASE("the spread is a file in its own shape and is cut off with the others") {
  const TemporaryFolder folder;
  ResultForm form{3, Dims{2}, Dims{}, {}};
  form.spread = Dims{2, 2};
  const auto write = [](Sink& sink, std::uint32_t count) {
    const std::vector<float> spread{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    SegmentResult result;
    result.count = count;
    result.width = 2;
    result.values = std::span(kValues).first(count * 2);
    result.predicted = std::span(kPredicted).first(count);
    result.spread = std::span(spread).first(count * 4);
    CHECK(result.spread_width() == 4);
    sink.write(result);
  };
  NpySink cut(folder.path(), form);
  write(cut, 2);
  cut.finish_partial();
  CHECK(load(folder / "spread.partial.npy").shape == std::vector<std::uint64_t>{2, 2, 2});
  NpySink whole(folder.path(), form);
  write(whole, 3);
  whole.finish();
  CHECK(load(folder / "spread.npy").shape == std::vector<std::uint64_t>{3, 2, 2});
  CHECK(load(folder / "spread.npy").floats.back() == 12);
  CHECK_FALSE(std::filesystem::exists(folder / "spread.partial.npy"));
  MemorySink memory(form);
  write(memory, 3);
  const Predictions predictions = memory.take();
  CHECK(predictions.spread == load(folder / "spread.npy").floats);
  CHECK(predictions.spread_shape == Dims{2, 2});
}

TEST_CASE("members that are not kept have no folder and features no classes") {
  const TemporaryFolder folder;
  {
    NpySink sink(folder.path(), {1, Dims{2}, std::nullopt, {}});
    hand(sink, 0, 1, true);
    sink.finish();
  }
  CHECK(folder.names() == std::vector<std::string>{"predictions.npy"});
}

TEST_CASE("the rule none writes only the members") {
  const TemporaryFolder folder;
  {
    NpySink sink(folder.path(), {3, std::nullopt, std::nullopt, kForm.members});
    hand(sink, 0, 3, false);
    sink.finish();
  }
  CHECK(folder.names() == std::vector<std::string>{"members"});
}

TEST_CASE("a sink that is not finished leaves nothing and the old results stay") {
  const TemporaryFolder folder;
  {
    NpySink sink(folder.path(), kForm);
    hand(sink, 0, 3);
  }
  CHECK(folder.names().empty());
  std::filesystem::create_directory(folder / "members");
  std::ofstream(folder / "predictions.npy") << "old";
  std::ofstream(folder / "members" / "cnn-0.npy") << "old";
  {
    NpySink sink(folder.path(), kForm);
    hand(sink, 0, 3);
  }
  CHECK(std::filesystem::file_size(folder / "predictions.npy") == 3);
  CHECK(std::filesystem::file_size(folder / "members" / "cnn-0.npy") == 3);
  CHECK(folder.names().size() == 2);
}

TEST_CASE("a run of no images gives arrays of no rows") {
  const TemporaryFolder folder;
  NpySink sink(folder.path(), {0, Dims{10}, Dims{}, {}});
  sink.finish();
  CHECK(load(folder / "predictions.npy").shape == std::vector<std::uint64_t>{0, 10});
  CHECK(load(folder / "predicted.npy").shape == std::vector<std::uint64_t>{0});
}

TEST_CASE("a sink that got too few images is an error and leaves nothing") {
  const TemporaryFolder folder;
  {
    NpySink sink(folder.path(), kForm);
    hand(sink, 0, 2);
    const auto error = error_of([&] { sink.finish(); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->detail() == "6 values announced, and only 4 came");
  }
  CHECK(folder.names().empty());
}

TEST_CASE("a run that ended early leaves the images that came in separate files") {
  const TemporaryFolder folder;
  {
    NpySink sink(folder.path(), kForm);
    hand(sink, 0, 2);
    sink.finish_partial();
  }
  CHECK(sorted_names(folder.path()) == Names{"members", "predicted.partial.npy", "predictions.partial.npy"});
  const Array predictions = load(folder / "predictions.partial.npy");
  CHECK(predictions.shape == std::vector<std::uint64_t>{2, 2});
  CHECK(predictions.floats == std::vector<float>(kValues.begin(), kValues.begin() + 4));
  const Array predicted = load(folder / "predicted.partial.npy");
  CHECK(predicted.shape == std::vector<std::uint64_t>{2});
  CHECK(predicted.floats == std::vector{1.0F, 0.0F});
  CHECK(load(folder / "members" / "cnn-0.partial.npy").shape == std::vector<std::uint64_t>{2, 2});
  CHECK(load(folder / "members" / "cnn-1.partial.npy").floats == std::vector{7.0F, 8.0F});
  CHECK_FALSE(std::filesystem::exists(folder / "members" / "cnn-0.npy"));
}

TEST_CASE("a run that ended early does not touch the results of complete runs") {
  const TemporaryFolder folder;
  {
    NpySink sink(folder.path(), kForm);
    hand(sink, 0, 3);
    sink.finish();
  }
  NpySink sink(folder.path(), kForm);
  hand(sink, 0, 1);
  sink.finish_partial();
  CHECK(load(folder / "predictions.npy").shape == std::vector<std::uint64_t>{3, 2});
  CHECK(load(folder / "predictions.partial.npy").shape == std::vector<std::uint64_t>{1, 2});
  CHECK(load(folder / "members" / "cnn-1.npy").floats.size() == 3);
}

TEST_CASE("a run that ended before its first segment leaves nothing") {
  const TemporaryFolder folder;
  {
    NpySink sink(folder.path(), kForm);
    sink.finish_partial();
  }
  CHECK(folder.names().empty());
}

TEST_CASE("a segment that not every file could hold is left out of all of them") {
  const TemporaryFolder folder;
  NpySink sink(folder.path(), kForm);
  hand(sink, 0, 1);
  // One predicted class too many is rejected after the scores were written.
  const std::array<std::int64_t, 3> too_many{0, 0, 0};
  const std::array members{MemberSegmentResult{2, std::span(kValues).first(2)},
                           MemberSegmentResult{1, std::span(kSecond).first(1)}};
  SegmentResult result;
  result.first = 1;
  result.count = 1;
  result.values = members[0].values;
  result.predicted = too_many;
  result.members = members;
  REQUIRE(error_of([&] { sink.write(result); }));
  sink.finish_partial();
  const Array predictions = load(folder / "predictions.partial.npy");
  CHECK(predictions.shape == std::vector<std::uint64_t>{1, 2});
  CHECK(predictions.floats == std::vector<float>(kValues.begin(), kValues.begin() + 2));
  CHECK(load(folder / "predicted.partial.npy").floats.size() == 1);
  CHECK(load(folder / "members" / "cnn-0.partial.npy").floats.size() == 2);
}

TEST_CASE("a complete run removes what an earlier one left that ended early") {
  const TemporaryFolder folder;
  {
    NpySink sink(folder.path(), kForm);
    hand(sink, 0, 2);
    sink.finish_partial();
  }
  NpySink sink(folder.path(), kForm);
  hand(sink, 0, 3);
  sink.finish();
  CHECK(sorted_names(folder.path()) == Names{"members", "predicted.npy", "predictions.npy"});
  CHECK(sorted_names(folder / "members") == Names{"cnn-0.npy", "cnn-1.npy"});
}

TEST_CASE("the results of a member whose name ends in partial are not taken for leftovers") {
  const TemporaryFolder folder;
  NpySink sink(folder.path(), {3, Dims{2}, Dims{}, {{"a", {2}}, {"a.partial", {1}}}});
  hand(sink, 0, 3);
  sink.finish();
  CHECK(load(folder / "members" / "a.partial.npy").floats == std::vector{7.0F, 8.0F, 9.0F});
}

TEST_CASE("a leftover that cannot be removed is an error that says that the results are there") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "predictions.partial.npy" / "full");
  NpySink sink(folder.path(), {3, Dims{2}, Dims{}, {}});
  hand(sink, 0, 3);
  const auto error = error_of([&] { sink.finish(); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "could not remove " + (folder / "predictions.partial.npy").string());
  CHECK(error->detail() == "Directory not empty");
  CHECK(error->hint() == "it is of an earlier run that ended early; the results of this run are complete");
  CHECK(load(folder / "predictions.npy").floats.size() == 6);
}

TEST_CASE("a member whose name cannot be a file name is an error before anything is created") {
  const TemporaryFolder folder;
  for (const char* name : {"", ".", "..", "a/b"}) {
    const auto error = error_of([&] { NpySink(folder.path(), {1, Dims{2}, Dims{}, {{name, {2}}}}); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "cannot save the predictions of member \"" + std::string(name) + "\"");
    CHECK(error->detail() == "its name cannot be the name of a file");
    CHECK(error->hint() == "rename the member, or do not set 'save_members'");
  }
  CHECK(folder.names().empty());
}

TEST_CASE("a file in the place of the members folder is an error and stays") {
  const TemporaryFolder folder;
  std::ofstream(folder / "members") << "text";
  const auto error = error_of([&] { NpySink(folder.path(), kForm); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "could not create the folder " + (folder / "members").string());
  CHECK(folder.names() == std::vector<std::string>{"members"});
}

TEST_CASE("a sink that cannot open its files leaves no folder behind") {
  const TemporaryFolder folder;
  const std::string too_long(300, 'x');
  const auto error = error_of([&] { NpySink(folder.path(), {1, Dims{2}, Dims{}, {{too_long, {2}}}}); });
  REQUIRE(error);
  CHECK(error->detail() == "File name too long");
  CHECK(folder.names().empty());
}

TEST_CASE("a sink in memory collects scores and classes and members") {
  MemorySink sink(kForm);
  hand(sink, 0, 2);
  hand(sink, 2, 1);
  const Predictions predictions = sink.take();
  CHECK(predictions.count == 3);
  CHECK(predictions.width == 2);
  CHECK(predictions.values == std::vector<float>(kValues.begin(), kValues.end()));
  CHECK(predictions.predicted == std::vector<std::int64_t>{1, 0, 0});
  REQUIRE(predictions.members.size() == 2);
  CHECK(predictions.members[1].name == "cnn-1");
  CHECK(predictions.members[1].width == 1);
  CHECK(predictions.members[1].values == std::vector{7.0F, 8.0F, 9.0F});
  CHECK(sink.take().count == 0);
}

TEST_CASE("a sink in memory lists the segments that lack members or were set aside") {
  MemorySink sink({4, Dims{1}, Dims{}, {}});
  const auto segment = [&](std::uint64_t first, bool second_present, bool set_aside) {
    const std::array members{MemberSegmentResult{1, std::span(kValues).first(1)},
                             MemberSegmentResult{1, std::span(kValues).first(1), second_present}};
    SegmentResult result;
    result.first = first;
    result.count = 1;
    result.width = 1;
    result.values = members[0].values;
    result.predicted = std::span(kPredicted).first(1);
    result.members = members;
    result.set_aside = set_aside;
    sink.write(result);
  };
  segment(0, true, false);
  segment(1, false, false);
  segment(2, true, true);
  segment(3, false, true);
  const Predictions predictions = sink.take();
  CHECK(predictions.count == 4);
  CHECK(predictions.incomplete ==
        std::vector<IncompleteSegment>{{1, 1, 1, {1}, false}, {2, 1, 2, {}, true}, {3, 1, 1, {1}, true}});
}

TEST_CASE("a sink in memory keeps the members only if it is asked to") {
  MemorySink sink({3, Dims{2}, Dims{}, {}});
  hand(sink, 0, 3);
  const Predictions predictions = sink.take();
  CHECK(predictions.count == 3);
  CHECK(predictions.members.empty());
  CHECK(MemorySink({0, Dims{10}, Dims{}, {}}).take().width == 10);
}

}  // namespace
}  // namespace tutti::images
