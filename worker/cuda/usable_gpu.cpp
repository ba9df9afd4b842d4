#include "worker/cuda/usable_gpu.hpp"

#include <c10/cuda/CUDAFunctions.h>

#include <tutti/error.hpp>

#include "worker/torch/torch_errors.hpp"

namespace tutti::worker {

void require_usable_gpu() {
  explained(
      ErrorKind::failed, "there is no usable GPU",
      "see 'nvidia-smi' and CUDA_VISIBLE_DEVICES, or assign the member to cpu",
      [] { c10::cuda::device_count_ensure_non_zero(); }, Blame::machine);
}

}  // namespace tutti::worker
