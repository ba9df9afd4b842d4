// libtutti-bench-cuda.so: records what LibTorch hands over to a GPU as a CUDA graph. All that tutti-bench-single has of
// CUDA itself; streams, tensors, the warm-up and the order of things are its own, in bench/single/torch.
#include <ATen/cuda/CUDAGraph.h>

#include <tutti/error.hpp>

#include "bench/single/recording.hpp"
#include "common/build_id.hpp"

namespace {

class CudaGraph final : public tutti::bench::Recording {
 public:
  explicit CudaGraph(const std::function<void()>& work) {
    // LibTorch's wrapper and not cudaStreamBeginCapture alone: from here on its allocator serves the streams that take
    // part in the capture from memory that is this graph's own, so that what `work` frees is not given to anybody else
    // between two replays. A side stream takes part from its first wait for this one. The mode is the default and the
    // strictest: a call that cannot be recorded fails, whichever thread makes it; one thread of this process uses CUDA.
    graph_.capture_begin();
    // What throws in between leaves the capture open, and LibTorch's own wrapper promises nothing after that. It need
    // not: the process was started for this one strategy, says what was thrown, and ends.
    work();
    // Fails if a stream was not waited for, or a call was made that cannot be recorded. Else the graph is
    // instantiated: kernels, arguments and their order are fixed.
    graph_.capture_end();
  }

  // One launch, in the order of the current stream: after the copy of the images and before that of the answers.
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
