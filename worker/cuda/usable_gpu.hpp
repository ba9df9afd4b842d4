// Whether this process can use a GPU, and if not, why. Needs only CUDA's headers and c10_cuda, so that it also works if
// the rest of CUDA's libraries is missing.
#pragma once

namespace tutti::worker {

/// Throws Error(failed) with the reason if no CUDA device can be used: no driver, a driver too old for this LibTorch,
/// or no visible device. This is the first CUDA call of the process.
void require_usable_gpu();

}  // namespace tutti::worker
