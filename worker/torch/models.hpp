// Members computed by LibTorch: `small-cnn`, `mlp` and `torchscript`. This header is free of LibTorch; the plugin, the
// tests and the benchmarks make models through it.
#pragma once

#include <memory>

#include "worker/model.hpp"

namespace tutti::worker {

/// Loads the member. Sets LibTorch's threads for the whole process (request.threads within an operation, 1 between
/// them), so it is called before any other operation of LibTorch; with several models in one process the last call's
/// threads hold. From then on the process keeps freed memory for the next batch. With `request.cuda` the model computes
/// on cuda:0, whose libraries the caller has loaded.
///
/// Images come as float32 NCHW; an answer is float32 [count, width]. The same request and the same batches, cut in the
/// same way, give the same bytes. Throws Error(usage) where the request cannot be met (shape, weights, a file that is
/// no TorchScript), Error(failed) where LibTorch fails. One thread at a time uses a model.
std::unique_ptr<Model> make_torch_model(const MemberRequest& request);

/// The version whose headers this was compiled with: "2.11.0".
const char* torch_version();

}  // namespace tutti::worker
