// Reads `input:` and `train.input:`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/spec.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// The most tensors of a sample.
constexpr std::size_t kMaxTensors = 64;

/// The longest side that an image can be resized or cropped to.
constexpr std::uint32_t kMaxImageSide = 65536;
/// The size that `dataset: folder` resizes its images to and crops from them by default.
constexpr std::uint32_t kFolderSide = 224;
constexpr std::uint32_t kMaxDecodeThreads = 64;

/// `split` is the default if the map names none. Mistakes become violations.
InputSpec read_input(const Tree& tree, Split split, Violations& violations);

class Fields;

/// Height and width.
struct Size {
  std::uint32_t height = 0;
  std::uint32_t width = 0;
  bool one_number = false;
};

/// 224, or [height, width]; nothing if the key is absent or wrong.
std::optional<Size> read_size(Fields& fields, std::string_view key, Violations& violations);

/// One number for all channels, or a list with one for each; none if the key is absent or wrong. `positive`: above 0.
std::vector<float> read_channels(Fields& fields, std::string_view key, bool positive, Violations& violations);

/// Reads the `input:` of one member; `prepares` are the tensors that it names.
MemberInput read_member_input(const Tree& tree, std::vector<std::string>& prepares, Violations& violations);

/// The shape of the images if the configuration alone tells it; nothing for npy, and for samples that are tensors.
std::optional<ImageShape> known_shape(const InputSpec& input);

/// Whether pictures of any size, of a folder or encoded ones of a program, are brought to one size, for each member as
/// it asks; tiles of them are not.
bool resizes_pictures(const InputSpec& input);
/// Whether the images come through the API ready for the models, so that `preprocess` does not change them.
bool is_prepared(const InputSpec& input);

/// Adds a violation if the samples of `input`, which `what` names, are tiles.
void refuse_tiles(const InputSpec& input, const SourcePosition& position, std::string_view what,
                  Violations& violations);

/// The names of a sample's tensors if the configuration alone tells them; nothing for an archive.
std::optional<std::vector<std::string>> known_names(const InputSpec& input);
/// And what they look like; nothing for images (known_shape()), and if only files tell it.
std::optional<std::vector<NamedLayout>> known_tensors(const InputSpec& input);

/// The files of a data set that hold arrays and tables, without the names of entries.
std::vector<std::filesystem::path> array_files(const InputSpec& input);

/// What of a description's inputs could be in a run folder: files of arrays, folders of pictures and of masks.
std::vector<std::filesystem::path> files_of_inputs(const EnsembleSpec& spec);

/// The number of classes of the labels if the configuration alone tells it; otherwise 0.
std::uint32_t known_classes(const InputSpec& input);

}  // namespace tutti::config
