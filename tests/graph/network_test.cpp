// The networks of Tutti computed by the library under test, compared with a plain loop.
#include <algorithm>
#include <cmath>

#include "merge/safetensors.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/graph/graph_backend.hpp"

namespace tutti::test {
namespace {

/// Weights in [-0.5, 0.5) that depend on their place only.
struct Weights {
  std::string name;
  std::vector<std::int64_t> sizes;
  Floats values;

  Weights(std::string of, std::vector<std::int64_t> shape) : name(std::move(of)), sizes(std::move(shape)) {
    std::size_t count = 1;
    for (const std::int64_t size : sizes) count *= static_cast<std::size_t>(size);
    for (std::size_t i = 0; i < count; ++i)
      values.push_back(static_cast<float>((i * 2654435761U + name.size()) % 1000) / 1000 - 0.5F);
    const float scale = 1 / std::sqrt(static_cast<float>(count) / static_cast<float>(sizes.front()));
    for (float& value : values) value *= scale;
  }
};

std::string saved(const TemporaryFolder& folder, const std::vector<Weights>& weights) {
  std::vector<merge::TensorView> views;
  for (const Weights& one : weights)
    views.push_back({one.name, merge::Dtype::f32, one.sizes, std::as_bytes(std::span(one.values))});
  const std::filesystem::path file = folder / "w.safetensors";
  merge::write_safetensors(file, views);
  return file.string();
}

Floats dense(const Floats& x, const Weights& weight, const Weights& bias, bool relu) {
  Floats y = bias.values;
  for (std::size_t out = 0; out < y.size(); ++out) {
    for (std::size_t in = 0; in < x.size(); ++in) y[out] += weight.values[out * x.size() + in] * x[in];
    if (relu) y[out] = std::max(y[out], 0.0F);
  }
  return y;
}

/// 3x3, valid, then ReLU; of a square image.
Floats convolution(const Floats& x, std::size_t side, const Weights& weight, const Weights& bias) {
  const std::size_t in = x.size() / (side * side);
  const std::size_t size = side - 2;
  Floats y;
  for (std::size_t out = 0; out < bias.values.size(); ++out)
    for (std::size_t row = 0; row < size; ++row)
      for (std::size_t column = 0; column < size; ++column) {
        float sum = bias.values[out];
        for (std::size_t c = 0; c < in; ++c)
          for (std::size_t k = 0; k < 9; ++k)
            sum += weight.values[(out * in + c) * 9 + k] * x[(c * side + row + k / 3) * side + column + k % 3];
        y.push_back(std::max(sum, 0.0F));
      }
  return y;
}

/// The largest of 2x2; an odd row and column are left out.
Floats pooled(const Floats& x, std::size_t side) {
  const std::size_t half = side / 2;
  Floats y;
  for (std::size_t c = 0; c < x.size() / (side * side); ++c)
    for (std::size_t row = 0; row < half; ++row)
      for (std::size_t column = 0; column < half; ++column) {
        const float* const at = &x[(c * side + 2 * row) * side + 2 * column];
        y.push_back(std::max(std::max(at[0], at[1]), std::max(at[side], at[side + 1])));
      }
  return y;
}

MemberRequest network_request(ModelKind kind, const TensorLayout& layout) {
  *backend_of(kind) = kBackend.by;
  MemberRequest request;
  request.name = "m0";
  request.model = std::move(kind);
  request.takes = {TakenTensor::unchanged(layout)};
  request.batch_images = 4;
  request.over = OutputKind::logits;
  return request;
}

Floats samples_of(std::size_t count) {
  Floats values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>((i * 40503U) % 256) / 256;
  return values;
}

void check_near(const Floats& found, const Floats& expected) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-4).scale(1));
}

TEST_CASE("an mlp predicts what a plain loop predicts") {
  if (skipped()) return;
  const TemporaryFolder folder;
  const std::vector<Weights> weights{
      {"fc1.weight", {5, 12}}, {"fc1.bias", {5}}, {"fc2.weight", {3, 5}}, {"fc2.bias", {3}}};
  MemberRequest request = network_request(MlpModel{{5, 3}}, kImage);
  request.weights = saved(folder, weights);
  const Floats samples = samples_of(3 * 12);
  Floats expected;
  for (std::size_t i = 0; i < 3; ++i) {
    const Floats sample(samples.begin() + static_cast<std::ptrdiff_t>(i * 12),
                        samples.begin() + static_cast<std::ptrdiff_t>(i * 12 + 12));
    const Floats y = dense(dense(sample, weights[0], weights[1], true), weights[2], weights[3], false);
    expected.insert(expected.end(), y.begin(), y.end());
  }
  check_near(predictions(request, samples.data(), 3), expected);
  CHECK(kBackend.make(request)->parameters() == 12 * 5 + 5 + 5 * 3 + 3);
  CHECK(parameters_of(request.model, 12) == 12 * 5 + 5 + 5 * 3 + 3);
}

TEST_CASE("an mlp takes samples of one number") {
  if (skipped()) return;
  const TemporaryFolder folder;
  const std::vector<Weights> weights{{"fc1.weight", {3, 1}}, {"fc1.bias", {3}}};
  MemberRequest request = network_request(MlpModel{{3}}, TensorLayout{Dtype::float32, {}});
  request.weights = saved(folder, weights);
  const Floats samples{0.5F, -2};
  Floats expected;
  for (const float sample : samples) {
    const Floats y = dense({sample}, weights[0], weights[1], false);
    expected.insert(expected.end(), y.begin(), y.end());
  }
  check_near(predictions(request, samples.data(), 2), expected);
}

TEST_CASE("a small-cnn predicts what a plain loop predicts") {
  if (skipped()) return;
  const TemporaryFolder folder;
  const std::vector<Weights> w{
      {"conv1.weight", {32, 3, 3, 3}},  {"conv1.bias", {32}}, {"conv2.weight", {64, 32, 3, 3}}, {"conv2.bias", {64}},
      {"conv3.weight", {64, 64, 3, 3}}, {"conv3.bias", {64}}, {"fc1.weight", {64, 1024}},       {"fc1.bias", {64}},
      {"fc2.weight", {7, 64}},          {"fc2.bias", {7}}};
  MemberRequest request = network_request(SmallCnnModel{7}, ImageShape{3, 32, 32}.layout());
  request.weights = saved(folder, w);
  const Floats image = samples_of(3 * 32 * 32);
  const Floats first = pooled(convolution(image, 32, w[0], w[1]), 30);
  const Floats second = pooled(convolution(first, 15, w[2], w[3]), 13);
  const Floats third = convolution(second, 6, w[4], w[5]);
  CHECK(parameters_of(request.model, 3 * 32 * 32) == kBackend.make(request)->parameters());
  check_near(predictions(request, image.data(), 1), dense(dense(third, w[6], w[7], true), w[8], w[9], false));
}

TEST_CASE("the weights of a network outlive the memory that they were read into") {
  if (skipped()) return;
  // 32 MB, for which the process gets pages and gives them back.
  MemberRequest request = network_request(MlpModel{{4096, 3}}, TensorLayout{Dtype::float32, {2048}});
  const std::unique_ptr<worker::Model> model = kBackend.make(request);
  const Floats samples = samples_of(4 * 2048);
  const std::span<const float> probed = model->probe(samples.data(), 4);
  const Floats before(probed.begin(), probed.end());
  const Floats other(std::size_t{2048} * 4096 + 4096, 7);  // takes the place of memory that was given back
  Floats output(12);
  model->predict(samples.data(), 4, output);
  CHECK(output == before);
  CHECK(other.back() == 7);
  request.seed = 1;
  CHECK(predictions(request, samples.data(), 4) != before);
}

TEST_CASE("a network of Tutti on a GPU is refused") {
  if (skipped()) return;
  MemberRequest request = network_request(MlpModel{{3}}, kImage);
  request.cuda = true;
  const Error error = refusal(request);
  CHECK(contains(error.message(), "members with 'backend: "));
  CHECK(contains(error.message(), "run on the CPU only"));
  CHECK(error.hint() == "assign the member to cpu, or use 'backend: torch'");
}

}  // namespace
}  // namespace tutti::test
