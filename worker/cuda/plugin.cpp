// libtutti-cuda.so: the backend that the worker opens for a member on cuda:k. The models are those of worker/torch, on
// the only visible device: each batch is copied to it and computed there, and the outputs are copied back. No streams,
// no graphs, no pinned memory.
#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "worker/cuda/usable_gpu.hpp"
#include "worker/torch/fused_model.hpp"
#include "worker/torch/models.hpp"

namespace {

std::unique_ptr<tutti::worker::Model> make_on_gpu(const tutti::MemberRequest& request) {
  tutti::worker::require_usable_gpu();
  return tutti::worker::make_torch_model(request);
}

}  // namespace

extern "C" TUTTI_API const tutti::worker::Backend* tutti_backend() {
  static const tutti::worker::Backend backend{"torch-cuda", tutti::build_id(), make_on_gpu,
                                              tutti::worker::torch_version(), tutti::worker::make_fused_model};
  return &backend;
}
