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

#include "common/clock.hpp"
#include "common/counted.hpp"
#include "common/random.hpp"
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

/// Made-up images in separate pages that are then made read-only. Every second one is dark: statistics of a batch that
/// all images are alike to would hide that a model computes with them.
class ScratchImages {
 public:
  ScratchImages(std::uint32_t count, std::size_t elements, std::uint64_t seed)
      : bytes_(aligned(std::max<std::size_t>(count * elements, 1) * sizeof(float), kPageBytes)),
        memory_(::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED) throw std::runtime_error("no memory for warm-up");
    for (std::size_t i = 0; i < count * elements; ++i)
      static_cast<float*>(memory_)[i] = unit_float(random_at(seed, i)) * (i / elements % 2 == 0 ? kDark : 1.0F);
    ::mprotect(memory_, bytes_, PROT_READ);
  }
  ~ScratchImages() { ::munmap(memory_, bytes_); }
  ScratchImages(const ScratchImages&) = delete;
  ScratchImages& operator=(const ScratchImages&) = delete;

  static constexpr float kDark = 0.1F;

  const float* data() const { return static_cast<const float*>(memory_); }
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(memory_), bytes_}; }

 private:
  std::size_t bytes_;
  void* memory_;
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

  WarmUp result() const { return {static_cast<std::uint32_t>(width_), image_seconds_ * request_.batch_images}; }

 private:
  // Other kinds compute what this project's code says.
  bool is_judged() const { return holds_program(facts_) && !facts_.random; }
  bool may_be_random() const { return facts_.weights == WeightsFrom::module; }

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
                     may_be_random());
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
                     may_be_random());
  }

  /// A GPU's libraries load and choose kernels for every size.
  void every_size() {
    probe(request_.batch_images);
    for (const std::uint32_t batch : request_.warm_up_batches) probe(batch);
  }

  std::span<const float> probe(std::uint32_t batch) {
    const float* const pixels = images(batch);
    const auto begin = std::chrono::steady_clock::now();
    const std::span<const float> output = model_.probe(pixels, batch);
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
  const float* images(std::uint32_t count) {
    if (count > made_) {
      made_ = std::max(count, kPair);
      images_.emplace(made_, request_.shape.elements(), request_.seed);
      guard_against_writes(images_->bytes(), request_.name, control_fd_);
    }
    return images_->data();
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
  std::optional<ScratchImages> images_;
  std::uint32_t made_ = 0;
  std::vector<float> kept_;
  std::size_t width_ = 0;
  double image_seconds_ = 0;  ///< of the last call
};

}  // namespace

WarmUp warm_up(Model& model, const MemberRequest& request, int control_fd) {
  FirstCalls calls(model, request, control_fd);
  calls.run();
  return calls.result();
}

}  // namespace tutti::worker
