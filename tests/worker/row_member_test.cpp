// Rows between members of two workers: what one writes and the other reads, compared with plain loops over models,
// crops and rows; and an index that is nonsense.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "common/random.hpp"
#include "tests/common/wire/every_step.hpp"
#include "tests/worker/requests.hpp"
#include "worker/fake.hpp"
#include "worker/hosted_member.hpp"

namespace tutti::test {
namespace {

constexpr std::uint32_t kBoxes = 16;
constexpr std::uint32_t kMost = 2;
constexpr std::uint32_t kPictureCount = 7;
const ImageShape kPictures{1, 20, 20};

ArenaLayout arena_of_pictures() {
  ArenaLayout layout{2, kPictureCount, kPictures};
  layout.later_rounds = 1;
  return layout;
}

/// A member that is hosted as its worker would, with memory that others can read.
class Stage {
 public:
  Stage(MemberRequest request, const std::byte* arena)
      : request_(std::move(request)), model_(worker::make_fake_model(worker::before_steps(request_))) {
    Dims output = model_->output();
    if (!request_.steps.empty()) model_ = std::make_unique<worker::Stepped>(request_, std::move(model_));
    output = model_->output();
    if (worker::RowWork::is_needed(request_)) {
      rows_.emplace(request_, output);
      output = rows_->output();
    }
    start_ = {0,
              {static_cast<std::uint32_t>(elements_of(output))},
              arena_of_pictures(),
              false,
              {rows_ ? rows_->most_rows() : 0}};
    const ChannelLayout layout(start_.arena.slots, start_.arena.images, start_.widths, start_.rows);
    file_.allocate(layout.bytes(), "a test");
    file_.seal_size();
    channel_.emplace(file_, layout);
    member_.emplace(
        worker::MemberParts{*model_, request_, start_, arena, *channel_, Seat(0), &feeds_, rows_ ? &*rows_ : nullptr});
  }

  void read_from(const Stage& other) {
    feeds_.add({1, other.start_.widths, Seat(0), other.start_.rows}, other.file_.for_reader());
  }
  CompletionRecord perform(std::uint32_t images = kPictureCount, std::uint64_t segment = 5, Round round = {}) {
    TaskRecord task{Sequence(0), SegmentId(segment), 0, SlotId(1), images, TaskKind::predict, round, 0, 3};
    task.feed = request_.fed_by.empty() ? 0 : 1;
    return member_->perform(task);
  }
  std::vector<float> output(std::uint32_t rows) const {
    const auto all = channel_->output(SlotId(1), kPictureCount);
    return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(rows * start_.widths[0])};
  }
  RowIndex index(std::uint32_t samples = kPictureCount) const {
    return ChannelOutputs(MemoryFile(file_.for_reader()), channel_->layout(), Seat(0)).index(SlotId(1), samples);
  }
  void write_index(const RowIndex& index) { channel_->write_index(SlotId(1), index); }
  std::uint64_t progress() const { return channel_->status().progress; }

 private:
  MemberRequest request_;
  std::unique_ptr<worker::Model> model_;
  std::optional<worker::RowWork> rows_;
  control::Start start_;
  MemoryFile file_ = MemoryFile::create("test");
  std::optional<Channel> channel_;
  worker::Feeds feeds_{2, kPictureCount};
  std::optional<worker::HostedMember> member_;
};

CropBoxesStep crop_step() {
  // Coordinates and scores of the fake boxes are all about 3.
  return {.max = kMost, .above = 3, .channels = 1, .resize = {.rule = ResizeRule::exact, .height = 4, .width = 4}};
}

MemberRequest stage_request(FakeModel model, const TensorLayout& takes, std::vector<Step> steps) {
  MemberRequest request = fake_request(std::move(model));
  request.takes = {TakenTensor::unchanged(takes)};
  request.steps = std::move(steps);
  request.output = request.over = OutputKind::values;
  return request;
}

MemberRequest detector_request(std::vector<ScriptedFault> faults = {}) {
  return stage_request({.classes = kBoxes, .per_class = {5}, .faults = std::move(faults)}, kPictures.layout(),
                       {crop_step()});
}

MemberRequest classifier_request(std::vector<Step> steps = {ReduceStep{.empty = -3}}) {
  MemberRequest request = stage_request({.classes = 4, .faults = {}}, {Dtype::float32, {1, 4, 4}}, std::move(steps));
  request.fed_by = "m/0";
  request.fed_rows = kMost;
  return request;
}

/// Pictures whose brightness differs, so that some have no box that counts.
class Pictures {
 public:
  Pictures() : arena_(arena_of_pictures().bytes() / sizeof(Line) + 1) {
    const auto view = slot_view(bytes(), layout_, SlotId(1), kPictureCount);
    for (std::size_t i = 0; i < view.floats().size(); ++i) {
      const float bright = i / kPictures.elements() % 3 == 1 ? 0.8F : 1.0F;
      view.floats()[i] = unit_float(random_at(11, i)) * bright;
    }
    for (std::uint32_t i = 0; i < kPictureCount; ++i) view.numbers[i] = 40 + i;
  }
  void choose(const std::vector<std::uint32_t>& samples) {
    const auto count = static_cast<std::uint32_t>(samples.size());
    std::ranges::copy(samples, chosen_view(bytes(), layout_, SlotId(1), Round(1), count).begin());
  }
  std::byte* bytes() { return arena_.front().bytes; }
  std::vector<float> picture(std::uint32_t sample) {
    const auto all = slot_view(bytes(), layout_, SlotId(1), kPictureCount).floats();
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(sample * kPictures.elements());
    return {begin, begin + static_cast<std::ptrdiff_t>(kPictures.elements())};
  }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  ArenaLayout layout_ = arena_of_pictures();
  std::vector<Line> arena_;
};

/// What a model makes of one row.
std::vector<float> of_row(const MemberRequest& request, const std::vector<float>& row) {
  const auto model = worker::make_fake_model(worker::before_steps(request));
  std::vector<float> output(elements_of(model->output()));
  model->predict(worker::Samples(row.data()), 1, output);
  return output;
}

/// The crops of a picture, one after another.
std::vector<std::vector<float>> naive_crops(const std::vector<float>& picture) {
  worker::BoxCrops crops(crop_step(), {kBoxes, 5}, kPictures.layout());
  std::vector<worker::PixelBox> boxes;
  crops.choose(of_row(detector_request(), picture), boxes);
  std::vector<std::vector<float>> rows;
  for (const worker::PixelBox& box : boxes) crops.cut(box, picture, rows.emplace_back(16));
  return rows;
}

/// What detector and classifier make of a picture.
std::vector<float> naive_prediction(const std::vector<float>& picture) {
  std::vector<float> outputs;
  for (const std::vector<float>& row : naive_crops(picture)) {
    const auto output = of_row(classifier_request(), row);
    outputs.insert(outputs.end(), output.begin(), output.end());
  }
  std::vector<float> reduced(4);
  worker::reduce_rows({.empty = -3}, outputs, reduced);
  return reduced;
}

TEST_CASE("rows that one member writes are classified by another and come back as one for each sample") {
  Pictures pictures;
  Stage detector(detector_request(), pictures.bytes());
  Stage classifier(classifier_request(), pictures.bytes());
  classifier.read_from(detector);
  CHECK(detector.perform().status == CompletionStatus::done);
  CHECK(classifier.perform().status == CompletionStatus::done);
  std::vector<float> expected;
  std::vector<std::uint32_t> counts;
  std::vector<float> crops;
  for (std::uint32_t sample = 0; sample < kPictureCount; ++sample) {
    const auto prediction = naive_prediction(pictures.picture(sample));
    expected.insert(expected.end(), prediction.begin(), prediction.end());
    const auto rows = naive_crops(pictures.picture(sample));
    counts.push_back(static_cast<std::uint32_t>(rows.size()));
    for (const auto& row : rows) crops.insert(crops.end(), row.begin(), row.end());
  }
  CHECK(*std::ranges::min_element(counts) == 0);  // the pictures are worth the test
  CHECK(*std::ranges::max_element(counts) == kMost);
  CHECK(detector.index().counts == counts);
  CHECK(detector.output(static_cast<std::uint32_t>(crops.size() / 16)) == crops);
  CHECK(classifier.output(kPictureCount) == expected);
}

TEST_CASE("samples that a later round chooses have rows of their own") {
  Pictures pictures;
  pictures.choose({0, 3, 5});
  Stage detector(detector_request(), pictures.bytes());
  Stage classifier(classifier_request(), pictures.bytes());
  classifier.read_from(detector);
  CHECK(detector.perform(3, 5, Round(1)).status == CompletionStatus::done);
  CHECK(classifier.perform(3, 5, Round(1)).status == CompletionStatus::done);
  std::vector<float> expected;
  for (const std::uint32_t sample : {0, 3, 5}) {
    const auto prediction = naive_prediction(pictures.picture(sample));
    expected.insert(expected.end(), prediction.begin(), prediction.end());
  }
  CHECK(classifier.output(3) == expected);
}

TEST_CASE("a later stage cuts the picture that the first one got") {
  Pictures pictures;
  Stage first(stage_request({.classes = 80, .faults = {}}, kPictures.layout(), {}), pictures.bytes());
  MemberRequest request = stage_request({.classes = kBoxes, .per_class = {5}, .faults = {}}, {Dtype::float32, {80}},
                                        {NormalizeStep{.std = {0.5F}}, crop_step()});
  std::get<CropBoxesStep>(request.steps[1]).above = 0;
  request.fed_by = "m/0";
  request.picture = TakenTensor::unchanged(kPictures.layout());
  Stage detector(request, pictures.bytes());
  detector.read_from(first);
  first.perform();
  CHECK(detector.perform().status == CompletionStatus::done);
  std::vector<float> expected;
  for (std::uint32_t sample = 0; sample < kPictureCount; ++sample) {
    const std::vector<float> picture = pictures.picture(sample);
    const auto features = of_row(stage_request({.classes = 80, .faults = {}}, kPictures.layout(), {}), picture);
    std::vector<float> boxes = of_row(request, features);
    for (float& value : boxes) value /= 0.5F;
    CropBoxesStep step = crop_step();
    step.above = 0;
    worker::BoxCrops crops(step, {kBoxes, 5}, kPictures.layout());
    std::vector<worker::PixelBox> chosen;
    crops.choose(boxes, chosen);
    for (const worker::PixelBox& box : chosen) {
      std::vector<float> row(16);
      crops.cut(box, picture, row);
      expected.insert(expected.end(), row.begin(), row.end());
    }
  }
  CHECK_FALSE(expected.empty());
  CHECK(detector.output(static_cast<std::uint32_t>(expected.size() / 16)) == expected);
}

TEST_CASE("a NaN is reported for the sample that its row belongs to") {
  Pictures pictures;
  Stage detector(detector_request({{FaultKind::nan, FaultPhase::predict, 1}}), pictures.bytes());
  const CompletionRecord record = detector.perform();
  CHECK(record.status == CompletionStatus::not_finite);
  CHECK(record.detail == 3);  // the first of the second batch
  CHECK(detector.index().counts[3] == 1);
}

TEST_CASE("an index that is nonsense ends the task before anything is computed and a right one is used again") {
  Pictures pictures;
  Stage detector(detector_request(), pictures.bytes());
  Stage classifier(classifier_request(), pictures.bytes());
  classifier.read_from(detector);
  detector.perform();
  const RowIndex good = detector.index();
  const auto refused = [&](auto change) {
    RowIndex index = good;
    change(index);
    detector.write_index(index);
    const CompletionRecord record = classifier.perform();
    CHECK(record.status == CompletionStatus::bad_feed);
    CHECK(record.images == kPictureCount);
    return static_cast<IndexFault>(record.detail);
  };
  CHECK(refused([](RowIndex& index) { index.counts[0] += kMost + 1; }) == IndexFault::too_many);
  CHECK(refused([](RowIndex& index) { index.header.rows = 0; }) == IndexFault::other_sum);
  CHECK(refused([](RowIndex& index) { index.header.samples = 1; }) == IndexFault::other_samples);
  CHECK(refused([](RowIndex& index) { index.header.segment = 4; }) == IndexFault::other_segment);
  CHECK(classifier.progress() == 0);
  detector.write_index(good);
  CHECK(classifier.perform().status == CompletionStatus::done);
  CHECK(classifier.output(1) == naive_prediction(pictures.picture(0)));
  CHECK(classifier.perform(kPictureCount, 6).status == CompletionStatus::bad_feed);  // it is about another segment
}

TEST_CASE("a scripted fault spoils the index that is written next") {
  Pictures pictures;
  Stage detector(detector_request({{FaultKind::nonsense, FaultPhase::predict, 1}}), pictures.bytes());
  Stage classifier(classifier_request(), pictures.bytes());
  classifier.read_from(detector);
  CHECK(detector.perform().status == CompletionStatus::done);
  CHECK(classifier.perform().status == CompletionStatus::bad_feed);
  CHECK(detector.perform().status == CompletionStatus::done);
  CHECK(classifier.perform().status == CompletionStatus::done);
}

}  // namespace
}  // namespace tutti::test
