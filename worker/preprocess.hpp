// Makes the tensors that a member sees from those in the arena: images are resized by the member's rule, bytes become
// 0..1, then (x - mean) / std. What a member takes as it is in the arena is not copied. It knows neither models nor
// rings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/resample.hpp"
#include "common/wire/arena.hpp"
#include "common/wire/member_request.hpp"
#include "worker/model.hpp"

namespace tutti::worker {

/// float32 values that begin at a cache line, as those of an arena do.
class AlignedFloats {
 public:
  /// At least `count` values; earlier values are lost if the memory has to grow.
  float* make_room(std::size_t count);

 private:
  struct alignas(64) Line {
    float values[16];
  };
  std::vector<Line> lines_;
};

/// For one tensor. One thread.
class Preparation {
 public:
  /// Throws Error(usage) if its `input` does not fit how it is stored, or does not give what is seen.
  explicit Preparation(const TakenTensor& taken);

  /// Where samples `first` to `first + count - 1` of the array begin, as the member sees them.
  const std::byte* samples(const SlotView<const std::byte>& array, std::uint32_t first, std::uint32_t count);

 private:
  void make(std::span<const std::uint8_t> image, std::span<float> out);
  void make(std::span<const float> image, std::span<float> out);

  bool needed_ = false;
  std::uint64_t sample_bytes_ = 0;  ///< as stored
  ImageShape from_;
  ImageShape to_;
  std::optional<Resampler> resampler_;  ///< none if the size stays
  std::vector<std::uint8_t> resized_;   ///< one image of bytes
  std::vector<float> of_bytes_;         ///< the value for byte x of channel c, at 256 * c + x
  std::vector<float> mean_;             ///< per channel; empty: that step is left out
  std::vector<float> std_;
  AlignedFloats made_;
};

/// For all tensors that a member takes. One thread. A sample's bits depend only on the sample and the request: not on
/// where a batch was cut, nor on the machine.
class Preprocess {
 public:
  /// Throws as Preparation() does.
  explicit Preprocess(const MemberRequest& request);

  /// Samples `first` to `first + count - 1` as the member sees them; `arrays` are those of a slot that it takes, in the
  /// request's order. Valid until the next call, and in read-only memory where they are the arena's.
  Samples samples(std::span<const SlotView<const std::byte>> arrays, std::uint32_t first, std::uint32_t count);
  /// The same for a member that takes one.
  Samples samples(const SlotView<const std::byte>& array, std::uint32_t first, std::uint32_t count) {
    return samples(std::span(&array, 1), first, count);
  }

 private:
  std::vector<Preparation> tensors_;
};

}  // namespace tutti::worker
