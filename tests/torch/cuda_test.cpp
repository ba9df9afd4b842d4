// Tests of libtutti-cuda.so on a GPU; skipped if there is none that can be used.
#include <doctest/doctest.h>

#include <cstdio>

#include "tests/common/error_of.hpp"
#include "tests/torch/plugin.hpp"
#include "tests/torch/requests.hpp"
#include "worker/cuda/usable_gpu.hpp"
#include "worker/torch/models.hpp"

namespace tutti::worker {
namespace {

using test::answers;
using test::contains;
using test::error_of;
using test::request_for;
using test::some_images;

// The backend, or nullptr after saying why these tests are skipped.
const Backend* gpu_backend() {
  if (const auto error = error_of(require_usable_gpu)) {
    std::printf("SKIPPED: no usable GPU: %s\n", error->detail().c_str());
    return nullptr;
  }
  std::string problem;
  const Backend* const backend = test::open_plugin(TUTTI_CUDA_PLUGIN, problem);
  if (backend == nullptr) FAIL(problem);  // a GPU is there: the plugin must open
  return backend;
}

TEST_CASE("a member on the GPU predicts as on the CPU") {
  const Backend* const backend = gpu_backend();
  if (backend == nullptr) return;
  for (const ModelKind& kind : {ModelKind(SmallCnnModel{}), ModelKind(MlpModel{{64, 10}})}) {
    MemberRequest request = request_for(kind);
    const std::vector<float> images = some_images(21);
    const std::vector<float> expected = answers(*make_torch_model(request), images, 21, 8);
    request.cuda = true;
    auto model = backend->make(request);
    const std::vector<float> found = answers(*model, images, 21, 8);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-4));
    CHECK(answers(*model, images, 21, 8) == found);
  }
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
  model->begin_training();
  const double first = model->train(images.data(), labels, rows).loss_sum;
  double last = first;
  for (int i = 0; i < 100; ++i) last = model->train(images.data(), labels, rows).loss_sum;
  CHECK(last < first);
}

TEST_CASE("without a GPU the message says what is missing") {
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
