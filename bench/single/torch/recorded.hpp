// `branches` and `fused` on a device that can record: one recording for each size of batch that occurs, over tensors
// that stay where they are. A batch is copied in, the recording is replayed, the answers are copied out. On a GPU the
// recordings are CUDA graphs: the kernels of all members and layers are one launch.
//
// Copies go from and to pageable memory and are waited for, as in the workers' plugin: what is compared are ways to
// compute. Nothing here knows of CUDA; the tests run it on the CPU.
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

/// cuda:0, and what records its graphs. Throws Error(failed) if LibTorch's CUDA libraries, a usable GPU or the
/// plugin is missing.
GraphDevice graphs_of_gpu();

/// Each member on a stream of its own, with the workers' operations. Throws Error(failed) if a member is neither a
/// small-cnn nor an mlp, if recording fails, and as load_networks() does.
std::unique_ptr<Computation> make_recorded_branches(const SingleJob& job, const GraphDevice& device);
/// The stacked network in plain operators. The members are equal. Throws Error(failed) as the above.
std::unique_ptr<Computation> make_recorded_fused(const SingleJob& job, const GraphDevice& device);

}  // namespace tutti::bench
