#include "bench/single/torch/device.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <string>

#include <tutti/error.hpp>

#include "worker/torch/torch_errors.hpp"

namespace tutti::bench {
namespace {

const at::Device kGpu(at::kCUDA, 0);

void open_cuda_libraries() {
  // It registers its kernels and its guard when it is loaded; the search path is that of libtorch_cpu.so.
  if (::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr) return;
  const char* const reason = ::dlerror();
  throw Error(ErrorKind::failed, std::string(worker::kNoUsableGpu), reason == nullptr ? "" : reason,
              "assign the members to cpu, or use a LibTorch with CUDA and all of its libraries");
}

}  // namespace

void require_cuda() {
  open_cuda_libraries();
  worker::gpu_explained([] {
    at::globalContext().lazyInitDevice(at::kCUDA);
    TORCH_CHECK(c10::impl::VirtualGuardImpl(at::kCUDA).deviceCount() > 0, "no CUDA device is visible");
  });
}

struct ComputingThread::OwnStream {
  c10::impl::VirtualGuardImpl guard{at::kCUDA};
  c10::Stream before = guard.exchangeStream(guard.getStreamFromGlobalPool(kGpu));
  ~OwnStream() { guard.exchangeStream(before); }
};

ComputingThread::ComputingThread(bool cuda) {
  // OpenMP keeps the number of threads for each thread that starts a team.
  at::init_num_threads();
  if (cuda) stream_ = std::make_unique<OwnStream>();
}

ComputingThread::~ComputingThread() = default;

}  // namespace tutti::bench
