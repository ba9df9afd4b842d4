#include "worker/warm_up.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <vector>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/clock.hpp"
#include "common/counted.hpp"
#include "common/random.hpp"
#include "common/tensor_values.hpp"
#include "common/wire/shared_memory.hpp"
#include "worker/failure.hpp"
#include "worker/write_guard.hpp"

namespace tutti::worker {
namespace {

/// What the batch may change in the outputs of an image, as a part of the largest: kernels differ in the last bits, and
/// networks that quantise their activations batch by batch in more. Networks in training mode differ in everything.
constexpr float kSameInBatches = 0.1F;
constexpr float kSameOnGpu = 1e-3F;
constexpr std::uint32_t kPair = 2;

/// Made-up samples in separate pages that are then made read-only: one tensor after the other, as the member sees them.
/// Every second sample is dark: statistics of a batch that all samples are alike to would hide that a model computes
/// with them.
class ScratchSamples {
 public:
  ScratchSamples(std::uint32_t count, const MemberRequest& request) {
    std::vector<std::uint64_t> begins;
    for (const TakenTensor& taken : request.takes) {
      begins.push_back(bytes_);
      bytes_ += aligned(std::max<std::uint64_t>(count * taken.seen.bytes(), 1), kPageBytes);
    }
    memory_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) throw std::runtime_error("no memory for warm-up");
    for (std::size_t t = 0; t < begins.size(); ++t) {
      tensors_.push_back(static_cast<std::byte*>(memory_) + begins[t]);
      fill(static_cast<std::byte*>(memory_) + begins[t], request.takes[t].seen, count);
    }
    ::mprotect(memory_, bytes_, PROT_READ);
  }
  ~ScratchSamples() {
    if (!kept_) ::munmap(memory_, bytes_);
  }
  ScratchSamples(const ScratchSamples&) = delete;
  ScratchSamples& operator=(const ScratchSamples&) = delete;

  /// The memory stays for the life of the process: somebody may still look at it.
  void keep() { kept_ = true; }

  Samples samples() const { return Samples(tensors_); }
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(memory_), bytes_}; }

 private:
  static constexpr float kDark = 0.1F;
  /// The same for all members, so that equal models behave alike and say the same about themselves.
  static constexpr std::uint64_t kSeed = 0;

  static void fill(std::byte* begin, const TensorLayout& layout, std::uint32_t count) {
    const std::uint64_t elements = layout.elements();
    for (std::uint64_t i = 0; i < count * elements; ++i) {
      const bool dark = !is_whole(layout.dtype) && i / elements % 2 == 0;
      write_value(begin + i * size_of(layout.dtype), layout.dtype,
                  made_up_value(layout.dtype, kSeed, i) * (dark ? kDark : 1.0F));
    }
  }

  std::uint64_t bytes_ = 0;
  bool kept_ = false;
  void* memory_ = MAP_FAILED;
  std::vector<const std::byte*> tensors_;
};

/// The warm-up of one model. Single images and pairs find out almost everything that a full batch does, and a batch of
/// a large model takes seconds.
class FirstCalls {
 public:
  FirstCalls(Model& model, const MemberRequest& request, int control_fd)
      : model_(model), request_(request), control_fd_(control_fd), facts_(facts_of(request.model)) {}

  void run() {
    const std::uint32_t full = request_.batch_images;
    if (!is_judged()) {
      probe(std::min(full, kPair));
    } else if (!takes_one_image(full)) {
      repeat(full);
      for (const std::uint32_t batch : request_.warm_up_batches) probe(batch);
    } else {
      repeat(1);
      compare_pair(full);
    }
    if (request_.cuda) every_size();
  }

  WarmUp result() const {
    TUTTI_CHECK(elements_of(model_.output()) == width_);
    return {model_.output(), image_seconds_ * request_.batch_images};
  }

 private:
  // Other kinds compute what this project's code says.
  bool is_judged() const { return holds_program(facts_) && !facts_.random; }

  /// Some models take only whole batches: those that were traced with one, and packages for one.
  bool takes_one_image(std::uint32_t full) {
    if (full == 1) return true;
    try {
      const std::span<const float> output = probe(1);
      kept_.assign(output.begin(), output.end());
      return true;
    } catch (const Error& error) {
      if (is_about_training(error)) throw;
      return false;
    }
  }

  /// The first two outputs may differ, but not those that follow.
  void repeat(std::uint32_t batch) {
    bool steady = false;
    for (int call = 0; call < kWarmUpCalls && !steady; ++call) {
      const std::span<const float> output = probe(batch);
      steady = same_bits(output);
      kept_.assign(output.begin(), output.end());
    }
    if (!steady)
      throw unsteady("the model gives other outputs when it predicts the same images again", model_.why_unsteady(),
                     facts_);
  }

  /// The first image again, next to a much brighter one. If no batch has two images, the model need not take them.
  void compare_pair(std::uint32_t full) {
    std::span<const float> output;
    try {
      output = probe(kPair);
    } catch (const Error& error) {
      if (full > 1 || is_about_training(error)) throw;
      return;
    }
    if (farthest(output.first(width_)) > kSameInBatches * largest(output))
      throw unsteady("the model's outputs for an image depend on the other images of its batch", model_.why_unsteady(),
                     facts_);
  }

  /// A GPU's libraries load and choose kernels for every size.
  void every_size() {
    probe(request_.batch_images);
    for (const std::uint32_t batch : request_.warm_up_batches) probe(batch);
  }

  std::span<const float> probe(std::uint32_t batch) {
    const Samples samples = first_samples(batch);
    const auto begin = std::chrono::steady_clock::now();
    const std::span<const float> output = model_.probe(samples, batch);
    image_seconds_ = seconds_since(begin) / batch;
    const std::size_t values = output.size();
    if (values == 0 || values % batch != 0 || (width_ != 0 && values / batch != width_))
      throw Error(ErrorKind::usage,
                  fmt::format("the model gives {} for {}; it must give the same number for each image",
                              counted(values, "value"), counted(batch, "image")));
    width_ = values / batch;
    return output;
  }

  /// At least so many; the first ones are always the same.
  Samples first_samples(std::uint32_t count) {
    if (count > made_) {
      made_ = std::max(count, kPair);
      samples_.emplace(made_, request_);
      // Python code may keep the array that it was given.
      if (facts_.library == Library::python) samples_->keep();
      guard_against_writes(samples_->bytes(), request_.name, control_fd_);
    }
    return samples_->samples();
  }

  /// "Expected more than 1 value per channel when training": of BatchNorm, for a single image.
  static bool is_about_training(const Error& error) {
    return error.detail().find("when training") != std::string::npos;
  }

  /// On a GPU some sums have no fixed order, and the last bits may differ.
  bool same_bits(std::span<const float> output) const {
    if (output.size() != kept_.size()) return false;
    if (!request_.cuda) return std::memcmp(output.data(), kept_.data(), output.size_bytes()) == 0;
    return farthest(output) <= kSameOnGpu * largest(output);
  }

  /// The largest difference to the output that was kept. Values that are not finite are judged when images are
  /// predicted.
  float farthest(std::span<const float> output) const {
    float most = 0;
    for (std::size_t i = 0; i < output.size(); ++i)
      if (const float distance = std::fabs(output[i] - kept_[i]); std::isfinite(distance))
        most = std::max(most, distance);
    return most;
  }

  static float largest(std::span<const float> output) {
    float most = 0;
    for (const float value : output)
      if (std::isfinite(value)) most = std::max(most, std::fabs(value));
    return most;
  }

  Model& model_;
  const MemberRequest& request_;
  const int control_fd_;
  const KindFacts facts_;
  std::optional<ScratchSamples> samples_;
  std::uint32_t made_ = 0;
  std::vector<float> kept_;
  std::size_t width_ = 0;
  double image_seconds_ = 0;  ///< of the last call
};

}  // namespace

WarmUp warm_up(Model& model, const MemberRequest& request, int control_fd) {
  FirstCalls calls(model, request, control_fd);
  calls.run();
  model.end_warm_up();
  return calls.result();
}

}  // namespace tutti::worker
