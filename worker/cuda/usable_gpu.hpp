// Whether this process can use a GPU, and if not, why. Needs CUDA's headers and c10_cuda alone, so that it can be asked
// if the rest of CUDA's libraries is missing.
#pragma once

namespace tutti::worker {

/// Throws Error(failed) that says what is missing if no CUDA device can be used: no driver, one too old for this
/// LibTorch, or no device left visible. The first CUDA call of the process.
void require_usable_gpu();

}  // namespace tutti::worker
