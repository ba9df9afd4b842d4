// Rows in a worker: which boxes count and what is cut out, rows that become one again, and what a stage does with them
// batch by batch, compared with plain loops.
#include "worker/row_work.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "common/random.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

using worker::BoxCrops;
using worker::PixelBox;
using worker::RowWork;

constexpr float kNoNumber = std::numeric_limits<float>::quiet_NaN();
constexpr float kEndless = std::numeric_limits<float>::infinity();

/// Crops of 2x2 of pictures of 1x8x10.
CropBoxesStep crops_of(std::uint32_t max) {
  return {.max = max,
          .channels = 1,
          .resize = {.rule = ResizeRule::exact, .height = 2, .width = 2, .interpolation = Interpolation::bilinear}};
}
const TensorLayout kPicture{Dtype::float32, {1, 8, 10}};

std::vector<float> some_numbers(std::uint64_t seed, std::size_t count) {
  std::vector<float> values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(unit_float(random_at(seed, i)));
  return values;
}

bool equal_bits(std::span<const float> one, std::span<const float> other) {
  return one.size() == other.size() && std::memcmp(one.data(), other.data(), one.size_bytes()) == 0;
}

/// The boxes of one sample that count.
std::vector<PixelBox> chosen(std::uint32_t max, const std::vector<float>& boxes) {
  BoxCrops crops(crops_of(max), {static_cast<std::uint32_t>(boxes.size() / 5), 5}, kPicture);
  std::vector<PixelBox> result;
  const std::size_t count = crops.choose(boxes, result);
  CHECK(count == result.size());
  return result;
}

TEST_CASE("a box covers the pixels that it touches as far as they are in the picture") {
  CHECK(chosen(4, {1, 2, 5, 6, 1}) == std::vector<PixelBox>{{1, 2, 5, 6}});
  CHECK(chosen(4, {1.2F, 2.9F, 5.1F, 6, 1}) == std::vector<PixelBox>{{1, 2, 6, 6}});
  CHECK(chosen(4, {2.2F, 3.2F, 2.4F, 3.4F, 1}) == std::vector<PixelBox>{{2, 3, 3, 4}});
  CHECK(chosen(4, {-3, -kEndless, kEndless, 100, 1}) == std::vector<PixelBox>{{0, 0, 10, 8}});
}

TEST_CASE("a box without an area in the picture does not count") {
  for (const std::vector<float>& box : std::vector<std::vector<float>>{{5, 2, 1, 6, 1},
                                                                       {1, 6, 5, 2, 1},
                                                                       {3, 2, 3, 6, 1},
                                                                       {-5, 2, -1, 6, 1},
                                                                       {10, 2, 12, 6, 1},
                                                                       {1, 8, 5, 9, 1},
                                                                       {1, -2, 5, 0, 1}})
    CHECK(chosen(4, box).empty());
}

TEST_CASE("boxes count with a score above the bound and the highest come first") {
  const std::vector<float> boxes{0, 0, 1, 1, 0.5F, 1, 0, 2, 1, 0.7F,     2, 0, 3, 1, 0.9F,
                                 3, 0, 4, 1, 0.7F, 4, 0, 5, 1, kEndless, 5, 0, 6, 1, -kEndless};
  const std::vector<PixelBox> all{{4, 0, 5, 1}, {2, 0, 3, 1}, {1, 0, 2, 1}, {3, 0, 4, 1}};
  CHECK(chosen(9, boxes) == all);
  CHECK(chosen(3, boxes) == std::vector<PixelBox>(all.begin(), all.begin() + 3));
  CHECK(chosen(1, {0, 0, 1, 1, 0.5F}).empty());
}

TEST_CASE("a NaN among the boxes of a sample makes one row of NaN") {
  for (std::size_t at = 0; at < 10; ++at) {
    std::vector<float> boxes{0, 0, 1, 1, 0.9F, 3, 3, 1, 1, 0.1F};
    boxes[at] = kNoNumber;
    CHECK(chosen(4, boxes) == std::vector<PixelBox>{{.nan = true}});
  }
  BoxCrops crops(crops_of(2), {1, 5}, kPicture);
  std::vector<float> row(4);
  crops.cut({.nan = true}, std::vector<float>(80), row);
  for (const float value : row) CHECK(std::isnan(value));
}

/// What is inside, resized by the project's resampler.
std::vector<float> naive_crop(const PixelBox& box, std::span<const float> picture) {
  std::vector<float> part;
  for (std::uint32_t y = box.top; y < box.bottom; ++y)
    for (std::uint32_t x = box.left; x < box.right; ++x) part.push_back(picture[y * 10 + x]);
  Resampler resampler(crops_of(1).resize, {1, box.bottom - box.top, box.right - box.left});
  std::vector<float> row(4);
  resampler.apply(part, row);
  return row;
}

TEST_CASE("a crop is what is inside the box and all of the picture is the resized picture") {
  const std::vector<float> picture = some_numbers(1, 80);
  BoxCrops crops(crops_of(2), {1, 5}, kPicture);
  CHECK(crops.output() == Dims{1, 2, 2});
  for (const PixelBox& box : std::vector<PixelBox>{{0, 0, 10, 8}, {3, 1, 7, 6}, {9, 7, 10, 8}, {0, 5, 2, 6}}) {
    std::vector<float> row(4);
    crops.cut(box, picture, row);
    CHECK(equal_bits(row, naive_crop(box, picture)));
  }
  std::vector<float> row(4);
  crops.cut({4, 3, 6, 5}, picture, row);  // as large as the crop: nothing is resized
  CHECK(row == std::vector<float>{picture[34], picture[35], picture[44], picture[45]});
}

TEST_CASE("every channel of a picture is cut") {
  CropBoxesStep step = crops_of(1);
  step.channels = 3;
  BoxCrops crops(step, {1, 5}, {Dtype::float32, {3, 4, 4}});
  std::vector<float> picture(48);
  for (std::size_t i = 0; i < picture.size(); ++i) picture[i] = static_cast<float>(i);
  std::vector<float> row(12);
  crops.cut({1, 2, 3, 4}, picture, row);
  CHECK(row == std::vector<float>{9, 10, 13, 14, 25, 26, 29, 30, 41, 42, 45, 46});
}

TEST_CASE("pictures and boxes that do not fit the step are refused with what they are") {
  const auto why = [](const Dims& boxes, const TensorLayout& picture) {
    const auto error = error_of([&] { BoxCrops(crops_of(2), boxes, picture, "e.yaml:5:9"); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    return fmt::format("{} ({}); {}", error->message(), error->detail(), error->hint());
  };
  CHECK(contains(why({7, 4}, kPicture), "e.yaml:5:9: step 'crop_boxes' does not fit outputs of 7x4"));
  CHECK(
      why({7, 5}, {Dtype::float32, {3, 8, 8}}) ==
      "e.yaml:5:9: step 'crop_boxes' cuts pictures with 1 channel (the first stage of the member takes 3x8x8); set its "
      "'channels' to 3");
  CHECK(contains(why({7, 5}, {Dtype::float32, {64}}), "cuts pictures of float32, channels x height x width"));
  CHECK(contains(why({7, 5}, {Dtype::uint8, {1, 8, 8}}), "cuts pictures of float32"));
}

TEST_CASE("rows become one value by value and none become the value of a sample without rows") {
  const auto reduced = [](const ReduceStep& step, const std::vector<float>& rows) {
    std::vector<float> to(2);
    worker::reduce_rows(step, rows, to);
    return to;
  };
  const std::vector<float> rows{1, -4, 3, -2, 2, -9};
  CHECK(reduced({}, rows) == std::vector<float>{2, -5});
  CHECK(reduced({.by = ReduceBy::max}, rows) == std::vector<float>{3, -2});
  CHECK(reduced({}, {0.1F, 7}) == std::vector<float>{0.1F, 7});
  CHECK(reduced({.empty = -1.5F}, {}) == std::vector<float>{-1.5F, -1.5F});
  CHECK(reduced({.by = ReduceBy::max}, {}) == std::vector<float>{0, 0});
  CHECK(reduced({.by = ReduceBy::max}, {-kEndless, -1, -kEndless, -2}) == std::vector<float>{-kEndless, -1});
  for (const ReduceBy by : {ReduceBy::mean, ReduceBy::max})
    for (const std::vector<float>& one :
         {std::vector<float>{kNoNumber, 1, 5, 2}, std::vector<float>{5, 1, kNoNumber, 2}}) {
      CHECK(std::isnan(reduced({.by = by}, one)[0]));
      CHECK_FALSE(std::isnan(reduced({.by = by}, one)[1]));
    }
}

/// A stage with these steps, which computes on so many rows of a sample.
MemberRequest row_request(std::vector<Step> steps, std::uint32_t fed_rows = 0) {
  MemberRequest request;
  request.name = "m/1";
  request.model = TorchScriptModel{};
  request.takes = {TakenTensor::unchanged(kPicture)};
  request.steps = std::move(steps);
  request.fed_rows = fed_rows;
  request.output = request.over = OutputKind::values;
  return request;
}

TEST_CASE("only a stage that reads or makes several rows of a sample has work with them") {
  CHECK_FALSE(RowWork::is_needed(row_request({})));
  CHECK_FALSE(RowWork::is_needed(row_request({SoftmaxStep{}})));
  CHECK(RowWork::is_needed(row_request({}, 3)));
  CHECK(RowWork::is_needed(row_request({crops_of(3)})));
  CHECK(RowWork::is_needed(row_request({ReduceStep{}}, 3)));
}

/// The boxes of 5 samples: 1, 0, 2, 0 and 1 count.
std::vector<float> boxes_of_samples() {
  return {0, 0, 4, 4, 0.9F, 0, 0, 4, 4, 0.1F,  1, 1, 0, 0, 0.9F, 1, 1, 2, 2, 0,    2,  2,  6,  6,  0.8F,
          1, 2, 9, 8, 0.9F, 0, 0, 1, 1, -0.5F, 0, 0, 1, 1, 0.5F, 3, 3, 8, 7, 0.6F, 20, 20, 30, 30, 0.6F};
}

/// What a stage with `steps` behind the crops makes of these boxes, in batches of this size.
RowIndex crop_in_batches(RowWork& work, std::uint32_t batch, const std::vector<float>& pictures,
                         std::vector<float>& output) {
  const std::vector<float> boxes = boxes_of_samples();
  work.begin(5, {}, output);
  for (std::uint32_t first = 0; first < 5; first += batch) {
    const std::uint32_t count = std::min(batch, 5 - first);
    const std::span<float> room = work.room(count);
    REQUIRE(room.size() == count * 10U);
    std::copy_n(boxes.begin() + first * 10, room.size(), room.begin());
    work.add(count, pictures.data() + first * 80);
  }
  work.end();
  return work.index(SegmentId(4));
}

TEST_CASE("crops are written without gaps in the order of the samples whatever the batches are") {
  const std::vector<float> pictures = some_numbers(2, 5 * 80);
  const std::span<const float> all(pictures);
  std::vector<float> expected;
  for (const auto& [sample, box] : std::vector<std::pair<std::size_t, PixelBox>>{
           {0, {0, 0, 4, 4}}, {2, {1, 2, 9, 8}}, {2, {2, 2, 6, 6}}, {4, {3, 3, 8, 7}}}) {
    const auto row = naive_crop(box, all.subspan(sample * 80, 80));
    expected.insert(expected.end(), row.begin(), row.end());
  }
  for (const std::uint32_t batch : {1, 2, 3, 5}) {
    RowWork work(row_request({crops_of(2)}), {2, 5});
    CHECK(work.most_rows() == 2);
    CHECK(work.crops());
    CHECK(work.output() == Dims{1, 2, 2});
    std::vector<float> output(5 * 2 * 4, -7);
    const RowIndex index = crop_in_batches(work, batch, pictures, output);
    CHECK(index.counts == std::vector<std::uint32_t>{1, 0, 2, 0, 1});
    CHECK_FALSE(fault_in(index, SegmentId(4), 5, 2));
    CHECK(equal_bits(work.made(), expected));
    CHECK(output[16] == -7);  // nothing is written behind the rows
  }
}

TEST_CASE("steps behind the crops are computed for every row") {
  const std::vector<float> pictures = some_numbers(2, 5 * 80);
  RowWork plain(row_request({crops_of(2)}), {2, 5});
  std::vector<float> crops(40);
  crop_in_batches(plain, 5, pictures, crops);
  RowWork work(row_request({crops_of(2), NormalizeStep{.mean = {0.5F}}, TopKStep{.k = 1, .axis = 2}}), {2, 5});
  CHECK(work.output() == Dims{1, 1, 2});
  std::vector<float> output(20);
  crop_in_batches(work, 2, pictures, output);
  std::vector<float> expected;
  for (std::size_t row = 0; row < 4; ++row)
    for (const std::size_t column : {0, 1})
      expected.push_back(std::max(crops[row * 4 + column] - 0.5F, crops[row * 4 + 2 + column] - 0.5F));
  CHECK(equal_bits(work.made(), expected));
}

TEST_CASE("a stage between hands its rows over as they come") {
  RowWork work(row_request({SoftmaxStep{}}, 3), {2});
  CHECK(work.most_rows() == 3);
  CHECK_FALSE(work.crops());
  const std::vector<std::uint32_t> counts{2, 0, 3};
  std::vector<float> output(3 * 3 * 2);
  work.begin(3, counts, output);
  for (std::uint32_t first = 0; first < 5; first += 2) {
    const std::uint32_t count = std::min(2U, 5 - first);
    std::ranges::fill(work.room(count), static_cast<float>(first));
    work.add(count, nullptr);
  }
  work.end();
  CHECK(work.counts() == counts);
  CHECK(std::vector<float>(work.made().begin(), work.made().end()) == std::vector<float>{0, 0, 0, 0, 2, 2, 2, 2, 4, 4});
}

TEST_CASE("rows of a sample that are cut into several batches are reduced together") {
  for (const std::uint32_t batch : {1, 2, 5}) {
    RowWork work(row_request({ReduceStep{.empty = 9}, NormalizeStep{.std = {2}}}, 3), {2});
    CHECK(work.most_rows() == 0);
    const std::vector<std::uint32_t> counts{2, 0, 3};
    std::vector<float> output(3 * 2);
    work.begin(3, counts, output);
    float next = 0;
    for (std::uint32_t first = 0; first < 5; first += batch) {
      const std::uint32_t count = std::min(batch, 5 - first);
      for (float& value : work.room(count)) value = next++;
      work.add(count, nullptr);
    }
    work.end();
    CHECK(work.counts() == std::vector<std::uint32_t>{1, 1, 1});
    CHECK(output == std::vector<float>{0.5F, 1, 4.5F, 4.5F, 3, 3.5F});
  }
}

TEST_CASE("a task without any row has an index of zeros and reduced rows of their value") {
  RowWork between(row_request({}, 3), {2});
  std::vector<float> output(2 * 3 * 2);
  const std::vector<std::uint32_t> none{0, 0};
  between.begin(2, none, output);
  between.end();
  CHECK(between.made().empty());
  CHECK_FALSE(fault_in(between.index(SegmentId(0)), SegmentId(0), 2, 3));
  RowWork last(row_request({ReduceStep{.empty = -2}}, 3), {2});
  std::vector<float> reduced(4);
  last.begin(2, none, reduced);
  last.end();
  CHECK(reduced == std::vector<float>{-2, -2, -2, -2});
}

TEST_CASE("behind the reduced rows the predictions become what is combined") {
  MemberRequest request = row_request({ReduceStep{}}, 3);
  request.output = OutputKind::logits;
  request.over = OutputKind::probabilities;
  RowWork work(request, {2});
  const std::vector<std::uint32_t> counts{2};
  std::vector<float> output(2);
  work.begin(1, counts, output);
  const std::span<float> room = work.room(2);
  std::ranges::copy(std::array{1.0F, 3.0F, 3.0F, 1.0F}, room.begin());
  work.add(2, nullptr);
  work.end();
  CHECK(output == std::vector<float>{0.5F, 0.5F});
}

TEST_CASE("a step about rows that is out of place is refused by the worker too") {
  MemberRequest request = row_request({SoftmaxStep{}, ReduceStep{}});
  request.step_places = {"e.yaml:4:9", "e.yaml:5:9"};
  const auto error = error_of([&] { RowWork(request, {2}); });
  REQUIRE(error);
  CHECK(error->message() == "e.yaml:5:9: step 'reduce': a sample has one row here, and there is nothing to reduce");
  const auto large = error_of([&] { RowWork(row_request({}, 4096), {4097}); });
  REQUIRE(large);
  CHECK(large->message() == "up to 4096 rows of 4097 for each sample are more than 16777216 values");
  CHECK(large->hint() == "lower 'max' of the step crop_boxes before it");
}

TEST_CASE("an index that is spoilt on purpose is nonsense once") {
  RowWork work(row_request({}, 3), {2});
  std::vector<float> output(6);
  const std::vector<std::uint32_t> counts{0};
  work.begin(1, counts, output);
  work.end();
  worker::spoil_next_index();
  CHECK(fault_in(work.index(SegmentId(0)), SegmentId(0), 1, 3) == IndexFault::too_many);
  CHECK_FALSE(fault_in(work.index(SegmentId(0)), SegmentId(0), 1, 3));
}

}  // namespace
}  // namespace tutti::test
