// Tests of clip-vit members: towers in every layout give the outputs of transformers, and errors name what does not
// fit.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>

#include <ATen/Context.h>
#include <fmt/format.h>

#include "tests/torch/torch_doctest.hpp"

#include "merge/safetensors.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/places.hpp"
#include "tests/torch/requests.hpp"
#include "worker/torch/models.hpp"

namespace tutti::worker {
namespace {

namespace fs = std::filesystem;
using test::answers;
using test::contains;
using test::error_of;
using test::TemporaryFolder;

const fs::path kData = test::in_sources("tests/torch/data/clip");
/// Sums of some hundred float32 terms in another order, on values of about 1 to 5.
constexpr double kTolerance = 2e-5;

MemberRequest clip_request(const fs::path& folder, ClipOutput output = ClipOutput::pooled) {
  MemberRequest request = test::request_for(ClipVitModel{folder.string(), output, ""});
  request.output = output == ClipOutput::logits ? OutputKind::logits : OutputKind::features;
  request.over = request.output;
  return request;
}

std::vector<float> floats(const merge::Safetensors& file, const std::string& name) {
  const auto bytes = file.tensor(name).bytes;
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::vector<float> reference(const std::string& name) {
  return floats(merge::Safetensors::read(kData / "answers.safetensors"), name);
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::isfinite(a[i]) ? std::abs(double{a[i]} - double{b[i]}) : HUGE_VAL);
  return largest;
}

/// A copy of tests/torch/data/clip/bare whose tensors `change` may alter.
void write_changed(const fs::path& folder, const std::function<void(std::vector<merge::TensorView>&)>& change,
                   const std::string& config = "") {
  fs::create_directories(folder);
  std::ofstream(folder / "config.json") << (config.empty() ? test::bytes_of(kData / "bare/config.json") : config);
  const merge::Safetensors whole = merge::Safetensors::read(kData / "bare/model.safetensors");
  std::vector<merge::TensorView> tensors;
  for (const std::string& name : whole.names()) tensors.push_back(whole.tensor(name));
  change(tensors);
  merge::write_safetensors(folder / "model.safetensors", tensors);
}

merge::TensorView& named(std::vector<merge::TensorView>& tensors, const std::string& name) {
  return *std::find_if(tensors.begin(), tensors.end(), [&](const auto& tensor) { return tensor.name == name; });
}

std::optional<Error> load_error(const MemberRequest& request) {
  return error_of([&] { make_torch_model(request); });
}

void write_head(const fs::path& file, std::int64_t features, const std::string& tower = "") {
  std::vector<float> weight(static_cast<std::size_t>(3 * features));
  for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<float>(i % 7) - 3;
  const merge::TensorView tensor{"weight", merge::Dtype::f32, {3, features}, std::as_bytes(std::span(weight))};
  std::map<std::string, std::string> metadata;
  if (!tower.empty()) metadata["tower"] = tower;
  merge::write_safetensors(file, std::span(&tensor, 1), metadata);
}

TEST_CASE("a tower without the prefix gives the outputs of transformers in any batch") {
  const std::vector<float> images = reference("images");
  for (const std::uint32_t batch : {5U, 2U, 1U}) {
    auto model = make_torch_model(clip_request(kData / "bare"));
    const std::vector<float> found = answers(*model, images, 5, batch);
    CHECK(model->output() == Dims{32});
    CHECK(largest_difference(found, reference("pooled")) < kTolerance);
  }
}

TEST_CASE("a tower with another activation takes the weights of another file") {
  MemberRequest request = clip_request(kData / "gelu");
  request.weights = (kData / "bare/model.safetensors").string();
  const auto found = answers(*make_torch_model(request), reference("images"), 5, 5);
  CHECK(largest_difference(found, reference("pooled_gelu")) < kTolerance);
  CHECK(largest_difference(found, reference("pooled")) > 1e-3);
}

TEST_CASE("a tower with the prefix outputs its projected features") {
  auto model = make_torch_model(clip_request(kData / "projection", ClipOutput::projected));
  CHECK(largest_difference(answers(*model, reference("images"), 5, 3), reference("projected")) < kTolerance);
  CHECK(model->output() == Dims{16});
  auto pooled = make_torch_model(clip_request(kData / "projection"));
  CHECK(model->parameters() == pooled->parameters() + 16 * 32);
}

TEST_CASE("a whole CLIP model in shards of bfloat16 gives the outputs of its vision tower") {
  auto model = make_torch_model(clip_request(kData / "sharded"));
  CHECK(largest_difference(answers(*model, reference("images"), 5, 5), reference("pooled_whole")) < kTolerance);
  const std::uint64_t layer = 4 * (32 * 32 + 32) + 2 * 32 * 48 + 48 + 32 + 4 * 32;
  CHECK(model->parameters() == 32 + 32 * 3 * 64 + 17 * 32 + 4 * 32 + 2 * layer);
}

TEST_CASE("a tower whose weights are not packed gives the same outputs") {
  at::globalContext().setUserEnabledMkldnn(false);  // as on CUDA: by plain operators
  MemberRequest gelu = clip_request(kData / "gelu");
  gelu.weights = (kData / "bare/model.safetensors").string();
  for (const auto& [request, name] :
       {std::pair{clip_request(kData / "bare"), "pooled"}, std::pair{gelu, "pooled_gelu"},
        std::pair{clip_request(kData / "projection", ClipOutput::projected), "projected"}})
    CHECK(largest_difference(answers(*make_torch_model(request), reference("images"), 5, 5), reference(name)) <
          kTolerance);
  at::globalContext().setUserEnabledMkldnn(true);
}

TEST_CASE("the same batch has the same bits at every call and whatever size was expected") {
  const std::vector<float> images = reference("images");
  auto model = make_torch_model(clip_request(kData / "bare"));
  const std::vector<float> first = answers(*model, images, 5, 3);
  model->expect_batches(64);
  answers(*model, images, 5, 5);
  CHECK(answers(*model, images, 5, 3) == first);
  CHECK(answers(*make_torch_model(clip_request(kData / "bare")), images, 5, 3) == first);
}

TEST_CASE("logits are what the head makes of the pooled features") {
  const TemporaryFolder folder;
  write_head(folder / "head.safetensors", 32);
  MemberRequest request = clip_request(kData / "bare", ClipOutput::logits);
  std::get<ClipVitModel>(request.model).head = (folder / "head.safetensors").string();
  auto model = make_torch_model(request);
  const std::vector<float> found = answers(*model, reference("images"), 5, 5);
  CHECK(model->output() == Dims{3});
  const std::vector<float> features = reference("pooled");
  std::vector<float> expected(15);
  for (std::size_t i = 0; i < 15; ++i)
    for (std::size_t k = 0; k < 32; ++k)
      expected[i] += features[i / 3 * 32 + k] * (static_cast<float>((i % 3 * 32 + k) % 7) - 3);
  CHECK(largest_difference(found, expected) < 100 * kTolerance);
  request.over = OutputKind::probabilities;
  const std::vector<float> probabilities = answers(*make_torch_model(request), reference("images"), 5, 5);
  for (std::size_t i = 0; i < 15; i += 3)
    CHECK(probabilities[i] + probabilities[i + 1] + probabilities[i + 2] == doctest::Approx(1));
}

TEST_CASE("a head for other features is rejected with both widths and the tower that it was made with") {
  const TemporaryFolder folder;
  write_head(folder / "head.safetensors", 16, "openai/clip-vit-large-patch14");
  MemberRequest request = clip_request(kData / "bare", ClipOutput::logits);
  std::get<ClipVitModel>(request.model).head = (folder / "head.safetensors").string();
  const auto error = load_error(request);
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->message(), "head.safetensors' takes 16 features, but the tower in"));
  CHECK(contains(error->message(), "bare' outputs 32"));
  CHECK(error->detail() == "it was made with openai/clip-vit-large-patch14");
}

TEST_CASE("images of another size are rejected with the size that the tower takes") {
  MemberRequest request = clip_request(kData / "bare");
  request.takes = {TakenTensor::unchanged(ImageShape{3, 64, 32}.layout())};
  const auto error = load_error(request);
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->message(), "takes images of 3x32x32, not 3x64x32"));
  CHECK(contains(error->hint(), "'input'"));
}

TEST_CASE("a tower whose weights hold NaN is refused with the tensor") {
  const TemporaryFolder folder;
  for (const char* name : {"encoder.layers.0.self_attn.v_proj.bias", "encoder.layers.1.mlp.fc1.weight"}) {
    std::vector<float> values;
    write_changed(folder / "a", [&](std::vector<merge::TensorView>& tensors) {
      merge::TensorView& tensor = named(tensors, name);
      values.assign(tensor.bytes.size() / sizeof(float), std::numeric_limits<float>::quiet_NaN());
      tensor.bytes = std::as_bytes(std::span(values));
    });
    const auto error = load_error(clip_request(folder / "a"));
    REQUIRE(error);
    CHECK(contains(error->message(), "a' holds NaN or infinity"));
    CHECK(error->detail() == std::string("first in '") + name + "'");
  }
}

TEST_CASE("tensors that are missing or of another shape or type are all listed with the nearest name") {
  const TemporaryFolder folder;
  write_changed(folder / "a", [](std::vector<merge::TensorView>& tensors) {
    named(tensors, "encoder.layers.1.mlp.fc1.bias").name = "encoder.layers.1.mlp.fc1.bia";
    named(tensors, "post_layernorm.weight").shape = {4, 8};
    named(tensors, "pre_layrnorm.weight").dtype = merge::Dtype::i32;
    tensors.push_back(named(tensors, "pre_layrnorm.bias"));
    tensors.back().name = "encoder.layers.2.layer_norm1.bias";
  });
  const auto error = load_error(clip_request(folder / "a"));
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->message(), "do not fit the vision tower of its config.json"));
  CHECK(
      contains(error->detail(),
               "encoder.layers.1.mlp.fc1.bias is missing, expected [48]; the nearest is encoder.layers.1.mlp.fc1.bia"));
  CHECK(contains(error->detail(), "post_layernorm.weight has shape [4, 8], expected [32]"));
  CHECK(contains(error->detail(), "pre_layrnorm.weight has type I32, expected F32, F16 or BF16"));
  CHECK(contains(error->detail(), "encoder.layers.2.layer_norm1.bias is unknown"));
  CHECK(contains(error->hint(), "same size"));
}

TEST_CASE("a checkpoint of another model lists only the first differences") {
  const TemporaryFolder folder;
  write_changed(folder / "a", [](std::vector<merge::TensorView>& tensors) {
    for (auto& tensor : tensors) tensor.name = "x." + tensor.name;
  });
  const auto error = load_error(clip_request(folder / "a"));
  REQUIRE(error);
  CHECK(contains(error->detail(), "and 58 more"));
  CHECK(error->detail().size() < 4000);
}

TEST_CASE("a projection that is missing or of another shape or type is named") {
  auto error = load_error(clip_request(kData / "bare", ClipOutput::projected));
  REQUIRE(error);
  CHECK(error->detail() == "visual_projection.weight is missing, which 'output: projected' needs");
  const TemporaryFolder folder;
  const std::vector<float> weight(16 * 32);
  const auto with_projection = [&](merge::Dtype dtype, std::vector<std::int64_t> shape) {
    write_changed(folder / "a", [&](std::vector<merge::TensorView>& tensors) {
      tensors.push_back({"visual_projection.weight", dtype, std::move(shape), std::as_bytes(std::span(weight))});
    });
    return load_error(clip_request(folder / "a", ClipOutput::projected));
  };
  error = with_projection(merge::Dtype::f32, {32, 16});
  REQUIRE(error);
  CHECK(error->detail() == "visual_projection.weight has shape [32, 16], expected [any, 32]");
  error = with_projection(merge::Dtype::i32, {16, 32});
  REQUIRE(error);
  CHECK(error->detail() == "visual_projection.weight has type I32, expected F32, F16 or BF16");
  CHECK_FALSE(with_projection(merge::Dtype::f32, {16, 32}));
}

TEST_CASE("a config of another model or with impossible values is rejected with what is needed") {
  const TemporaryFolder folder;
  const auto with = [&](const std::string& config) {
    write_changed(
        folder / "a", [](auto&) {}, config);
    const auto error = load_error(clip_request(folder / "a"));
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(contains(error->message(), "config.json' does not describe a CLIP vision tower"));
    CHECK(contains(error->hint(), "CLIPVisionModel"));
    return error->detail();
  };
  CHECK(with(R"({"model_type": "bert"})") == "its model_type is 'bert'; clip or clip_vision_model is needed");
  CHECK(with("{}") == "its model_type is ''; clip or clip_vision_model is needed");
  CHECK(with(R"({"model_type": "clip"})") == "it has no vision_config");
  CHECK(with("[]") == "it is not a JSON object");
  CHECK(contains(with("{"), "it is not valid JSON: "));
  const auto value = [&](const std::string& text) {
    return with(R"({"model_type": "clip_vision_model", )" + text + "}");
  };
  CHECK(value(R"("hidden_size": 0)") == "'hidden_size' is 0, and a whole number from 1 to 1048576 is needed");
  CHECK(value(R"("image_size": [224, 224])") ==
        "'image_size' is [224,224], and a whole number from 1 to 1048576 is needed");
  CHECK(value(R"("hidden_act": "relu")") == "'hidden_act' is \"relu\", and quick_gelu or gelu can be computed");
  CHECK(value(R"("layer_norm_eps": 0)") == "'layer_norm_eps' must be a number above 0");
  CHECK(value(R"("num_hidden_layers": 1001)") ==
        "'num_hidden_layers' is 1001, and a whole number from 1 to 1000 is needed");
  CHECK(value(R"("num_hidden_layers": 99999999999)") ==
        "'num_hidden_layers' is 99999999999, and a whole number from 1 to 1000 is needed");
  CHECK(value(R"("image_size": 2000000)") == "'image_size' is 2000000, and a whole number from 1 to 1048576 is needed");
  CHECK(value(R"("num_attention_heads": 5)") == "'hidden_size' 768 is not a multiple of 'num_attention_heads' 5");
  CHECK(value(R"("image_size": 16)") == "'patch_size' 32 is larger than 'image_size' 16");
  const auto absent = load_error(clip_request(folder / "absent"));
  REQUIRE(absent);
  CHECK(contains(absent->message(), "there is no readable file"));
  CHECK(contains(absent->hint(), "save_pretrained"));
}

TEST_CASE("a clip-vit is neither trained nor saved and answers what its model says") {
  const MemberRequest refused = clip_request(kData / "bare");
  const auto model = make_torch_model(refused);
  CHECK(model->trainable() == nullptr);
  auto error = error_of([&] { trainable_part(*model, refused, "trained"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "a clip-vit member cannot be trained");
  CHECK(contains(error->hint(), "small-cnn or mlp"));
  error = error_of([&] { trainable_part(*model, refused, "saved"); });
  REQUIRE(error);
  CHECK(error->message() == "a clip-vit member cannot be saved");
  MemberRequest request = clip_request(kData / "bare");
  request.output = request.over = OutputKind::logits;
  error = load_error(request);
  REQUIRE(error);
  CHECK(error->message() == "a clip-vit with 'output: pooled' outputs features, not logits");
}

TEST_CASE("a tower of the size of ViT-B 32 gives the outputs of transformers") {
  const char* python = std::getenv("TUTTI_PYTHON");
  if (python == nullptr || *python == '\0') {
    MESSAGE("SKIPPED: TUTTI_PYTHON names no Python with torch and transformers");
    return;
  }
  const TemporaryFolder folder;
  const std::string command = fmt::format("'{}' '{}/make_vit_b32.py' '{}'", python,
                                          test::in_sources("tests/torch/data").string(), (folder / "").string());
  REQUIRE(std::system(command.c_str()) == 0);
  MemberRequest request = clip_request(folder / "vit-b32");
  request.takes = {TakenTensor::unchanged(ImageShape{3, 224, 224}.layout())};
  const merge::Safetensors expected = merge::Safetensors::read(folder / "answers.safetensors");
  auto model = make_torch_model(request);
  CHECK(model->parameters() == 87'456'000);
  const double difference =
      largest_difference(answers(*model, floats(expected, "images"), 3, 2), floats(expected, "pooled"));
  MESSAGE(fmt::format("largest difference {:.2g}", difference));
  CHECK(difference < 1e-4);
}

}  // namespace
}  // namespace tutti::worker
