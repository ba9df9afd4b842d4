// `branches` and `fused` on a device that can record: one recording for each batch size that occurs, over tensors at
// fixed addresses. A batch is copied in, the recording is replayed, the outputs are copied out. On a GPU the recordings
// are CUDA graphs: the kernels of all members and layers are one launch.
//
// Copies use pageable memory and are waited for, as in the workers' plugin, since only the computation is compared.
// Nothing here depends on CUDA; the tests run it on the CPU.
#pragma once

#include <memory>

#include <c10/core/Device.h>

#include "bench/single/computation.hpp"
#include "bench/single/recording.hpp"

namespace tutti::bench {

struct GraphDevice {
  c10::Device device;
  Recorder record;
};

/// cuda:0, and the recorder of its graphs. Throws Error(failed) if LibTorch's CUDA libraries, a usable GPU or the
/// plugin is missing.
GraphDevice graphs_of_gpu();

/// Each member on a separate stream, with the workers' operations. Throws Error(failed) if a member is neither a
/// small-cnn nor an mlp, if recording fails, and like load_networks().
std::unique_ptr<Computation> make_recorded_branches(const SingleJob& job, const GraphDevice& device);
/// The stacked network in plain operators. The members are equal. Throws Error(failed) like the one above.
std::unique_ptr<Computation> make_recorded_fused(const SingleJob& job, const GraphDevice& device);

}  // namespace tutti::bench
