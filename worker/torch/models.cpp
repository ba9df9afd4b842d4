#include "worker/torch/models.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <malloc.h>
#include <torch/version.h>

#include <cassert>
#include <variant>

#include "worker/torch/aoti_model.hpp"
#include "worker/torch/clip_vit.hpp"
#include "worker/torch/native_model.hpp"
#include "worker/torch/script_model.hpp"
#include "worker/torch/torch_errors.hpp"

// LibTorch is built with it; with the old ABI every std::string that passes between the two is another type.
static_assert(_GLIBCXX_USE_CXX11_ABI == 1);

namespace tutti::worker {
namespace {

void set_threads(std::uint32_t within_an_operation, std::uint32_t between_operations) {
  at::set_num_threads(static_cast<int>(within_an_operation));
  // Can be said only once in a process.
  [[maybe_unused]] static const bool once = (at::set_num_interop_threads(static_cast<int>(between_operations)), true);
}

// The same bits each time, in float32: no TF32, and no kernel that is chosen by measuring.
void set_arithmetic() {
  at::Context& context = at::globalContext();
  context.setAllowTF32CuBLAS(false);
  context.setAllowTF32CuDNN(false);
  context.setBenchmarkCuDNN(false);
  context.setDeterministicCuDNN(true);
}

// glibc gives large blocks back to the kernel at every free, and the next batch takes page faults for the same
// activations again: two fifths of the time of a batch of 500, a quarter of training. What is kept is bounded by the
// peak.
void keep_freed_memory() {
  constexpr int kLargestActivation = 256 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargestActivation);
  mallopt(M_TRIM_THRESHOLD, 2 * (kLargestActivation - 1));
}

/// One function per kind, so that the compiler names a kind that is missing.
struct Maker {
  const MemberRequest& request;

  std::unique_ptr<Model> operator()(const SmallCnnModel&) const { return make_native_model(request); }
  std::unique_ptr<Model> operator()(const MlpModel&) const { return make_native_model(request); }
  std::unique_ptr<Model> operator()(const TorchScriptModel&) const { return make_script_model(request); }
  std::unique_ptr<Model> operator()(const AotiModel&) const { return make_aoti_model(request); }
  std::unique_ptr<Model> operator()(const ClipVitModel&) const { return make_clip_vit(request); }
  // The facts of the others say that LibTorch does not compute them.
  std::unique_ptr<Model> operator()(const OnnxFileModel&) const { return other(); }
  std::unique_ptr<Model> operator()(const OpenVinoModel&) const { return other(); }
  std::unique_ptr<Model> operator()(const PythonModel&) const { return other(); }
  std::unique_ptr<Model> operator()(const SavedModel&) const { return other(); }
  std::unique_ptr<Model> operator()(const FakeModel&) const { return other(); }
  static std::unique_ptr<Model> other() {
    assert(false);
    return nullptr;
  }
};

}  // namespace

void set_up_torch(std::uint32_t within_an_operation, std::uint32_t between_operations) {
  set_threads(within_an_operation, between_operations);
  keep_freed_memory();
  set_arithmetic();
}

std::unique_ptr<Model> make_torch_model(const MemberRequest& request) {
  assert(request.threads > 0);
  // config/merge.cpp has refused other kinds.
  assert(request.learns == Learns::weights || facts_of(request.model).learns_statistics);
  return explained(ErrorKind::failed, fmt::format("LibTorch could not load a {} member", kind_name(request.model)), "",
                   [&] {
                     set_up_torch(request.threads);
                     return std::visit(Maker{request}, request.model);
                   });
}

const char* torch_version() {
  static const std::string text =
      fmt::format("{}.{}.{}", TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR, TORCH_VERSION_PATCH);
  return text.c_str();
}

}  // namespace tutti::worker
