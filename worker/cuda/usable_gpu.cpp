#include "worker/cuda/usable_gpu.hpp"

#include <c10/cuda/CUDAFunctions.h>

#include "worker/torch/torch_errors.hpp"

namespace tutti::worker {

void require_usable_gpu() {
  gpu_explained([] { c10::cuda::device_count_ensure_non_zero(); });
}

}  // namespace tutti::worker
