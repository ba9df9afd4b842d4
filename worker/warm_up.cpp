#include "worker/warm_up.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <vector>

#include "common/clock.hpp"
#include "common/counted.hpp"
#include "common/random.hpp"
#include "common/wire/shared_memory.hpp"
#include "worker/write_guard.hpp"

namespace tutti::worker {
namespace {

/// Made-up images in separate pages that are then made read-only.
class ScratchImages {
 public:
  ScratchImages(std::size_t values, std::uint64_t seed)
      : bytes_(aligned(std::max<std::size_t>(values, 1) * sizeof(float), kPageBytes)),
        memory_(::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED) throw std::runtime_error("no memory for warm-up");
    for (std::size_t i = 0; i < values; ++i) static_cast<float*>(memory_)[i] = unit_float(random_at(seed, i));
    ::mprotect(memory_, bytes_, PROT_READ);
  }
  ~ScratchImages() { ::munmap(memory_, bytes_); }
  ScratchImages(const ScratchImages&) = delete;
  ScratchImages& operator=(const ScratchImages&) = delete;

  const float* data() const { return static_cast<const float*>(memory_); }
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(memory_), bytes_}; }

 private:
  std::size_t bytes_;
  void* memory_;
};

}  // namespace

WarmUp warm_up(Model& model, const MemberRequest& request, int control_fd) {
  std::vector<std::uint32_t> batches = request.warm_up_batches;
  batches.push_back(request.batch_images);
  std::sort(batches.rbegin(), batches.rend());
  batches.erase(std::unique(batches.begin(), batches.end()), batches.end());

  const ScratchImages images(batches.front() * request.shape.elements(), request.seed);
  guard_against_writes(images.bytes(), request.name, control_fd);
  std::size_t width = 0;
  double batch_seconds = 0;
  for (const std::uint32_t batch : batches) {
    for (int call = 0; call < kWarmUpCalls; ++call) {
      const auto begin = std::chrono::steady_clock::now();
      const std::size_t values = model.probe(images.data(), batch).size();
      if (batch == batches.front()) batch_seconds = seconds_since(begin);
      if (values == 0 || values % batch != 0 || (width != 0 && values / batch != width))
        throw std::runtime_error(fmt::format("the model gives {} for {}; it must give the same number for each image",
                                             counted(values, "value"), counted(batch, "image")));
      width = values / batch;
    }
  }
  return {static_cast<std::uint32_t>(width), batch_seconds};
}

}  // namespace tutti::worker
