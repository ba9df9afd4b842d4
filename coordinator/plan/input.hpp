// Opens the source that a description names, and reads from a source into the arena.
//
// As a rule the source prepares the images, once for all members, and the arena holds float32 that each member reads
// unchanged. If a member has its own `input`, or if the images are a folder, each worker prepares them for its member,
// and the arena holds what the source has: bytes or float32. Samples that are tensors (`inputs`) are in the arena as
// the source has them, an array for each tensor.
//
// Pictures of a folder are resized and cropped when they are decoded, since resizing twice is not the same as resizing
// once: a slot holds one plane of bytes for each distinct resize and crop of the members (images/planes.hpp).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tutti/images.hpp>

#include "common/wire/arena.hpp"
#include "config/spec.hpp"
#include "images/sources.hpp"

namespace tutti {

/// Whether each worker prepares the images of `input`, which is the `input` or the `train.input` of `spec`.
bool workers_prepare(const config::EnsembleSpec& spec, const config::InputSpec& input);

/// The source of `input`, limited and normalised as it says. Throws Error(usage) if a file is missing or malformed,
/// or if `input` does not name a data set.
std::unique_ptr<Source> open_source(const config::InputSpec& input);
/// The same as the ensemble of `spec` takes it: not normalised if the workers do that.
std::unique_ptr<Source> open_source(const config::EnsembleSpec& spec, const config::InputSpec& input);

/// Logs which files the source left out, its remarks, and a warning if it has no images.
void say_skipped(const Source& source);

/// Pictures in one size, for the members that agree on it.
struct Plane {
  Resize asked;   ///< by these members; what it leaves open is as the data set says
  Resize resize;  ///< with that filled in
  friend bool operator==(const Plane&, const Plane&) = default;
};

/// The planes of `input`, in the order of the members that first ask for each; none unless it is a folder.
std::vector<Plane> planes_of(const config::EnsembleSpec& spec, const config::InputSpec& input);
/// Which of them this member sees; 0 if there are none.
std::uint32_t plane_of(const std::vector<Plane>& planes, const config::MemberSpec& member,
                       const config::InputSpec& input);

/// What is known about the samples before the first is read.
struct InputForm {
  std::vector<NamedLayout> tensors{};     ///< as the arena holds them, an array for each
  std::optional<std::uint64_t> images{};  ///< how many; nothing if they come through the API
  std::vector<Plane> planes{};            ///< then the arena holds these instead of the only tensor, which is a picture
  std::uint64_t band_places = 0;          ///< with tiles: Tiling::band_places() of images/tiles.hpp
  std::uint64_t first = 0;                ///< the number of the first sample in the whole data set
  std::uint64_t whole = 0;                ///< samples of the whole data set; 0: not known
  std::uint64_t held_score_bytes = 0;     ///< what scoring several labels holds of the predictions, in bytes
  std::optional<Tiles> tiles{};           ///< into which the samples of the data set are cut
  images::Decoding decoding{};            ///< with planes: how encoded pictures that come through the API become these

  InputForm() = default;
  InputForm(std::vector<NamedLayout> sample, std::optional<std::uint64_t> count, std::vector<Plane> sizes = {})
      : tensors(std::move(sample)), images(count), planes(std::move(sizes)) {}
  /// Of images.
  InputForm(const ImageShape& shape, std::optional<std::uint64_t> count, Dtype dtype = Dtype::float32,
            std::vector<Plane> sizes = {})
      : InputForm(std::vector{NamedLayout{kImageTensor, shape.layout(dtype)}}, count, std::move(sizes)) {}
};

/// What of `form` a slot holds.
std::vector<TensorLayout> arrays_of(const InputForm& form);

/// The form of the samples in the arena of the ensemble of `spec`; of the declared ones if there is no data set. Throws
/// as open_source() does.
InputForm input_form(const config::EnsembleSpec& spec, const config::InputSpec& input);
/// The same for an ensemble whose samples may come through the API: if the files of `input` do not exist, their form
/// follows from the description and their number is not known. Throws Error(usage) if only they tell the shape (`npy`).
InputForm api_form(const config::EnsembleSpec& spec, const config::InputSpec& input);
/// The same as input_form() for a source that open_source(spec, input) has opened.
InputForm form_of(const Source& source, const config::EnsembleSpec& spec, const config::InputSpec& input);

/// What opening the source has shown, for `found` of an input.
config::FoundSamples found_in(const Source& source);

/// Images that an `input` of a description names, opened.
struct OpenedInput {
  const config::InputSpec& input;
  const Source& source;
};

/// Whether an ensemble that was planned for the images of `planned` can take those of `other`: whether what each member
/// takes is in the same array, in the same shape.
bool same_arrays(const config::EnsembleSpec& spec, const OpenedInput& planned, const OpenedInput& other);
/// Whether the arrays of two forms that have the same ones hold values of the same types.
bool same_types(const InputForm& a, const InputForm& b);

/// Throws Error(usage) if an ensemble that was planned for `train.input` would prepare the images of `input`
/// differently from what `input` says.
void check_same_preparation(const config::EnsembleSpec& spec, const Source& train, const Source& test);

/// Throws Error(usage) if an ensemble that takes `form`, without planes, cannot take the source's samples. The order of
/// their tensors does not matter.
void check_fits(const Source& source, const InputForm& form);

/// A source as an ensemble takes it: one that decodes makes the ensemble's planes from now on, and for one of arrays
/// they are made of these; encoded pictures are decoded; tensors come in the ensemble's order. The source outlives it.
class FittedSource {
 public:
  /// Throws Error(usage) if an ensemble that takes `form` cannot take the source's samples.
  FittedSource(Source& source, const InputForm& form);
  Source& source() { return made_ ? *made_ : source_; }

 private:
  Source& source_;
  std::unique_ptr<Source> made_;
};

/// Where samples are read to.
struct SlotPlace {
  std::byte* arena;
  const ArenaLayout& layout;
  SlotId slot;
  std::uint32_t first = 0;  ///< row of the slot
};

/// A source that writes into slots itself, whatever their arrays are. Its other ways to be read are not used.
class SlotSource : public Source {
 public:
  virtual void read_into(std::span<const std::uint64_t> indices, const SlotPlace& place) = 0;
};
/// Reads samples, as a FittedSource gives them, into all arrays of a slot, and their labels if `labels` is set.
void read_images(Source& source, std::span<const std::uint64_t> indices, const SlotPlace& place, bool labels);

/// Says in the log how many pictures that were read are not upright by their EXIF orientation, if any.
void say_unturned(Source& source);

}  // namespace tutti
