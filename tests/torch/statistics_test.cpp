// Tests of the statistics of BatchNorm layers that a torchscript member learns: the averages written out, what else of
// the network stays as it was, and checkpoints.
#include <torch/csrc/jit/serialization/import.h>

#include <map>

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/script_files.hpp"
#include "tests/torch/torch_doctest.hpp"
#include "worker/torch/models.hpp"

// After the tests' own headers: it brings every operator.
#include <ATen/ATen.h>

namespace tutti::worker {
namespace {

using test::BatchNormForm;
using test::contains;
using test::error_of;
using test::request_for;
using test::save_batch_norm_script;
using test::save_script;
using test::some_images;
using test::TemporaryFolder;

constexpr std::size_t kElements = 3 * 32 * 32;

MemberRequest learner(const std::filesystem::path& file) {
  MemberRequest request = request_for(TorchScriptModel{file.string(), true});
  request.over = OutputKind::logits;
  request.learns = Learns::statistics;
  return request;
}

/// All of `images` in batches of 8.
void learn(Model& model, const std::vector<float>& images) {
  const std::size_t count = images.size() / kElements;
  for (std::size_t first = 0; first < count; first += 8) {
    std::vector<std::uint32_t> rows(std::min<std::size_t>(8, count - first));
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::uint32_t>(first + i);
    model.trainable()->train(images.data(), {}, rows);
  }
}

at::Tensor tensor_of(const merge::Safetensors& file, const std::string& name) {
  const merge::TensorView view = file.tensor(name);
  return at::from_blob(const_cast<std::byte*>(view.bytes.data()), view.shape,
                       view.dtype == merge::Dtype::i64 ? at::kLong : at::kFloat)
      .clone();
}

/// The network of save_batch_norm_script(), layer by layer: the mean over batches of each batch's mean
/// and unbiased variance, in float64.
std::map<std::string, at::Tensor> written_out(const std::filesystem::path& file, const std::vector<float>& images) {
  const torch::jit::Module module = torch::jit::load(file.string());
  std::map<std::string, at::Tensor> state;
  for (const auto& parameter : module.named_parameters()) state[parameter.name] = parameter.value.detach();
  std::map<std::string, at::Tensor> sums;
  const auto add = [&](const std::string& name, const at::Tensor& value) {
    sums[name] = sums.contains(name) ? sums[name] + value.to(at::kDouble) : value.to(at::kDouble);
  };
  const auto norm = [&](const std::string& layer, const at::Tensor& x, at::IntArrayRef over) {
    add(layer + ".running_mean", x.mean(over));
    add(layer + ".running_var", x.var(over, /*unbiased=*/true));
    return at::batch_norm(x, state[layer + ".weight"], state[layer + ".bias"], {}, {}, true, 0.1, 1e-5, true);
  };
  const auto all = at::from_blob(const_cast<float*>(images.data()),
                                 {static_cast<std::int64_t>(images.size() / kElements), 3, 32, 32});
  double batches = 0;
  for (const at::Tensor& batch : all.split(8)) {
    at::Tensor x = norm("bn1", at::conv2d(batch, state["conv.weight"]), {0, 2, 3});
    x = at::linear(at::max_pool2d(at::relu(x), {15, 15}).flatten(1), state["fc.weight"], state["fc.bias"]);
    norm("bn2", x, {0});
    ++batches;
  }
  for (auto& row : sums) row.second.div_(batches);
  return sums;
}

merge::Safetensors saved(Model& model, const TemporaryFolder& folder) {
  model.trainable()->save(folder / "s.safetensors");
  return merge::Safetensors::read(folder / "s.safetensors");
}

TEST_CASE("statistics are averages over batches of which a short last one counts as the others do") {
  const TemporaryFolder folder;
  const std::vector<float> images = some_images(19);
  for (const BatchNormForm form : {BatchNormForm::traced, BatchNormForm::scripted}) {
    CAPTURE(static_cast<int>(form));
    save_batch_norm_script(folder / "n.pt", form);
    const auto model = make_torch_model(learner(folder / "n.pt"));
    model->trainable()->begin_training();
    learn(*model, images);
    const merge::Safetensors found = saved(*model, folder);
    const auto expected = written_out(folder / "n.pt", images);
    REQUIRE(expected.size() == 4);
    CHECK(found.names().size() == 6);
    for (const auto& [name, values] : expected) {
      CAPTURE(name);
      CHECK(at::allclose(tensor_of(found, name).to(at::kDouble), values, 1e-6, 1e-7));
    }
    for (const char* layer : {"bn1", "bn2"})
      CHECK(tensor_of(found, layer + std::string(".num_batches_tracked")).item<std::int64_t>() == 3);
  }
}

TEST_CASE("a model that estimates statistics predicts with those in its file") {
  const TemporaryFolder folder;
  save_batch_norm_script(folder / "n.pt", BatchNormForm::scripted);
  const std::vector<float> images = some_images(8);
  MemberRequest answering = learner(folder / "n.pt");
  answering.learns = Learns::weights;
  std::get<TorchScriptModel>(answering.model).optimize = false;
  const auto expected = test::answers(*make_torch_model(answering), images, 8, 8);
  const auto model = make_torch_model(learner(folder / "n.pt"));
  CHECK(test::answers(*model, images, 8, 8) == expected);
  model->trainable()->begin_training();
  learn(*model, images);
  CHECK(test::answers(*model, images, 8, 8) == expected);
  CHECK(model->parameters() == 4 * 27 + 2 * 4 + 170 + 2 * 10);
}

TEST_CASE("statistics start again and continue from a checkpoint with the same bytes") {
  const TemporaryFolder folder;
  save_batch_norm_script(folder / "n.pt", BatchNormForm::traced);
  const std::vector<float> images = some_images(24);
  const std::vector<float> first(images.begin(), images.begin() + 16 * kElements);
  const std::vector<float> rest(images.begin() + 16 * kElements, images.end());
  const auto model = make_torch_model(learner(folder / "n.pt"));
  learn(*model, first);  // forgotten
  model->trainable()->begin_training();
  learn(*model, first);
  model->trainable()->lend_state(
      [&](std::span<const merge::TensorView> state) { merge::write_safetensors(folder / "c.safetensors", state, {}); });
  learn(*model, rest);
  saved(*model, folder);
  const std::string expected = test::bytes_of(folder / "s.safetensors");
  const auto other = make_torch_model(learner(folder / "n.pt"));
  other->trainable()->take_state(merge::Safetensors::read(folder / "c.safetensors"));
  learn(*other, rest);
  saved(*other, folder);
  CHECK(test::bytes_of(folder / "s.safetensors") == expected);
  const auto error =
      error_of([&] { other->trainable()->take_state(merge::Safetensors::read(folder / "s.safetensors")); });
  REQUIRE(error);
  CHECK(contains(error->message(), "its tensors do not fit torchscript"));
}

TEST_CASE("a layer that is called twice counts twice and one without statistics not at all") {
  const TemporaryFolder folder;
  torch::jit::Module module("Twice");
  module.register_parameter("running_mean", at::zeros({3}), /*is_buffer=*/true);
  module.register_parameter("running_var", at::ones({3}), /*is_buffer=*/true);
  module.define(
      "def forward(self, x):\n"
      "    for i in range(2):\n"
      "        x = torch.batch_norm(x, None, None, self.running_mean, self.running_var, False, 0.1, 1e-9, True)\n"
      "        x = x * 2.0 + 1.0\n"
      "    x = torch.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, True)\n"
      "    return torch.flatten(x, 1)\n");
  module.save((folder / "n.pt").string());
  const auto model = make_torch_model(learner(folder / "n.pt"));
  model->trainable()->begin_training();
  const std::vector<float> images = some_images(8);
  learn(*model, images);
  const merge::Safetensors found = saved(*model, folder);
  CHECK(found.names() == std::vector<std::string>{"running_mean", "running_var"});
  const at::Tensor x = at::from_blob(const_cast<float*>(images.data()), {8, 3, 32, 32});
  // The second call sees values of mean 1 and variance 4.
  CHECK(at::allclose(tensor_of(found, "running_mean"), (x.mean({0, 2, 3}) + 1).div(2), 1e-4, 1e-5));
  CHECK(at::allclose(tensor_of(found, "running_var"), (x.var({0, 2, 3}, true) + 4 * 8192.0 / 8191).div(2), 1e-4, 1e-5));
}

TEST_CASE("a module without layers that keep statistics or with some of unknown names is rejected") {
  const TemporaryFolder folder;
  save_script(folder / "m.pt", test::kDenseScript);
  auto error = error_of([&] { make_torch_model(learner(folder / "m.pt")); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->message(), "m.pt' has no BatchNorm layers with statistics to estimate"));
  CHECK(contains(error->hint(), "remove 'batch_norm'"));
  save_script(folder / "m.pt",
              "return torch.flatten(torch.batch_norm(x, None, None, self.bias[0:3], self.bias[3:6], False, 0.1, 1e-5, "
              "True), 1)");
  error = error_of([&] { make_torch_model(learner(folder / "m.pt")); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->message(), "cannot tell which statistics a BatchNorm layer of"));
  CHECK(contains(error->detail(), "running_mean and running_var of one layer"));
  CHECK(contains(error->hint(), "torch.jit.trace"));
}

TEST_CASE("batches that have no variance are named with the layer") {
  const TemporaryFolder folder;
  save_batch_norm_script(folder / "n.pt", BatchNormForm::traced);
  const auto model = make_torch_model(learner(folder / "n.pt"));
  model->trainable()->begin_training();
  learn(*model, some_images(9));  // the last batch is one image
  const auto error = error_of([&] { model->trainable()->save(folder / "s.safetensors"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "bn2.running_var is not finite over these images");
  CHECK(contains(error->detail(), "one value per channel"));
  CHECK(contains(error->hint(), "batch_images"));
  CHECK_FALSE(std::filesystem::exists(folder / "s.safetensors"));
}

}  // namespace
}  // namespace tutti::worker
