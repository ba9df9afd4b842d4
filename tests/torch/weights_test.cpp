// Tests of members' weights in safetensors: what is saved is loaded again, and what does not fit is named in full.
#include <doctest/doctest.h>

#include <array>
#include <limits>

#include "merge/safetensors.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"
#include "worker/torch/models.hpp"

namespace tutti::worker {
namespace {

using test::answers;
using test::bytes_of;
using test::contains;
using test::error_of;
using test::request_for;
using test::some_images;
using test::TemporaryFolder;

MemberRequest small_mlp() {
  MemberRequest request = request_for(MlpModel{{4, 3}});
  request.takes = {TakenTensor::unchanged(ImageShape{1, 2, 3}.layout())};
  return request;
}

TEST_CASE("saved weights give the same bits in another model") {
  const TemporaryFolder folder;
  for (const ModelKind& kind : {ModelKind(SmallCnnModel{}), ModelKind(MlpModel{{32, 10}})}) {
    auto model = make_torch_model(request_for(kind, 1));
    model->trainable()->save(folder / "w.safetensors");
    MemberRequest request = request_for(kind, 2);
    const std::vector<float> images = some_images(8);
    const std::vector<float> expected = answers(*model, images, 8, 8);
    CHECK(answers(*make_torch_model(request), images, 8, 8) != expected);
    request.weights = folder / "w.safetensors";
    auto loaded = make_torch_model(request);
    CHECK(answers(*loaded, images, 8, 8) == expected);
    loaded->trainable()->save(folder / "again.safetensors");
    CHECK(bytes_of(folder / "again.safetensors") == bytes_of(folder / "w.safetensors"));
  }
}

TEST_CASE("the file has the names and shapes that PyTorch uses") {
  const TemporaryFolder folder;
  make_torch_model(request_for(SmallCnnModel{7}))->trainable()->save(folder / "w.safetensors");
  const auto file = merge::Safetensors::read(folder / "w.safetensors");
  CHECK(file.names() == std::vector<std::string>{"conv1.bias", "conv1.weight", "conv2.bias", "conv2.weight",
                                                 "conv3.bias", "conv3.weight", "fc1.bias", "fc1.weight", "fc2.bias",
                                                 "fc2.weight"});
  CHECK(file.tensor("conv2.weight").shape == std::vector<std::int64_t>{64, 32, 3, 3});
  CHECK(file.tensor("fc2.weight").shape == std::vector<std::int64_t>{7, 64});
  CHECK(file.tensor("fc2.weight").dtype == merge::Dtype::f32);
  CHECK(file.metadata().at("kind") == "small-cnn");
  CHECK(file.metadata().at("format") == "pt");
  CHECK(file.metadata().count("tutti") == 1);
}

TEST_CASE("the same seed gives the same file and another seed another") {
  const TemporaryFolder folder;
  for (const auto& [name, seed] : {std::pair{"a", 1U}, {"b", 1U}, {"c", 2U}})
    make_torch_model(request_for(SmallCnnModel{}, seed))->trainable()->save(folder / name);
  CHECK(bytes_of(folder / "a") == bytes_of(folder / "b"));
  CHECK(bytes_of(folder / "a") != bytes_of(folder / "c"));
}

TEST_CASE("every tensor that does not fit is named with what was expected and found") {
  const TemporaryFolder folder;
  const std::array<float, 24> floats{};
  const std::array<std::int64_t, 4> numbers{};
  const auto f32 = [&](std::string name, std::vector<std::int64_t> shape, std::size_t values) {
    return merge::TensorView{std::move(name), merge::Dtype::f32, std::move(shape),
                             std::as_bytes(std::span(floats).first(values))};
  };
  const std::vector<merge::TensorView> tensors{f32("fc1.weight", {4, 5}, 20),
                                               {"fc1.bias", merge::Dtype::i64, {4}, std::as_bytes(std::span(numbers))},
                                               f32("fc2.weight", {3, 4}, 12),
                                               f32("fc2.bais", {3}, 3),
                                               f32("running_average", {2}, 2)};
  merge::write_safetensors(folder / "w.safetensors", tensors);
  MemberRequest request = small_mlp();
  request.weights = folder / "w.safetensors";
  const auto error = error_of([&] { make_torch_model(request); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the weights in '" + request.weights + "' do not fit mlp");
  CHECK(error->detail() ==
        "fc1.weight has shape [4, 5], expected [4, 6]\n"
        "  fc1.bias has type I64, expected F32\n"
        "  fc2.bias is missing, expected [3]; the nearest is fc2.bais\n"
        "  fc2.bais is unknown; the nearest is fc2.bias\n"
        "  running_average is unknown");
  CHECK(contains(error->hint(), "same kind"));
}

TEST_CASE("weights that hold NaN or infinity are refused and large finite ones are not") {
  const TemporaryFolder folder;
  const auto loaded = [&](float value) {
    std::array<float, 24> weight{};
    weight[17] = weight[18] = value;
    const std::array<float, 12> other{};
    const auto f32 = [](const char* name, std::vector<std::int64_t> shape, std::span<const float> values) {
      return merge::TensorView{name, merge::Dtype::f32, std::move(shape), std::as_bytes(values)};
    };
    merge::write_safetensors(
        folder / "w.safetensors",
        std::vector{f32("fc1.weight", {4, 6}, weight), f32("fc1.bias", {4}, std::span(other).first(4)),
                    f32("fc2.weight", {3, 4}, other), f32("fc2.bias", {3}, std::span(other).first(3))});
    MemberRequest request = small_mlp();
    request.weights = folder / "w.safetensors";
    return error_of([&] { make_torch_model(request); });
  };
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto error = loaded(value);
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "'" + (folder / "w.safetensors").string() + "' holds NaN or infinity");
    CHECK(error->detail() == "first in 'fc1.weight'");
    CHECK(contains(error->hint(), "may have diverged"));
  }
  CHECK_FALSE(loaded(std::numeric_limits<float>::max()));  // their sum is infinite
}

TEST_CASE("a file of weights that is missing is named") {
  MemberRequest request = small_mlp();
  request.weights = "/nowhere/w.safetensors";
  const auto error = error_of([&] { make_torch_model(request); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->what(), "/nowhere/w.safetensors"));
}

}  // namespace
}  // namespace tutti::worker
