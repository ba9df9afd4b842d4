// Tests of training small-cnn and mlp: the loss falls, the same seeds give the same bytes, predictions use new weights.
#include <ATen/ops/full.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "merge/safetensors.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/torch_doctest.hpp"
#include "worker/torch/adam.hpp"
#include "worker/torch/models.hpp"

namespace tutti::worker {
namespace {

using test::answers;
using test::bytes_of;
using test::error_of;
using test::request_for;
using test::TemporaryFolder;

constexpr std::uint32_t kImages = 32;

struct Lesson {
  std::vector<float> images;
  std::vector<std::int64_t> labels;
};

// Class c has its bright rows at 8c .. 8c + 7; the rest is noise.
Lesson bright_quarters() {
  Lesson lesson{test::some_images(kImages), {}};
  for (std::size_t image = 0; image < kImages; ++image) {
    const std::size_t label = image % 4;
    lesson.labels.push_back(static_cast<std::int64_t>(label));
    for (std::size_t channel = 0; channel < 3; ++channel)
      for (std::size_t i = 0; i < 8 * 32; ++i) lesson.images[image * 3072 + channel * 1024 + label * 256 + i] += 1.0F;
  }
  return lesson;
}

std::vector<std::uint32_t> all_rows() {
  std::vector<std::uint32_t> rows(kImages);
  std::iota(rows.begin(), rows.end(), 0U);
  return rows;
}

TrainBatch epochs(Model& model, const Lesson& lesson, int count) {
  TrainBatch last;
  model.trainable()->begin_training();
  for (int i = 0; i < count; ++i) last = model.trainable()->train(lesson.images.data(), lesson.labels, all_rows());
  return last;
}

TEST_CASE("training lowers the loss until every image is known") {
  const Lesson lesson = bright_quarters();
  for (const ModelKind& kind : {ModelKind(SmallCnnModel{4}), ModelKind(MlpModel{{16, 4}})}) {
    auto model = make_torch_model(request_for(kind));
    const TrainBatch first = epochs(*model, lesson, 1);
    CHECK(first.correct < kImages);
    const TrainBatch last = epochs(*model, lesson, 60);
    CHECK(last.loss_sum < first.loss_sum / 4);
    CHECK(last.correct == kImages);
  }
}

TEST_CASE("the loss and the correct images are those of the prediction before the step") {
  const Lesson lesson = bright_quarters();
  auto model = make_torch_model(request_for(SmallCnnModel{4}));
  const std::vector<float> before = answers(*model, lesson.images, kImages, kImages);
  model->trainable()->begin_training();
  const TrainBatch batch = model->trainable()->train(lesson.images.data(), lesson.labels, all_rows());
  double loss = 0;
  std::uint64_t correct = 0;
  for (std::size_t image = 0; image < kImages; ++image) {
    const float* const row = before.data() + image * 4;
    loss -= std::log(double{row[lesson.labels[image]]});
    correct += std::max_element(row, row + 4) - row == lesson.labels[image] ? 1 : 0;
  }
  CHECK(batch.loss_sum == doctest::Approx(loss).epsilon(1e-4));
  CHECK(batch.correct == correct);
}

TEST_CASE("the first step of Adam moves each weight by the learning rate") {
  const TemporaryFolder folder;
  const Lesson lesson = bright_quarters();
  MemberRequest request = request_for(MlpModel{{4}});
  request.learning_rate = 0.01;
  auto model = make_torch_model(request);
  model->trainable()->save(folder / "before");
  epochs(*model, lesson, 1);
  model->trainable()->save(folder / "after");
  const auto before = merge::Safetensors::read(folder / "before");
  const auto after = merge::Safetensors::read(folder / "after");
  const auto values = [](const merge::Safetensors& file) {
    return reinterpret_cast<const float*>(file.tensor("fc1.bias").bytes.data());
  };
  for (int i = 0; i < 4; ++i)
    CHECK(std::abs(values(after)[i] - values(before)[i]) == doctest::Approx(0.01).epsilon(1e-2));
}

TEST_CASE("predictions come from the weights after the last step") {
  const TemporaryFolder folder;
  const Lesson lesson = bright_quarters();
  MemberRequest request = request_for(SmallCnnModel{4});
  auto model = make_torch_model(request);
  const std::vector<float> before = answers(*model, lesson.images, kImages, 8);
  epochs(*model, lesson, 3);
  const std::vector<float> after = answers(*model, lesson.images, kImages, 8);
  CHECK(after != before);
  model->trainable()->save(folder / "w");
  request.weights = folder / "w";
  CHECK(answers(*make_torch_model(request), lesson.images, kImages, 8) == after);
}

TEST_CASE("the same seeds give the same bytes and one more step gives others") {
  const TemporaryFolder folder;
  const Lesson lesson = bright_quarters();
  const std::vector<std::uint32_t> shuffled{7, 3, 3, 31, 0, 12};
  for (const std::string name : {"a", "b", "c"}) {
    auto model = make_torch_model(request_for(SmallCnnModel{4}));
    epochs(*model, lesson, 3);
    if (name != "c") model->trainable()->train(lesson.images.data(), lesson.labels, shuffled);
    model->trainable()->save(folder / name);
  }
  CHECK(bytes_of(folder / "a") == bytes_of(folder / "b"));
  CHECK(bytes_of(folder / "a") != bytes_of(folder / "c"));
}

TEST_CASE("rows are picked from the segment in their order") {
  const TemporaryFolder folder;
  const Lesson lesson = bright_quarters();
  const std::vector<std::uint32_t> rows{5, 2, 2, 30};
  Lesson picked;
  for (const std::uint32_t row : rows) {
    picked.images.insert(picked.images.end(), lesson.images.begin() + row * 3072L,
                         lesson.images.begin() + (row + 1) * 3072L);
    picked.labels.push_back(lesson.labels[row]);
  }
  auto scattered = make_torch_model(request_for(SmallCnnModel{4}));
  auto together = make_torch_model(request_for(SmallCnnModel{4}));
  scattered->trainable()->begin_training();
  together->trainable()->begin_training();
  const TrainBatch one = scattered->trainable()->train(lesson.images.data(), lesson.labels, rows);
  const TrainBatch two =
      together->trainable()->train(picked.images.data(), picked.labels, std::vector<std::uint32_t>{0, 1, 2, 3});
  CHECK(one.loss_sum == two.loss_sum);
  scattered->trainable()->save(folder / "scattered");
  together->trainable()->save(folder / "together");
  CHECK(bytes_of(folder / "scattered") == bytes_of(folder / "together"));
}

TEST_CASE("training starts again with a new optimiser and the current weights") {
  const TemporaryFolder folder;
  const Lesson lesson = bright_quarters();
  auto twice = make_torch_model(request_for(SmallCnnModel{4}));
  epochs(*twice, lesson, 2);
  twice->trainable()->save(folder / "half");
  epochs(*twice, lesson, 2);
  MemberRequest request = request_for(SmallCnnModel{4});
  request.weights = folder / "half";
  auto resumed = make_torch_model(request);
  epochs(*resumed, lesson, 2);
  twice->trainable()->save(folder / "a");
  resumed->trainable()->save(folder / "b");
  CHECK(bytes_of(folder / "a") == bytes_of(folder / "b"));
}

TEST_CASE("without rows there is no step") {
  const TemporaryFolder folder;
  const Lesson lesson = bright_quarters();
  auto model = make_torch_model(request_for(SmallCnnModel{4}));
  model->trainable()->save(folder / "a");
  model->trainable()->begin_training();
  CHECK(model->trainable()->train(lesson.images.data(), lesson.labels, {}).loss_sum == 0.0);
  model->trainable()->save(folder / "b");
  CHECK(bytes_of(folder / "a") == bytes_of(folder / "b"));
}

TEST_CASE("a label outside the classes is named") {
  Lesson lesson = bright_quarters();
  auto model = make_torch_model(request_for(SmallCnnModel{4}));
  model->trainable()->begin_training();
  for (const std::int64_t label : {std::int64_t{4}, std::int64_t{-1}}) {
    lesson.labels[9] = label;
    const auto error = error_of([&] { model->trainable()->train(lesson.images.data(), lesson.labels, all_rows()); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "label " + std::to_string(label) + " is outside the model's 4 classes");
    CHECK(error->detail() == "image 9 of the segment");
  }
}

// Adam by its definition, in float64, for a layer of one weight and one bias per class whose gradient is known.
TEST_CASE("the optimiser does the steps of Adam") {
  constexpr double kRate = 0.01;
  at::Tensor weight = at::full({2}, 0.5F);
  Adam adam({{"w", weight}}, kRate);
  double expected = 0.5;
  double mean = 0;
  double variance = 0;
  for (int step = 1; step <= 5; ++step) {
    const double gradient = 0.3 * step - 0.7;
    adam.forget_gradients();
    weight.mutable_grad() = at::full({2}, gradient, at::kFloat);
    adam.step();
    mean = 0.9 * mean + 0.1 * gradient;
    variance = 0.999 * variance + 0.001 * gradient * gradient;
    expected -= kRate * (mean / (1 - std::pow(0.9, step))) / (std::sqrt(variance / (1 - std::pow(0.999, step))) + 1e-8);
    CHECK(weight[0].item<float>() == doctest::Approx(expected).epsilon(1e-6));
    CHECK(weight[1].item<float>() == weight[0].item<float>());
  }
}

}  // namespace
}  // namespace tutti::worker
