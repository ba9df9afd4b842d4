#include "worker/cuda/usable_gpu.hpp"

#include <c10/cuda/CUDAFunctions.h>

#include <tutti/error.hpp>

#include "worker/torch/torch_errors.hpp"

namespace tutti::worker {

void require_usable_gpu() {
  try {
    c10::cuda::device_count_ensure_non_zero();
  } catch (const std::exception& error) {  // the machine's fault, whatever explained() would read in the text
    throw Error(ErrorKind::failed, "there is no usable GPU", reason_of(error),
                "see 'nvidia-smi' and CUDA_VISIBLE_DEVICES, or assign the member to cpu");
  }
}

}  // namespace tutti::worker
