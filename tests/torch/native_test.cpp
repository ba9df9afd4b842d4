// Tests of the outputs of small-cnn and mlp, against PyTorch's layers and a plain computation.
#include <sys/mman.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <cmath>
#include <cstring>

#include "tests/common/error_of.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/torch_doctest.hpp"
#include "worker/torch/models.hpp"
#include "worker/torch/network.hpp"

namespace tutti::worker {
namespace {

using test::answers;
using test::contains;
using test::error_of;
using test::request_for;
using test::some_images;

at::Tensor tensor_of(std::vector<float>& values, at::IntArrayRef shape) {
  return at::from_blob(values.data(), shape, at::kFloat);
}

MemberRequest logits_request(ModelKind kind) {
  MemberRequest request = request_for(std::move(kind));
  request.over = OutputKind::logits;
  return request;
}

TEST_CASE("a seed gives the weights that PyTorch gives its own layers") {
  const NamedTensors ours = named_tensors(make_small_cnn({10}, ImageShape{3, 32, 32}.layout(), 5));
  at::manual_seed(5);
  std::vector<at::Tensor> theirs;
  for (const auto& [in, out] : {std::pair{3, 32}, {32, 64}, {64, 64}})
    for (const at::Tensor& tensor : torch::nn::Conv2d(in, out, 3)->parameters()) theirs.push_back(tensor);
  for (const auto& [in, out] : {std::pair{1024, 64}, {64, 10}})
    for (const at::Tensor& tensor : torch::nn::Linear(in, out)->parameters()) theirs.push_back(tensor);
  REQUIRE(ours.size() == theirs.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    CAPTURE(ours[i].first);
    CHECK(at::equal(ours[i].second, theirs[i]));
  }
}

TEST_CASE("a model that is set to other batches gives the bytes of one that was loaded for them") {
  const auto images = some_images(48);
  for (const ModelKind& kind : {ModelKind(SmallCnnModel{10}), ModelKind(MlpModel{{32, 10}})}) {
    auto tried = make_torch_model(logits_request(kind));  // for batches of 8
    for (const std::uint32_t batch : {1U, 4U, 16U, 48U, 12U, 8U, 4U}) {
      CAPTURE(batch);
      tried->expect_batches(batch);
      MemberRequest request = logits_request(kind);
      request.batch_images = batch;
      auto fresh = make_torch_model(request);
      CHECK(answers(*tried, images, 48, batch) == answers(*fresh, images, 48, batch));
    }
  }
}

TEST_CASE("small-cnn gives the outputs of the same layers one by one") {
  auto model = make_torch_model(logits_request(SmallCnnModel{12}));
  std::vector<float> images = some_images(8);
  std::vector<float> found = answers(*model, images, 8, 8);
  at::Tensor x = tensor_of(images, {8, 3, 32, 32}).to(at::kDouble);
  const NamedTensors w = named_tensors(make_small_cnn({12}, ImageShape{3, 32, 32}.layout(), 7));
  const auto layer = [&](std::size_t i) { return w[i].second.to(at::kDouble); };
  x = at::max_pool2d(at::relu(at::conv2d(x, layer(0), layer(1))), 2);
  x = at::max_pool2d(at::relu(at::conv2d(x, layer(2), layer(3))), 2);
  x = at::relu(at::conv2d(x, layer(4), layer(5))).flatten(1);
  x = at::addmm(layer(9), at::relu(at::addmm(layer(7), x, layer(6).t())), layer(8).t());
  CHECK(model->output() == Dims{12});
  CHECK(model->parameters() == 896 + 18496 + 36928 + 65600 + 65 * 12);
  CHECK(at::allclose(tensor_of(found, {8, 12}).to(at::kDouble), x, 1e-4, 1e-5));
}

TEST_CASE("an mlp gives the outputs of its sums written out") {
  MemberRequest request = logits_request(MlpModel{{4, 3}});
  request.takes = {TakenTensor::unchanged(ImageShape{1, 2, 3}.layout())};
  auto model = make_torch_model(request);
  const std::vector<float> images = some_images(2, {1, 2, 3});
  const std::vector<float> found = answers(*model, images, 2, 2);
  const NamedTensors w = named_tensors(make_mlp({{4, 3}}, request.seen(), 7));
  const auto weight = [&](std::size_t i, int row, int column) { return w[i].second[row][column].item<float>(); };
  for (int image = 0; image < 2; ++image)
    for (int out = 0; out < 3; ++out) {
      float sum = w[3].second[out].item<float>();
      for (int hidden = 0; hidden < 4; ++hidden) {
        float inner = w[1].second[hidden].item<float>();
        for (int i = 0; i < 6; ++i) inner += weight(0, hidden, i) * images[static_cast<std::size_t>(image * 6 + i)];
        sum += weight(2, out, hidden) * std::max(inner, 0.0F);
      }
      CHECK(found[static_cast<std::size_t>(image * 3 + out)] == doctest::Approx(sum).epsilon(1e-5));
    }
}

TEST_CASE("probabilities are the softmax of the logits applied once") {
  auto over_logits = make_torch_model(logits_request(SmallCnnModel{}));
  auto over_probabilities = make_torch_model(request_for(SmallCnnModel{}));
  const std::vector<float> images = some_images(5);
  const std::vector<float> logits = answers(*over_logits, images, 5, 5);
  const std::vector<float> found = answers(*over_probabilities, images, 5, 5);
  for (std::size_t image = 0; image < 5; ++image) {
    double sum = 0;
    double total = 0;
    for (std::size_t c = 0; c < 10; ++c) sum += std::exp(double{logits[image * 10 + c]});
    for (std::size_t c = 0; c < 10; ++c) {
      total += double{found[image * 10 + c]};
      CHECK(found[image * 10 + c] == doctest::Approx(std::exp(double{logits[image * 10 + c]}) / sum).epsilon(1e-5));
    }
    CHECK(total == doctest::Approx(1.0).epsilon(1e-5));
  }
}

TEST_CASE("predict writes what probe returns and reads its input in place") {
  for (const ModelKind& kind : {ModelKind(SmallCnnModel{}), ModelKind(MlpModel{{16, 10}})}) {
    auto model = make_torch_model(request_for(kind));
    const std::vector<float> images = some_images(8);
    const std::size_t bytes = images.size() * sizeof(float);
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    std::memcpy(memory, images.data(), bytes);
    ::mprotect(memory, bytes, PROT_READ);
    std::vector<float> output(8 * 10);
    model->predict(static_cast<const float*>(memory), 8, output);
    CHECK(output == answers(*model, images, 8, 8));
    ::munmap(memory, bytes);
  }
}

TEST_CASE("the same batch has the same bits whatever came before it") {
  for (const ModelKind& kind : {ModelKind(SmallCnnModel{}), ModelKind(MlpModel{{64, 10}})}) {
    auto model = make_torch_model(request_for(kind));
    auto other = make_torch_model(request_for(kind));
    const std::vector<float> images = some_images(21);
    const std::vector<float> first = answers(*model, images, 21, 8);
    for (const std::uint32_t batch : {1U, 3U, 4U, 20U, 5U}) answers(*model, images, 21, batch);
    CHECK(answers(*model, images, 21, 8) == first);
    CHECK(answers(*other, images, 21, 8) == first);
  }
}

TEST_CASE("the cut into batches changes no more than last bits") {
  auto model = make_torch_model(request_for(SmallCnnModel{}));
  const std::vector<float> images = some_images(21);
  const std::vector<float> whole = answers(*model, images, 21, 21);
  for (const std::uint32_t batch : {1U, 2U, 4U, 8U, 20U}) {
    const std::vector<float> cut = answers(*model, images, 21, batch);
    REQUIRE(cut.size() == whole.size());
    for (std::size_t i = 0; i < whole.size(); ++i) CHECK(cut[i] == doctest::Approx(whole[i]).epsilon(1e-5));
  }
}

TEST_CASE("a network says which images and layers it cannot take") {
  MemberRequest request = request_for(SmallCnnModel{});
  request.takes = {TakenTensor::unchanged(ImageShape{1, 28, 28}.layout())};
  auto error = error_of([&] { make_torch_model(request); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "small-cnn needs images of 3x32x32");
  CHECK(error->detail() == "these are 1x28x28");
  CHECK(contains(error->hint(), "mlp"));
  request.takes = {TakenTensor::unchanged(ImageShape{32, 32, 3}.layout())};
  error = error_of([&] { make_torch_model(request); });
  REQUIRE(error);
  CHECK(contains(error->hint(), "add 'layout: nhwc' to 'input'"));
  error = error_of([] { make_torch_model(request_for(SmallCnnModel{0})); });
  REQUIRE(error);
  CHECK(error->message() == "small-cnn needs at least one class");
  error = error_of([] { make_torch_model(request_for(MlpModel{})); });
  REQUIRE(error);
  CHECK(error->message() == "an mlp needs at least one layer: the classes");
  error = error_of([] { make_torch_model(request_for(MlpModel{{8, 0, 10}})); });
  REQUIRE(error);
  CHECK(error->message() == "a layer of an mlp cannot have width 0");
}

TEST_CASE("logits do not become features and probabilities do not become logits") {
  MemberRequest request = request_for(SmallCnnModel{});
  request.over = OutputKind::features;
  auto error = error_of([&] { make_torch_model(request); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "a model that outputs logits cannot be combined over features");
  CHECK(contains(error->detail(), "different things"));
  request.output = OutputKind::probabilities;
  request.over = OutputKind::logits;
  error = error_of([&] { make_torch_model(request); });
  REQUIRE(error);
  CHECK(error->message() == "a model that outputs probabilities cannot be combined over logits");
  CHECK(contains(error->detail(), "cannot be computed from"));
  CHECK(contains(error->hint(), "'combine.over' to probabilities"));
  request.over = OutputKind::probabilities;
  error = error_of([&] { make_torch_model(request); });
  REQUIRE(error);
  CHECK(error->message() == "small-cnn outputs logits, not probabilities");
}

}  // namespace
}  // namespace tutti::worker
