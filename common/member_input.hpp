// What is done to an image before a member sees it: sizes and statistics. Plain values; common/resample does the
// resizing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/values.hpp"

namespace tutti {

/// The most values in one image: 1 GiB as float32. With the bounds in config/load.hpp, the bytes of an arena fit into
/// 64 bits.
constexpr std::size_t kMaxImageElements = std::size_t{1} << 28;

/// How an image gets from one size to another: it is resized, then cropped about its centre.
struct Resize {
  ResizeRule rule = ResizeRule::none;
  std::uint32_t height = 0;       ///< exact: of the image; shorter: the length of the shorter side
  std::uint32_t width = 0;        ///< exact: of the image; shorter: as height
  std::uint32_t crop_height = 0;  ///< 0: no crop
  std::uint32_t crop_width = 0;
  Interpolation interpolation = Interpolation::bicubic;
  CropRounding crop_rounding = CropRounding::half_even;
  friend bool operator==(const Resize&, const Resize&) = default;
};

/// What is done to the arena's images for one member: they are resized, bytes become 0..1, then (x - mean) / std per
/// channel. One value holds for all channels; no value leaves that step out.
struct MemberInput {
  Resize resize;
  std::vector<float> mean{};
  std::vector<float> std{};
  friend bool operator==(const MemberInput&, const MemberInput&) = default;
};

}  // namespace tutti
