// A run that continues: which images are requested again, and what is passed on in which order.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <vector>

#include "evaluation/run/continuation.hpp"
#include "evaluation/run/lacking.hpp"
#include "images/sources.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

using images::Journal;
using images::JournalHeader;

/// 50 images in segments of 20, two members of width 1.
const JournalHeader kRun{50, 20, 2, {}};

/// A pool whose output for an image is the image's number, which is also the value of its pixels in the source.
struct Numbers final : Source {
  std::string name() const override { return "numbers"; }
  ImageShape shape() const override { return {1, 1, 1}; }
  std::uint64_t count() const override { return 50; }
  std::uint32_t classes() const override { return 2; }
  bool labelled() const override { return true; }
  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      pixels[i] = static_cast<float>(indices[i]);
      if (!labels.empty()) labels[i] = static_cast<std::int64_t>(indices[i] % 2);
    }
  }
};

/// What the second member does with a segment.
enum class Fate { answered, degraded, set_aside };

/// Streams all of `source` into `sink` as a pool does, in segments of 20; at most `segments` of them.
void stream(Source& source, Sink& sink, std::vector<Fate> fates = {}, std::size_t segments = 99) {
  for (std::uint64_t first = 0; first < source.count() && segments > 0; first += 20, --segments) {
    const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(20, source.count() - first));
    std::vector<std::uint64_t> indices(count);
    for (std::uint32_t i = 0; i < count; ++i) indices[i] = first + i;
    std::vector<float> pixels(count);
    source.read(indices, pixels, {});
    const Fate fate = first / 20 < fates.size() ? fates[first / 20] : Fate::answered;
    const std::array members{MemberSegmentResult{1, pixels, fate != Fate::set_aside},
                             MemberSegmentResult{1, pixels, fate == Fate::answered}};
    SegmentResult result;
    result.first = first;
    result.count = count;
    result.width = 1;
    result.values = pixels;
    result.members = members;
    result.set_aside = fate == Fate::set_aside;
    sink.write(result);
  }
}

/// Collects the values and checks that segments come in order. It knows the values of a known segment, and that the
/// record is that of its segment.
struct Gathered final : SegmentSink {
  void write(const SegmentResult& result) override {
    CHECK(result.first == values.size());
    values.insert(values.end(), result.values.begin(), result.values.end());
    last = result.first;
  }
  images::SegmentRecord record() const override { return record_of(last); }
  void settle() override { settled = values.size(); }
  void take(std::uint64_t first, std::uint32_t count, const images::SegmentRecord& record) override {
    CHECK(first == values.size());
    if (record != record_of(first)) throw images::SumMisfit{};
    for (std::uint64_t image = first; image < first + count; ++image) values.push_back(static_cast<float>(image));
    ++taken;
  }
  static images::SegmentRecord record_of(std::uint64_t first) {
    return {{static_cast<std::uint32_t>(first), 5}, std::vector<std::byte>(first, std::byte{1})};
  }
  void check(std::size_t count) const {
    REQUIRE(values.size() == count);
    for (std::size_t i = 0; i < count; ++i) CHECK(values[i] == static_cast<float>(i));
  }
  std::vector<float> values;
  std::uint64_t last = 0;
  std::uint64_t settled = 0;  ///< images
  int taken = 0;
};

/// A journal in a separate folder that holds these segments.
struct Journaled {
  explicit Journaled(const std::vector<std::uint64_t>& segments) {
    journal.begin(kRun);
    for (const std::uint64_t segment : segments) {
      const images::SegmentRecord record = Gathered::record_of(segment * 20);
      journal.append(segment, record.checksums, record.sums);
    }
  }
  TemporaryFolder folder;
  Journal journal{folder.path()};
};

using Segments = std::vector<std::uint64_t>;

TEST_CASE("the unfinished pictures are decoded like all of them and under their own numbers") {
  const TemporaryFolder folder;
  for (int number = 10; number < 60; ++number)
    std::filesystem::copy_file(
        test::in_sources("tests/images/data/encoded") / (number % 3 == 0 ? "grey.jpg" : "plain.png"),
        folder / (std::to_string(number) + (number % 3 == 0 ? ".jpg" : ".png")));
  const Resize whole{ResizeRule::shorter, 4, 4, 4, 4};
  const Resize squashed{ResizeRule::exact, 3, 2};
  const auto all = images::make_folder(folder.path(), whole, {{1}});
  Journaled journaled({0});
  UnfinishedImages missing(*all, journaled.journal);
  REQUIRE(images::decoding(missing) != nullptr);
  missing.choose_planes(std::vector<Resize>{squashed});
  std::vector<std::uint8_t> found(2 * 18);
  const std::span<std::uint8_t> place(found);
  missing.read_planes(std::array<std::uint64_t, 2>{1, 0}, {&place, 1}, {});
  std::vector<std::uint8_t> wanted(2 * 18);
  images::make_folder(folder.path(), squashed, {{1}})->read_bytes(std::array<std::uint64_t, 2>{21, 20}, wanted, {});
  CHECK(found == wanted);
  CHECK(missing.image_name(0) == all->image_name(20));
}

TEST_CASE("the unfinished images have their own labels of any form") {
  struct Numbered final : images::Forwarding {
    using Forwarding::Forwarding;
    std::optional<TensorLayout> label_layout() const override { return TensorLayout{Dtype::float32, {}}; }
    void read_labels(std::span<const std::uint64_t> indices, std::span<std::byte> labels) override {
      for (std::size_t i = 0; i < indices.size(); ++i) {
        const auto label = static_cast<float>(indices[i]);
        std::memcpy(&labels[i * sizeof label], &label, sizeof label);
      }
    }
  };
  Journaled journaled({0});
  Numbers numbers;
  Numbered all(numbers);
  UnfinishedImages missing(all, journaled.journal);
  CHECK(missing.label_layout() == all.label_layout());
  std::vector<float> labels(2);
  missing.read_labels(std::array<std::uint64_t, 2>{3, 0}, std::as_writable_bytes(std::span(labels)));
  CHECK(labels == std::vector{23.0F, 20.0F});
}

TEST_CASE("whichever segments are known all are passed on in order and known afterwards") {
  for (const Segments& known : {Segments{}, Segments{0}, Segments{1}, Segments{2}, Segments{0, 1}, Segments{0, 2},
                                Segments{1, 2}, Segments{0, 1, 2}}) {
    Journaled journaled(known);
    Numbers all;
    UnfinishedImages missing(all, journaled.journal);
    std::uint64_t known_images = 0;
    for (const std::uint64_t segment : known) known_images += kRun.count_of(segment);
    CHECK(missing.count() == 50 - known_images);
    Gathered gathered;
    JournalingSink sink(journaled.journal, missing, gathered);
    stream(missing, sink);
    sink.catch_up();
    gathered.check(50);
    CHECK(gathered.taken == static_cast<int>(known.size()));
    CHECK(journaled.journal.finished() == Segments{0, 1, 2});
    for (const std::uint64_t segment : {0, 1, 2})
      CHECK(journaled.journal.record(segment) == Gathered::record_of(segment * 20));
  }
}

TEST_CASE("the unfinished images differ from those of the source only in their number") {
  Journaled journaled({0});
  Numbers all;
  UnfinishedImages missing(all, journaled.journal);
  CHECK(missing.name() == "numbers");
  CHECK(missing.shape() == all.shape());
  CHECK(missing.classes() == 2);
  CHECK(missing.labelled());
  CHECK(missing.image(0) == 20);
  CHECK(missing.image(29) == 49);
  CHECK(missing.number_of(29) == 49);
  std::array<float, 2> pixels{};
  std::array<std::int64_t, 2> labels{};
  missing.read(std::array<std::uint64_t, 2>{29, 0}, pixels, labels);
  CHECK(pixels == std::array<float, 2>{49, 20});
  CHECK(labels == std::array<std::int64_t, 2>{1, 0});
}

TEST_CASE("the unfinished images keep the numbers that they have in the whole set") {
  struct Later final : images::Forwarding {
    using Forwarding::Forwarding;
    std::uint64_t number_of(std::uint64_t index) const override { return index + 100; }  // as `skip: 100`
  };
  Journaled journaled({0});
  Numbers all;
  Later later(all);
  const UnfinishedImages missing(later, journaled.journal);
  CHECK(missing.number_of(0) == 120);
  CHECK(missing.number_of(29) == 149);
}

TEST_CASE("a run that ends early passes on what is known up to the first gap") {
  Journaled journaled({1});
  Numbers all;
  UnfinishedImages missing(all, journaled.journal);
  Gathered gathered;
  JournalingSink sink(journaled.journal, missing, gathered);
  sink.catch_up();
  gathered.check(0);
  stream(missing, sink, {}, 1);
  gathered.check(20);
  sink.catch_up();
  gathered.check(40);
  CHECK(journaled.journal.finished() == Segments{0, 1});
}

TEST_CASE("segments that lack members are passed on but not journaled and are missing afterwards") {
  Journaled journaled({});
  Numbers all;
  {
    UnfinishedImages missing(all, journaled.journal);
    Gathered gathered;
    JournalingSink sink(journaled.journal, missing, gathered);
    stream(missing, sink, {Fate::degraded, Fate::answered, Fate::set_aside});
    gathered.check(50);
    CHECK(gathered.settled == 50);
    CHECK(journaled.journal.finished() == Segments{1});
  }
  UnfinishedImages missing(all, journaled.journal);
  CHECK(missing.count() == 30);
  Gathered gathered;
  JournalingSink sink(journaled.journal, missing, gathered);
  stream(missing, sink, {Fate::answered, Fate::degraded});
  gathered.check(50);
  CHECK(journaled.journal.finished() == Segments{0, 1});
}

TEST_CASE("a segment that the next sink does not take is not journaled") {
  Journaled journaled({});
  Numbers all;
  UnfinishedImages missing(all, journaled.journal);
  struct Full final : SegmentSink {
    void write(const SegmentResult& result) override {
      if (result.first == 20) throw Error(ErrorKind::failed, "the disk is full");
    }
    images::SegmentRecord record() const override { return {}; }
    void settle() override {}
    void take(std::uint64_t /*first*/, std::uint32_t /*count*/, const images::SegmentRecord& /*record*/) override {}
  } full;
  JournalingSink sink(journaled.journal, missing, full);
  CHECK(error_of([&] { stream(missing, sink); }));
  CHECK(journaled.journal.finished() == Segments{0});
}

TEST_CASE("a record of another form is an error that names its segment") {
  Journaled journaled({0});
  journaled.journal.append(1, {}, {});
  Numbers all;
  UnfinishedImages missing(all, journaled.journal);
  Gathered gathered;
  JournalingSink sink(journaled.journal, missing, gathered);
  const auto error = error_of([&] { sink.catch_up(); });
  REQUIRE(error);
  CHECK(error->detail() == "the record of segment 1 has another form");
  gathered.check(20);
}

TEST_CASE("how far a run came is reported with joined ranges") {
  const Journaled journaled({0, 2});
  const images::FinishedReport finished = finished_report(journaled.journal, 1);
  CHECK(finished.segments == 2);
  CHECK(finished.of == 3);
  CHECK(finished.images == 30);
  CHECK(finished.of_images == 50);
  CHECK(finished.resumed == 1);
  REQUIRE(finished.ranges.size() == 2);
  CHECK(finished.ranges[1].first == 40);
  CHECK(finished.ranges[1].count == 10);
  const auto joined = ranges_of({0, 1, 2}, kRun);
  REQUIRE(joined.size() == 1);
  CHECK(joined[0].first == 0);
  CHECK(joined[0].count == 50);
}

}  // namespace
}  // namespace tutti::test
