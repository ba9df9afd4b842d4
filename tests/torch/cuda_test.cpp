// Tests of libtutti-cuda.so on a GPU; skipped if there is none that can be used.
#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>

#include "common/program_folder.hpp"
#include "common/wire/spawn_contract.hpp"
#include "merge/safetensors.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/plugin.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/script_files.hpp"
#include "worker/cuda/usable_gpu.hpp"
#include "worker/torch/models.hpp"

namespace tutti::worker {
namespace {

using test::answers;
using test::contains;
using test::error_of;
using test::request_for;
using test::some_images;
using test::TemporaryFolder;

constexpr double kGpuTolerance = 1e-4;

// The backend, or nullptr after saying why these tests are skipped.
const Backend* gpu_backend() {
  if (const auto error = error_of(require_usable_gpu)) {
    std::printf("SKIPPED: no usable GPU: %s\n", error->detail().c_str());
    return nullptr;
  }
  std::string problem;
  // Found as the worker finds it, so that the test may be moved together with the plugin.
  const Backend* const backend = test::open_plugin(find_plugin(program_folder(), kCudaPlugin).string(), problem);
  if (backend == nullptr) FAIL(problem);  // a GPU is there: the plugin must open
  return backend;
}

// What a member of `kind` answers on the GPU is what it answers on the CPU, and the same again.
void check_on_gpu(const Backend& backend, const ModelKind& kind) {
  CAPTURE(std::string(kind_name(kind)));
  MemberRequest request = request_for(kind);
  const std::vector<float> images = some_images(21);
  const std::vector<float> expected = answers(*make_torch_model(request), images, 21, 8);
  request.cuda = true;
  auto model = backend.make(request);
  const std::vector<float> found = answers(*model, images, 21, 8);
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == doctest::Approx(expected[i]).epsilon(kGpuTolerance));
  CHECK(answers(*model, images, 21, 8) == found);
}

TEST_CASE("a member on the GPU answers as on the CPU") {
  const Backend* const backend = gpu_backend();
  if (backend == nullptr) return;
  for (const ModelKind& kind : {ModelKind(SmallCnnModel{}), ModelKind(MlpModel{{64, 10}})})
    check_on_gpu(*backend, kind);
}

TEST_CASE("a torchscript member on the GPU answers as on the CPU optimised or not") {
  const Backend* const backend = gpu_backend();
  if (backend == nullptr) return;
  const TemporaryFolder folder;
  save_batch_norm_script(folder / "script.pt", test::BatchNormForm::traced);
  for (const bool optimize : {true, false})
    check_on_gpu(*backend, TorchScriptModel{.path = (folder / "script.pt").string(), .optimize = optimize});
}

TEST_CASE("a member learns on the GPU") {
  const Backend* const backend = gpu_backend();
  if (backend == nullptr) return;
  MemberRequest request = request_for(SmallCnnModel{2});
  request.cuda = true;
  auto model = backend->make(request);
  const std::vector<float> images = some_images(8);
  const std::vector<std::int64_t> labels{0, 1, 0, 1, 1, 0, 0, 1};
  const std::vector<std::uint32_t> rows{0, 1, 2, 3, 7, 6, 5, 4};
  model->trainable()->begin_training();
  const double first = model->trainable()->train(images.data(), labels, rows).loss_sum;
  double last = first;
  for (int i = 0; i < 100; ++i) last = model->trainable()->train(images.data(), labels, rows).loss_sum;
  CHECK(last < first);
}

// One image of each class: what it has learned decides what it answers.
std::vector<float> learned(Model& model, int steps) {
  const std::vector<float> images = some_images(8);
  const std::vector<std::int64_t> labels{0, 1, 2, 3, 4, 5, 6, 7};
  const std::vector<std::uint32_t> rows{7, 6, 5, 4, 3, 2, 1, 0};
  for (int i = 0; i < steps; ++i) model.trainable()->train(images.data(), labels, rows);
  return answers(model, images, 8, 8);
}

TEST_CASE("training on the GPU gives the same bytes again and from a checkpoint") {
  const Backend* const backend = gpu_backend();
  if (backend == nullptr) return;
  const TemporaryFolder folder;
  for (const ModelKind& kind : {ModelKind(SmallCnnModel{}), ModelKind(MlpModel{{64, 10}})}) {
    CAPTURE(std::string(kind_name(kind)));
    MemberRequest request = request_for(kind);
    request.cuda = true;
    auto undisturbed = backend->make(request);
    undisturbed->trainable()->begin_training();
    const std::vector<float> expected = learned(*undisturbed, 6);

    auto first = backend->make(request);
    first->trainable()->begin_training();
    learned(*first, 3);
    const std::filesystem::path state = folder / "state.safetensors";
    first->trainable()->lend_state(
        [&](std::span<const merge::TensorView> tensors) { merge::write_safetensors(state, tensors, {}); });
    auto second = backend->make(request);
    second->trainable()->take_state(merge::Safetensors::read(state));
    CHECK(learned(*second, 3) == expected);
  }
}

TEST_CASE("without a GPU it is said what is missing") {
  const auto error = error_of(require_usable_gpu);
  if (!error) {
    std::printf("SKIPPED: there is a GPU\n");
    return;
  }
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "there is no usable GPU");
  CHECK_FALSE(error->detail().empty());
  CHECK(contains(error->hint(), "nvidia-smi"));
}

}  // namespace
}  // namespace tutti::worker
