// Members computed by LibTorch: all kinds but `fake`. This header is free of LibTorch; the plugin, the
// tests and the benchmarks make models through it.
#pragma once

#include <memory>

#include "worker/model.hpp"

namespace tutti::worker {

/// Sets what holds for the whole process: LibTorch's threads, its arithmetic (float32 without TF32, the same kernels
/// each time), and that freed memory is kept for the next batch. The threads between operations are those of the first
/// call in the process.
void set_up_torch(std::uint32_t within_an_operation, std::uint32_t between_operations = 1);

/// Loads the member, after set_up_torch(request.threads): so it is called before any other operation of LibTorch, and
/// with several models in one process the last call's threads hold. With `request.cuda` the model computes on cuda:0,
/// whose libraries the caller has loaded.
///
/// Images come as float32 NCHW; an answer is float32 [count, width]. The same request and the same batches, cut in the
/// same way, give the same bytes. Throws Error(usage) if the request cannot be met (shape, weights, a file that is
/// no TorchScript), Error(failed) if LibTorch fails. One thread at a time uses a model.
std::unique_ptr<Model> make_torch_model(const MemberRequest& request);

/// The version whose headers this was compiled with: "2.11.0".
const char* torch_version();

}  // namespace tutti::worker
