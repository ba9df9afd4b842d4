// Masks of classes as pictures, for people and for tools that read PNG. Programs should read predicted.npy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tutti/predictions.hpp>

#include "images/png_writer.hpp"

namespace tutti::images {

/// The colour of a pixel that has no class.
inline constexpr std::uint8_t kNoClassColour = 255;

/// The name of an input's own files, without an ending: its name without one ("north/scan-1"), or, if it has none, its
/// number among `count`, with leading zeros.
std::string file_name_of(const std::string& input, std::uint64_t number, std::uint64_t count);
/// Throws Error(usage) if two inputs would have the same files; `inputs` are their names.
void check_own_files(const std::vector<std::string>& inputs);
/// The path of such a file; its folder is created. Throws Error(failed).
std::filesystem::path own_file(const std::filesystem::path& folder, const std::string& name, const std::string& ending);

/// Throws Error(usage) if predictions of these sizes cannot be written as masks: they need a class for each place of
/// two axes, `decided`, of at most 256.
void check_masks(const std::optional<Dims>& shape, const std::optional<Dims>& decided);

/// Waits until the masks in `folder` are on disk; there need not be any.
void sync_masks(const std::filesystem::path& folder);

/// Appends classes to a mask.
void write_classes(PalettePng& mask, std::span<const std::int64_t> classes);

}  // namespace tutti::images
