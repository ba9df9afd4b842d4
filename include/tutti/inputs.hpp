// The samples of a description: where they come from, and how they are prepared. Plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <tutti/choices.hpp>
#include <tutti/images.hpp>
#include <tutti/tensor.hpp>

namespace tutti {

/// How an image gets from one size to another: it is resized, then cropped about its centre.
struct Resize {
  ResizeRule rule = ResizeRule::none;  ///< which sides
  std::uint32_t height = 0;            ///< exact: of the image; shorter: the length of the shorter side
  std::uint32_t width = 0;             ///< exact: of the image; shorter: as height
  std::uint32_t crop_height = 0;       ///< 0: no crop
  std::uint32_t crop_width = 0;        ///< 0: no crop
  Interpolation interpolation = Interpolation::bicubic;  ///< the filter
  CropRounding crop_rounding = CropRounding::half_even;  ///< of the place of the crop
  friend bool operator==(const Resize&, const Resize&) = default;
};

/// What is done to the arena's images for one member: they are resized, bytes become 0..1, then (x - mean) / std per
/// channel. One value holds for all channels; no value leaves that step out.
struct MemberInput {
  Resize resize{};            ///< to which size
  std::vector<float> mean{};  ///< for each channel, or for all
  std::vector<float> std{};   ///< likewise, above 0
  friend bool operator==(const MemberInput&, const MemberInput&) = default;
};

/// How inputs that are larger than a model takes are cut into tiles of which it predicts each.
struct Tiles {
  Dims size{};                    ///< of a tile: one number for all axes, or one for each
  double overlap = 0.5;           ///< of neighbours, as a part of `size`: at least 0 and below 1
  Blend blend = Blend::gaussian;  ///< how overlapping predictions count
  friend bool operator==(const Tiles&, const Tiles&) = default;
};

/// A view of an image, which a member predicts in place of the image itself (test-time augmentation).
struct View {
  ViewKind kind = ViewKind::identity;  ///< how it is made
  std::uint32_t crops = 0;  ///< crops: 1 is the centre, 5 the corners and the centre, 10 the same of the mirrored image
  std::uint32_t height = 0;  ///< crops: of each
  std::uint32_t width = 0;   ///< crops: of each
  double scale = 1;          ///< scale: of both sides
  friend bool operator==(const View&, const View&) = default;
};

/// Per-channel (x - mean) / std, applied when a segment is filled. Empty: no change. One value applies to all channels.
struct Preprocess {
  std::vector<float> mean{};  ///< for each channel, or for all
  std::vector<float> std{};   ///< likewise, above 0
  friend bool operator==(const Preprocess&, const Preprocess&) = default;
};

/// An entry of `inputs`: a tensor of the samples.
struct InputTensor {
  std::string name{};            ///< empty: `file` is an archive, and all of its arrays are meant
  std::filesystem::path file{};  ///< npy: .npy, .npz, an array of one ("s.npz:image"), .csv, or a column of one
  TensorLayout layout{};         ///< random, memory
  friend bool operator==(const InputTensor&, const InputTensor&) = default;
};

/// What opening a data set has shown. For Tutti itself.
struct FoundSamples {
  std::vector<NamedLayout> tensors{};  ///< of a sample
  std::uint64_t count = 0;             ///< of samples
  std::uint64_t band_places = 0;       ///< with tiles: places of an input that are held
  std::uint64_t first = 0;             ///< the number of the first in the whole data set: those before it are left out
  std::uint64_t whole = 0;             ///< samples of the whole data set, without `skip` and `limit`
  std::uint64_t held_score_bytes = 0;  ///< what scoring several labels holds of the predictions; the program sets it
  friend bool operator==(const FoundSamples&, const FoundSamples&) = default;
};

/// `input:`. Which fields are used depends on `dataset`; the others keep their defaults.
struct InputSpec {
  Dataset dataset = Dataset::memory;              ///< memory: no dataset; images come through the API
  Split split = Split::test;                      ///< digits, cifar10
  std::filesystem::path path{};                   ///< cifar10, folder: the folder
  std::filesystem::path images{};                 ///< npy
  std::filesystem::path labels{};                 ///< npy: a file; folder: the folder of masks; may be empty
  std::vector<InputTensor> tensors{};             ///< npy, random, memory: `inputs`; empty: the samples are images
  Layout layout = Layout::nchw;                   ///< npy
  std::uint64_t count = 0;                        ///< random
  ImageShape shape{3, 32, 32};                    ///< random, memory, folder (there 3x224x224 by default)
  std::uint32_t classes = 0;                      ///< random, npy, folder with labels; 0: not known
  std::uint64_t seed = 0;                         ///< random
  OnBroken on_broken = OnBroken::fail;            ///< folder: what to do with an image that cannot be decoded
  std::uint32_t decode_threads = 0;               ///< folder, memory; 0: usable cores, at most 16
  bool jpeg_scaling = false;                      ///< folder, memory: decode large JPEGs at a fraction of their size
  Orientation orientation = Orientation::ignore;  ///< folder, memory: whether pictures are turned as EXIF says

  /// folder: how every image is brought to `shape`, for members without a `resize`; memory: the same of encoded
  /// pictures
  Resize resize{};
  std::optional<Tiles> tiles{};          ///< npy, folder, memory: the samples are tiles of the inputs
  bool has_bytes = false;                ///< memory: images are uint8. Not a key in YAML
  std::uint64_t skip = 0;                ///< the number of images to leave out at the start
  std::optional<std::uint64_t> limit{};  ///< the most images to use after those
  Preprocess preprocess{};               ///< of all samples

  /// npy, folder: places of masks with this label do not count. It need not be a class.
  std::optional<std::int64_t> ignore_index{};
  /// For Tutti itself: it follows from what the members are combined over.
  LabelForm label_form = LabelForm::classes;
  /// For Tutti itself: set where the data set was opened already, so that a plan need not open it again.
  std::optional<FoundSamples> found{};
  friend bool operator==(const InputSpec&, const InputSpec&) = default;
};

}  // namespace tutti
