// Prepares a thread of this program for LibTorch, on the CPU and on a GPU. Needs neither LibTorch's nor CUDA's headers:
// streams come from LibTorch's device-generic interface.
#pragma once

#include <memory>

namespace tutti::bench {

/// Opens LibTorch's CUDA libraries, once. Throws Error(failed) if they or a usable GPU are missing.
void require_cuda();

/// The calling thread computes with as many threads within an operation as the process set; with `cuda` on a separate
/// stream, so that threads do not wait for one another. Create and destroy it on that thread.
class ComputingThread {
 public:
  explicit ComputingThread(bool cuda);
  ~ComputingThread();
  ComputingThread(const ComputingThread&) = delete;
  ComputingThread& operator=(const ComputingThread&) = delete;

 private:
  struct OwnStream;
  std::unique_ptr<OwnStream> stream_;
};

}  // namespace tutti::bench
