// Makes a member's images from those in the arena: resized by the member's rule, bytes to 0..1, (x - mean) / std. If a
// member takes the arena's images as they are, nothing is copied. It knows neither models nor rings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/resample.hpp"
#include "common/wire/arena.hpp"
#include "common/wire/member_request.hpp"

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

/// One thread. An image's bits depend only on the image and the request: not on where a batch was cut, nor on the
/// machine.
class Preprocess {
 public:
  /// Throws Error(usage) if the request's `input` does not fit its `arena_shape`, or does not give its `shape`.
  explicit Preprocess(const MemberRequest& request);

  /// Images `first` to `first + count - 1` of a slot as the member sees them: float32 NCHW of the request's `shape`.
  /// They are valid until the next call, and in read-only memory if they are the arena's.
  const float* images(const SlotView<const std::byte>& slot, std::uint32_t first, std::uint32_t count);

 private:
  void make(std::span<const std::uint8_t> image, std::span<float> out);
  void make(std::span<const float> image, std::span<float> out);

  bool needed_ = false;
  ImageShape from_;
  ImageShape to_;
  std::optional<Resampler> resampler_;  ///< none if the size stays
  std::vector<std::uint8_t> resized_;   ///< one image of bytes
  std::vector<float> of_bytes_;         ///< the value for byte x of channel c, at 256 * c + x
  std::vector<float> mean_;             ///< per channel; empty: that step is left out
  std::vector<float> std_;
  AlignedFloats made_;
};

}  // namespace tutti::worker
