// Reads `input:` and `train.input:`.
#pragma once

#include <cstddef>
#include <optional>

#include "config/spec.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// The most values of one image: 1 GiB as float32. With the bounds in load.hpp the bytes of an arena fit 64 bits.
constexpr std::size_t kMaxImageElements = std::size_t{1} << 28;

/// The longest side that anything is resized to or cropped to.
constexpr std::uint32_t kMaxImageSide = 65536;
/// What `dataset: folder` resizes its images to, and crops from them, where nothing else is said.
constexpr std::uint32_t kFolderSide = 224;
constexpr std::uint32_t kMaxDecodeThreads = 64;

/// `split` is what counts where the map names none. What is wrong becomes a violation.
InputSpec read_input(const Tree& tree, Split split, Violations& violations);

/// Reads the `input:` of one member.
MemberInput read_member_input(const Tree& tree, Violations& violations);

/// The shape of the images as far as the configuration alone tells it: nothing for npy.
std::optional<ImageShape> known_shape(const InputSpec& input);

/// The classes that labels are drawn from, as far as the configuration alone tells it: 0 where it does not.
std::uint32_t known_classes(const InputSpec& input);

}  // namespace tutti::config
