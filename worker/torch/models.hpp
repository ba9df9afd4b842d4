// Members computed by LibTorch: the kinds whose facts say `torch`. This header is free of LibTorch; the plugin, the
// tests and the benchmarks make models through it.
#pragma once

#include <memory>

#include "worker/model.hpp"

namespace tutti::worker {

/// Sets the options of the whole process: LibTorch's threads, its arithmetic (float32 without TF32, the same kernels
/// each time), and that freed memory is kept for the next batch. The number of threads between operations is that of
/// the first call in the process.
void set_up_torch(std::uint32_t within_an_operation, std::uint32_t between_operations = 1);

/// Loads the member, after set_up_torch(request.threads): call it before any other operation of LibTorch. With several
/// models in one process the threads of the last call apply. With `request.cuda` the model computes on cuda:0, whose
/// libraries the caller has loaded.
///
/// Images are float32 NCHW; predictions are float32 [count, width]. The same request and the same batches, cut in the
/// same way, give the same bytes. Throws Error(usage) if the request is impossible (shape, weights, a file that is not
/// TorchScript), Error(failed) if LibTorch fails. One thread at a time uses a model.
std::unique_ptr<Model> make_torch_model(const MemberRequest& request);

/// The version whose headers this was compiled with: "2.11.0".
const char* torch_version();

}  // namespace tutti::worker
