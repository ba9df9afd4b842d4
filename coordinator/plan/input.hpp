// Opens the source that a description names, and reads from a source into the arena.
//
// Who prepares images: as a rule the source, once for all members, and the arena holds float32 that each member reads
// as it is. Where members differ in what they see (one has its own `input`), or where the images are a folder, each
// worker prepares them for its member, and the arena holds what the source has: bytes, or float32.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <tutti/images.hpp>

#include "common/wire/arena.hpp"
#include "config/spec.hpp"

namespace tutti {

/// Whether each worker prepares the images of `input`, which is the `input` or the `train.input` of `spec`.
bool workers_prepare(const config::EnsembleSpec& spec, const config::InputSpec& input);

/// The source of `input`, limited and normalised as it says. Throws Error(usage) where a file is missing or malformed,
/// or where `input` names no data set.
std::unique_ptr<Source> open_source(const config::InputSpec& input);
/// As the ensemble of `spec` takes it: as it says, but not normalised where the workers do it.
std::unique_ptr<Source> open_source(const config::EnsembleSpec& spec, const config::InputSpec& input);

/// Says in the log which files the source left out, if any, and what else it remarks.
void say_skipped(const Source& source);

/// What is known of the images before the first is read.
struct InputForm {
  ImageShape shape;
  std::optional<std::uint64_t> images;  ///< nothing where they come through the API
  PixelType pixels = PixelType::float32;
};

/// That of the data set as open_source(input) gives it, or `input.shape` where there is none. Throws as it does.
InputForm input_form(const config::InputSpec& input);
/// That of the images in the arena of the ensemble of `spec`.
InputForm input_form(const config::EnsembleSpec& spec, const config::InputSpec& input);
/// The same for a source that open_source(spec, input) has opened.
InputForm form_of(const Source& source, const config::EnsembleSpec& spec, const config::InputSpec& input);

/// Throws Error(usage) where an ensemble that was planned for `train.input` would prepare the images of `input` in
/// another way than `input` says.
void check_same_preparation(const config::EnsembleSpec& spec, const Source& train, const Source& test);

/// Throws Error(usage) where the source's images are not of this shape.
void check_shape(const Source& source, const ImageShape& wanted);
/// Throws Error(usage) where the source's images cannot lie in this arena.
void check_fits(const Source& source, const ArenaLayout& arena);
/// Reads images into a slot as its arena holds them, and their labels where `labels` is set.
void read_images(Source& source, std::span<const std::uint64_t> indices, const SlotView<std::byte>& slot, bool labels);

}  // namespace tutti
