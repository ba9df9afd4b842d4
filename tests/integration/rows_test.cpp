// Rows over real workers: a detector, crops of its boxes, a classifier of the crops, and one row for each sample again.
// The answers are those of a plain loop, whichever worker dies, and whatever one of them writes.
#include <doctest/doctest.h>

#include "common/random.hpp"
#include "tests/integration/cascaded.hpp"
#include "tests/integration/pools.hpp"
#include "worker/row_work.hpp"

namespace tutti::test {
namespace {

constexpr std::uint32_t kBoxes = 3;
constexpr std::uint32_t kMostCrops = 2;
const ImageShape kCropped{2, 2, 2};

CropBoxesStep crops() {
  return {.max = kMostCrops,
          .above = 0.25F,
          .channels = kShape.channels,
          .resize = {.rule = ResizeRule::exact, .height = kCropped.height, .width = kCropped.width}};
}

/// Two members. The first has a detector of 3 boxes, which are as small as the images, and a classifier of its crops.
config::EnsembleSpec spec_with_rows() {
  auto spec = fake_spec(2);
  config::StageSpec detector{.model = {FakeModel{.classes = kBoxes, .per_class = {5}, .faults = {}}, {}},
                             .device = config::CpuDevice{}};
  detector.steps = {{crops()}};
  spec.members[0].before = {detector};
  spec.members[0].steps = {{ReduceStep{.empty = 0.5F}}};
  spec.slots = 4;
  spec.failure.back_off = 0.001;
  spec.failure.restart_limit.reset();
  return spec;
}

FakeModel& detector_of(config::EnsembleSpec& spec) { return std::get<FakeModel>(spec.members[0].before[0].model.kind); }

/// What the detector outputs for one image: boxes x 5, the sums of worker/fake.hpp.
std::vector<float> boxes_of_image(const config::EnsembleSpec& spec, std::span<const float> image) {
  std::vector<float> boxes(kBoxes * 5);
  for (std::size_t i = 0; i < boxes.size(); ++i) boxes[i] = unit_float(random_at(spec.members[0].seed, i / 5));
  for (std::size_t i = 0; i < image.size(); ++i) boxes[i % boxes.size()] += image[i];
  return boxes;
}

/// The crops of one image.
std::vector<std::vector<float>> crops_of_image(const config::EnsembleSpec& spec, std::span<const float> image) {
  worker::BoxCrops cropping(crops(), {kBoxes, 5}, kShape.layout());
  std::vector<worker::PixelBox> boxes;
  cropping.choose(boxes_of_image(spec, image), boxes);
  std::vector<std::vector<float>> rows;
  for (const worker::PixelBox& box : boxes) cropping.cut(box, image, rows.emplace_back(kCropped.elements()));
  return rows;
}

/// The first member, image by image. `rows`: how many rows each image has.
std::vector<float> naive_rows(const config::EnsembleSpec& spec, const std::vector<float>& images,
                              std::vector<std::size_t>& rows) {
  auto last = spec;
  last.combine.over = OutputKind::logits;
  last.input.shape = kCropped;
  std::vector<float> values;
  for (std::size_t at = 0; at < images.size(); at += kShape.elements()) {
    std::vector<float> outputs;
    const auto crops = crops_of_image(spec, std::span(images).subspan(at, kShape.elements()));
    rows.push_back(crops.size());
    for (const std::vector<float>& crop : crops) {
      const auto output = naive_answer(last, 0, crop);
      outputs.insert(outputs.end(), output.begin(), output.end());
    }
    std::vector<float> reduced(4);
    worker::reduce_rows({.empty = 0.5F}, outputs, reduced);
    worker::StepWork(SoftmaxStep{}, {4}).replace(reduced);  // that of `over: probabilities`
    values.insert(values.end(), reduced.begin(), reduced.end());
  }
  return values;
}

/// The mean of both members.
std::vector<float> naive_mean_of_rows(const config::EnsembleSpec& spec, const std::vector<float>& images) {
  std::vector<std::size_t> rows;
  const auto of_rows = naive_rows(spec, images, rows);
  CHECK(*std::ranges::min_element(rows) == 0);  // the images are worth the test
  CHECK(*std::ranges::max_element(rows) == kMostCrops);
  const auto of_other = naive_answer(spec, 1, images);
  std::vector<float> mean;
  for (std::size_t i = 0; i < of_rows.size(); ++i) mean.push_back((of_rows[i] + of_other[i]) / 2);
  return mean;
}

TEST_CASE("a detector with crops and a classifier are a member with a row for each sample") {
  const NothingLeft census;
  const auto spec = spec_with_rows();
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(243);
  const auto expected = naive_mean_of_rows(spec, images);
  for (int call = 0; call < 3; ++call) CHECK(ensemble.predict(view(images)).values == expected);
  const MemberStatus member = ensemble.status().members[0];
  REQUIRE(member.stages.size() == 2);
  CHECK(member.stages[0].output == Dims{2, 2, 2});
  CHECK(member.stages[0].steps == std::vector<std::string>{"crop_boxes (max 2, above 0.25, channels 2, 2x2, bicubic)"});
  CHECK(member.output == Dims{4});
  CHECK(member.steps == std::vector<std::string>{"reduce (by mean, empty 0.5)"});
}

TEST_CASE("a prediction does not depend on which images share its segment") {
  const NothingLeft census;
  const auto spec = spec_with_rows();
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(40);
  const auto together = ensemble.predict(view(images)).values;
  std::vector<float> apart;
  for (std::size_t i = 0; i < 40; ++i) {
    const std::vector<float> image(images.begin() + static_cast<std::ptrdiff_t>(i * kShape.elements()),
                                   images.begin() + static_cast<std::ptrdiff_t>((i + 1) * kShape.elements()));
    const auto values = ensemble.predict(view(image)).values;
    apart.insert(apart.end(), values.begin(), values.end());
  }
  CHECK(together == apart);
}

TEST_CASE("a stage between detector and last model computes on rows and passes them on") {
  const NothingLeft census;
  auto spec = spec_with_rows();
  config::StageSpec between{.model = {FakeModel{.classes = 6, .faults = {}}, {}}, .device = config::CpuDevice{}};
  between.steps = {{NormalizeStep{.std = {2}}}};
  spec.members[0].before.push_back(between);
  spec.members[0].steps = {{ReduceStep{.by = ReduceBy::max}}, {NormalizeStep{.mean = {0.25F}}}};
  spec.members[0].last.replicas = 2;
  spec.combine = {.rule = CombineRule::mean, .over = OutputKind::logits};
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(80);
  auto middle = spec;
  middle.members[0].model = between.model;
  middle.input.shape = kCropped;
  auto last = spec;
  last.input.shape = {6, 1, 1};
  const auto of_other = naive_answer(spec, 1, images);
  std::vector<float> expected;
  for (std::size_t at = 0; at < images.size(); at += kShape.elements()) {
    std::vector<float> outputs;
    for (const auto& crop : crops_of_image(spec, std::span(images).subspan(at, kShape.elements()))) {
      auto row = naive_answer(middle, 0, crop);
      for (float& value : row) value /= 2;
      const auto output = naive_answer(last, 0, row);
      outputs.insert(outputs.end(), output.begin(), output.end());
    }
    std::vector<float> reduced(4);
    worker::reduce_rows({.by = ReduceBy::max}, outputs, reduced);
    for (const float value : reduced) expected.push_back((value - 0.25F + of_other[expected.size()]) / 2);
  }
  CHECK(ensemble.predict(view(images)).values == expected);
}

TEST_CASE("stages with rows that die again and again lose nothing and change no bit") {
  for (const FaultKind kind : {FaultKind::kill, FaultKind::exception})
    for (const bool first : {true, false}) {
      CAPTURE(to_name(kind));
      CAPTURE(first);
      const NothingLeft census;
      auto spec = spec_with_rows();
      (first ? detector_of(spec) : fake_model(spec, 0)).faults = {{kind, FaultPhase::predict, 5}};
      Ensemble ensemble(published(spec), with_worker());
      const auto images = random_images(320);
      const auto expected = naive_mean_of_rows(spec, images);
      for (int call = 0; call < 2; ++call) CHECK(ensemble.predict(view(images)).values == expected);
      const Status status = ensemble.status();
      CHECK(status.members[0].stages[first ? 0 : 1].deaths >= 2);
      CHECK(status.members[0].stages[first ? 1 : 0].deaths == 0);
      CHECK(status.faults.set_aside == 0);
    }
}

TEST_CASE("replicas of both stages read and write rows and may die at any moment") {
  const NothingLeft census;
  auto spec = spec_with_rows();
  spec.slots = 8;
  spec.members[0].before[0].workers.replicas = 2;
  spec.members[0].last.replicas = 2;
  detector_of(spec).faults = {{FaultKind::kill, FaultPhase::predict, 11}};
  fake_model(spec, 0).faults = {{FaultKind::kill, FaultPhase::predict, 7}};
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(400);
  const auto expected = naive_mean_of_rows(spec, images);
  for (int call = 0; call < 2; ++call) CHECK(ensemble.predict(view(images)).values == expected);
  CHECK(ensemble.status().members[0].deaths >= 2);
}

TEST_CASE("nonsense that a worker writes about its rows costs that worker and changes no bit") {
  for (const std::uint32_t replicas : {1, 2}) {
    CAPTURE(replicas);
    const NothingLeft census;
    const Lines lines;
    auto spec = spec_with_rows();
    spec.slots = 8;
    spec.members[0].before[0].workers.replicas = replicas;
    spec.members[0].last.replicas = replicas;
    detector_of(spec).faults = {{FaultKind::nonsense, FaultPhase::predict, 8}};
    {
      Ensemble ensemble(published(spec), with_worker());
      const auto images = random_images(320);
      const auto expected = naive_mean_of_rows(spec, images);
      for (int call = 0; call < 2; ++call) CHECK(ensemble.predict(view(images)).values == expected);
      const Status status = ensemble.status();
      CHECK(status.faults.violations >= 2);
      CHECK(status.faults.set_aside == 0);
      CHECK(status.members[0].stages[0].deaths >= 2);
      CHECK(status.members[0].stages[1].deaths == 0);  // the reader is not to blame
    }
    const auto said = lines.with("broke the protocol: the index of its rows of segment");
    REQUIRE(said.size() >= 2);
    CHECK(contains(said.front(), "m0/0"));
    CHECK(contains(said.front(), "is nonsense: it counts more rows of a sample than there can be; it was killed"));
  }
}

TEST_CASE("a segment whose rows are always nonsense is set aside and the others are not") {
  const NothingLeft census;
  auto spec = spec_with_rows();
  spec.failure.poison_limit = 2;
  spec.failure.on_poison = OnPoison::set_aside;
  const auto images = random_images(80);
  detector_of(spec).faults = {{FaultKind::nonsense, FaultPhase::predict, 0, images[30 * kShape.elements()]}};
  Ensemble ensemble(published(spec), with_worker());
  const Predictions predictions = ensemble.predict(view(images));
  CHECK(ensemble.status().faults.set_aside == 1);
  const auto expected = naive_mean_of_rows(spec, images);
  const auto row = [](const std::vector<float>& values, std::size_t image) {
    return std::vector<float>(values.begin() + static_cast<std::ptrdiff_t>(image * 4),
                              values.begin() + static_cast<std::ptrdiff_t>(image * 4 + 4));
  };
  for (const std::size_t image : {0, 23, 32, 79}) CHECK(row(predictions.values, image) == row(expected, image));
}

TEST_CASE("rows may be computed in a later round of a cascade") {
  const NothingLeft census;
  auto spec = spec_with_rows();
  std::swap(spec.members[0], spec.members[1]);
  check_cascade(spec);
}

TEST_CASE("NaN of a detector or a classifier ends the call that it is in and names the stage") {
  for (const bool first : {true, false}) {
    const NothingLeft census;
    auto spec = spec_with_rows();
    (first ? detector_of(spec) : fake_model(spec, 0)).faults = {{FaultKind::nan, FaultPhase::predict, 2}};
    Ensemble ensemble(published(spec), with_worker());
    const auto images = random_images(80);
    CHECK(contains(message_of([&] { ensemble.predict(view(images)); }),
                   first ? "m0/0 on cpu predicted NaN or infinity" : "m0/1 on cpu predicted NaN or infinity"));
    CHECK(ensemble.predict(view(images)).values == naive_mean_of_rows(spec, images));
  }
}

TEST_CASE("a stage that cannot crop or cannot take its crops is named before anything is predicted") {
  auto spec = spec_with_rows();
  std::get<CropBoxesStep>(spec.members[0].before[0].steps[0].step).channels = 3;
  const auto error = start_error(spec);
  REQUIRE(error);
  CHECK(contains(error->what(), "step 'crop_boxes' cuts pictures with 3 channels"));
  CHECK(contains(error->what(), "set its 'channels' to 2"));
}

}  // namespace
}  // namespace tutti::test
