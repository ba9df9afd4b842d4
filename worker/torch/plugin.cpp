// libtutti-torch.so: the backend that the worker opens for members on the CPU. Only the entry.
#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "worker/torch/fused_model.hpp"
#include "worker/torch/models.hpp"

extern "C" TUTTI_API const tutti::worker::Backend* tutti_backend() {
  static const tutti::worker::Backend backend{"torch", tutti::build_id(), tutti::worker::make_torch_model,
                                              tutti::worker::torch_version(), tutti::worker::make_fused_model};
  return &backend;
}
