// Reads `input:` and `train.input:`.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/spec.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// The most values in one sample, in all of its tensors: 1 GiB as float32. With the bounds in load.hpp, the bytes of an
/// arena fit into 64 bits.
constexpr std::size_t kMaxImageElements = std::size_t{1} << 28;
/// The most tensors of a sample.
constexpr std::size_t kMaxTensors = 64;

/// The longest side that an image can be resized or cropped to.
constexpr std::uint32_t kMaxImageSide = 65536;
/// The size that `dataset: folder` resizes its images to and crops from them by default.
constexpr std::uint32_t kFolderSide = 224;
constexpr std::uint32_t kMaxDecodeThreads = 64;

/// `split` is the default if the map names none. Mistakes become violations.
InputSpec read_input(const Tree& tree, Split split, Violations& violations);

/// Reads the `input:` of one member.
MemberInput read_member_input(const Tree& tree, Violations& violations);

/// The shape of the images if the configuration alone tells it; nothing for npy, and for samples that are tensors.
std::optional<ImageShape> known_shape(const InputSpec& input);

/// The names of a sample's tensors if the configuration alone tells them; nothing for an archive.
std::optional<std::vector<std::string>> known_names(const InputSpec& input);
/// And what they look like; nothing for images (known_shape()), and if only files tell it.
std::optional<std::vector<NamedLayout>> known_tensors(const InputSpec& input);

/// The files of a data set that hold arrays and tables, without the names of entries.
std::vector<std::filesystem::path> array_files(const InputSpec& input);

/// The number of classes of the labels if the configuration alone tells it; otherwise 0.
std::uint32_t known_classes(const InputSpec& input);

}  // namespace tutti::config
