// Tests of torchscript members whose weights come from a safetensors file: the file's values are used, and what does
// not fit is named in full.
#include <torch/csrc/jit/serialization/import.h>

#include <limits>

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/script_files.hpp"
#include "tests/torch/torch_doctest.hpp"
#include "worker/tensor_differences.hpp"
#include "worker/torch/models.hpp"
#include "worker/torch/script_module.hpp"

#include <ATen/ATen.h>

namespace tutti::worker {
namespace {

using test::answers;
using test::contains;
using test::error_of;
using test::some_images;
using test::TemporaryFolder;

MemberRequest with_weights(const std::filesystem::path& file, const std::filesystem::path& weights, bool optimize) {
  MemberRequest request = test::request_for(TorchScriptModel{file.string(), optimize});
  request.weights = weights.string();
  return request;
}

/// "n.pt", and as "other.pt" the same network with other values, whose state dict is "other.safetensors".
void save_two(const TemporaryFolder& folder, at::ScalarType type = at::kFloat) {
  test::save_batch_norm_script(folder / "n.pt", test::BatchNormForm::scripted);
  torch::jit::Module other = torch::jit::load((folder / "n.pt").string());
  const at::NoGradGuard without_gradients;
  NamedTensors state = state_of(other);
  for (auto& [name, tensor] : state) {
    tensor.mul_(2);
    if (!at::isFloatingType(tensor.scalar_type())) continue;
    const at::Tensor stored = tensor.detach().to(type);
    tensor.copy_(stored);
    tensor = stored;
  }
  other.save((folder / "other.pt").string());
  write_weights(folder / "other.safetensors", state, {});
}

TEST_CASE("a module with the weights of a file predicts as the one that they come from") {
  for (const at::ScalarType type : {at::kFloat, at::kHalf, at::kBFloat16}) {
    const TemporaryFolder folder;
    save_two(folder, type);
    const std::vector<float> images = some_images(8);
    for (const bool optimize : {false, true}) {
      const auto expected = answers(*make_torch_model(with_weights(folder / "other.pt", "", optimize)), images, 8, 4);
      const auto model = make_torch_model(with_weights(folder / "n.pt", folder / "other.safetensors", optimize));
      CHECK(answers(*model, images, 8, 4) == expected);
      CHECK(model->parameters() == 4 * 27 + 2 * 4 + 170 + 2 * 10);
      CHECK(answers(*make_torch_model(with_weights(folder / "n.pt", "", optimize)), images, 8, 4) != expected);
    }
  }
}

TEST_CASE("buffers of integers are those of the file") {
  const TemporaryFolder folder;
  save_two(folder);
  const auto module = load_script_module(with_weights(folder / "n.pt", folder / "other.safetensors", true), at::kCPU);
  int found = 0;
  for (const auto& [name, tensor] : state_of(module)) {
    if (name != "bn1.num_batches_tracked") continue;
    CHECK(tensor.item<std::int64_t>() == 14);
    ++found;
  }
  CHECK(found == 1);
}

TEST_CASE("tensors that are missing or unknown or of another shape or type are all listed with the nearest name") {
  const TemporaryFolder folder;
  save_two(folder);
  NamedTensors state = state_of(torch::jit::load((folder / "other.pt").string()));
  for (auto& [name, tensor] : state) {
    if (name == "bn1.running_mean") name = "bn1.runing_mean";
    if (name == "fc.bias") tensor = at::zeros({11});
    if (name == "fc.weight") tensor = tensor.detach().to(at::kDouble);
    if (name == "bn2.num_batches_tracked") tensor = at::zeros({}, at::kInt);
  }
  state.emplace_back("head.weight", at::zeros({1}));
  write_weights(folder / "w.safetensors", state, {});
  const auto error = error_of([&] { make_torch_model(with_weights(folder / "n.pt", folder / "w.safetensors", true)); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() ==
        "the weights in '" + (folder / "w.safetensors").string() + "' do not fit '" + (folder / "n.pt").string() + "'");
  for (const char* line : {"bn1.running_mean is missing, expected [4]; the nearest is bn1.runing_mean",
                           "bn1.runing_mean is unknown; the nearest is bn1.running_mean", "head.weight is unknown",
                           "fc.bias has shape [11], expected [10]", "fc.weight has type F64, expected F32, F16 or BF16",
                           "bn2.num_batches_tracked has type I32, expected I64"}) {
    CAPTURE(line);
    CHECK(contains(error->detail(), line));
  }
  CHECK(contains(error->hint(), "state_dict()"));
}

TEST_CASE("a frozen module cannot be given weights") {
  const TemporaryFolder folder;
  test::save_script(folder / "frozen.pt", test::kDenseScript, /*frozen=*/true);
  const auto error =
      error_of([&] { make_torch_model(with_weights(folder / "frozen.pt", folder / "w.safetensors", true)); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "'" + (folder / "frozen.pt").string() + "' has no parameters for 'weights' to fill");
  CHECK(contains(error->detail(), "it was frozen when it was saved"));
  CHECK(contains(error->hint(), "without torch.jit.freeze"));
}

TEST_CASE("a file of weights that is missing is named and not the module") {
  const TemporaryFolder folder;
  save_two(folder);
  const auto error = error_of([&] { make_torch_model(with_weights(folder / "n.pt", "/nowhere/w.safetensors", true)); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->what(), "/nowhere/w.safetensors"));
}

TEST_CASE("a parameter that no safetensors file can hold is named") {
  const WantedTensor complex{"phase", {2}, {}};
  const TensorForms found{{"phase", {merge::Dtype::f32, {2}, 8}}};
  CHECK(tensor_differences(found, std::span(&complex, 1)) ==
        std::vector<std::string>{"phase has type F32, expected one that safetensors cannot hold"});
}

TEST_CASE("parameters that hold NaN are refused and buffers may hold infinity") {
  const TemporaryFolder folder;
  save_two(folder);
  const auto refusal = [&](const std::string& of, double value) {
    NamedTensors state = state_of(torch::jit::load((folder / "other.pt").string()));
    for (auto& [name, tensor] : state)
      if (name == of) tensor = at::full_like(tensor.detach(), value);
    write_weights(folder / "w.safetensors", state, {});
    return error_of([&] { make_torch_model(with_weights(folder / "n.pt", folder / "w.safetensors", false)); });
  };
  const auto error = refusal("fc.weight", std::numeric_limits<double>::quiet_NaN());
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "'" + (folder / "w.safetensors").string() + "' holds NaN or infinity");
  CHECK(error->detail() == "first in 'fc.weight'");
  CHECK_FALSE(refusal("bn1.running_var", std::numeric_limits<double>::infinity()));
}

/// "tied.pt": two layers with one weight.
void save_tied(const TemporaryFolder& folder) {
  torch::jit::Module module("Tied");
  const at::Tensor weight = at::rand({5, 5});
  module.register_parameter("a", weight, /*is_buffer=*/false);
  module.register_parameter("b", weight, /*is_buffer=*/false);
  module.define(
      "def forward(self, x):\n    x = torch.linear(torch.flatten(x, 1)[:, 0:5], self.a)\n"
      "    return torch.linear(x, self.b)\n");
  module.save((folder / "tied.pt").string());
}

TEST_CASE("weights that are tied are filled from the one tensor that the file has") {
  const TemporaryFolder folder;
  save_tied(folder);
  const at::Tensor other = at::rand({5, 5});
  write_weights(folder / "both.safetensors", {{"a", other}, {"b", other}}, {});
  write_weights(folder / "alias.safetensors", {{"b", other}}, {{"a", "b"}});
  write_weights(folder / "one.safetensors", {{"a", other}}, {});
  const std::vector<float> images = some_images(4);
  const auto predicted = [&](const char* weights) {
    return answers(*make_torch_model(with_weights(folder / "tied.pt", folder / weights, false)), images, 4, 4);
  };
  const auto expected = predicted("both.safetensors");
  CHECK(predicted("alias.safetensors") == expected);
  CHECK(predicted("one.safetensors") == expected);
  write_weights(folder / "none.safetensors", {}, {});
  CHECK(error_of([&] { predicted("none.safetensors"); }));
}

TEST_CASE("names with the prefix of a wrapper and types that are not supported are reported as such") {
  const TemporaryFolder folder;
  save_tied(folder);
  const at::Tensor other = at::rand({5, 5});
  const auto detail = [&](const NamedTensors& tensors) {
    write_weights(folder / "w.safetensors", tensors, {});
    const auto error =
        error_of([&] { make_torch_model(with_weights(folder / "tied.pt", folder / "w.safetensors", false)); });
    REQUIRE(error);
    return error->detail();
  };
  CHECK(detail({{"module.a", other}, {"module.b", other}}) ==
        "all names begin with 'module.', which torch.nn.DataParallel puts there: save model.module.state_dict()");
  CHECK(detail({{"_orig_mod.a", other}, {"_orig_mod.b", other}}) ==
        "all names begin with '_orig_mod.', which torch.compile puts there: save model._orig_mod.state_dict()");
  const std::vector<std::byte> narrow(25);
  merge::write_safetensors(folder / "w.safetensors",
                           std::vector{merge::TensorView{"a", merge::Dtype::f8_e5m2, {5, 5}, narrow}});
  const auto error =
      error_of([&] { make_torch_model(with_weights(folder / "tied.pt", folder / "w.safetensors", false)); });
  REQUIRE(error);
  CHECK(contains(error->detail(), "a has type F8_E5M2, which is not supported, expected F32, F16 or BF16"));
}

}  // namespace
}  // namespace tutti::worker
