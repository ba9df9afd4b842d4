// libtutti-bench-cuda.so: records LibTorch's work for a GPU as a CUDA graph. The only CUDA code of tutti-bench-single;
// streams, tensors, the warm-up and the order of operations are in bench/single/torch.
#include <ATen/cuda/CUDAGraph.h>

#include <tutti/error.hpp>

#include "bench/single/recording.hpp"
#include "common/build_id.hpp"

namespace {

class CudaGraph final : public tutti::bench::Recording {
 public:
  explicit CudaGraph(const std::function<void()>& work) {
    // LibTorch's wrapper and not just cudaStreamBeginCapture: from here on its allocator serves the captured streams
    // from this graph's private memory, so that memory that `work` frees is not reused elsewhere between two replays. A
    // side stream is captured from its first wait for this one. The mode is the default and the strictest: a call that
    // cannot be recorded fails on any thread; one thread of this process uses CUDA.
    graph_.capture_begin();
    // An exception in between leaves the capture open, and LibTorch's wrapper gives no guarantees after that. None are
    // needed: the process was started for this one strategy, reports the exception, and ends.
    work();
    // Fails if a stream was not waited for, or a call cannot be recorded. Otherwise it instantiates the graph: kernels,
    // arguments and their order are fixed.
    graph_.capture_end();
  }

  // One launch, in the order of the current stream: after the copy of the images and before that of the predictions.
  void replay() override { graph_.replay(); }

 private:
  at::cuda::CUDAGraph graph_;  // neither copied nor moved: LibTorch keeps its address while it captures
};

std::unique_ptr<tutti::bench::Recording> record(const std::function<void()>& work) {
  return std::make_unique<CudaGraph>(work);
}

}  // namespace

extern "C" TUTTI_API const tutti::bench::RecorderPlugin* tutti_recorder() {
  static const tutti::bench::RecorderPlugin plugin{tutti::build_id(), record};
  return &plugin;
}
