// Tiles of large inputs as ordinary samples: what reads parts of inputs, and the source that cuts them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <tutti/images.hpp>

#include "images/label_tensor.hpp"
#include "images/sources.hpp"
#include "images/tile_grid.hpp"

namespace tutti::images {

/// The mask of each large input: a class at each place. One thread.
class InputMasks {
 public:
  virtual ~InputMasks() = default;

  /// For messages: the file or the folder of the masks.
  virtual std::string name() const = 0;
  /// That the labels are drawn from.
  virtual std::uint32_t classes() const = 0;
  /// Writes the labels of input `index` at its places from `first` on, row-major. Throws Error if they cannot be read.
  virtual void read(std::uint64_t index, std::uint64_t first, std::span<std::int64_t> labels) = 0;
};

/// Inputs of any size, of which only parts are read. One thread.
class LargeInputs {
 public:
  virtual ~LargeInputs() = default;

  virtual std::string name() const = 0;
  virtual std::uint64_t count() const = 0;
  /// Whether they are images, which a source may give as bytes or as float32; other tensors are passed on as they are.
  virtual bool are_images() const = 0;
  virtual std::string tensor_name() const = 0;
  virtual Dtype dtype() const = 0;
  virtual std::uint32_t channels() const = 0;
  /// Spatial axes, at least one.
  virtual std::size_t axes() const = 0;
  /// Whether all inputs have the sizes of the first.
  virtual bool of_one_size() const = 0;
  /// The sizes of input `index` along these axes. Throws Error(usage) if its file does not tell them.
  virtual Dims sizes_of(std::uint64_t index) = 0;
  /// Writes a region of input `index` to `out`, which holds channels x `tile`: to the beginning of each axis. The rest
  /// of `out` stays as it is. Throws Error if the input cannot be read.
  virtual void read(std::uint64_t index, const Region& region, const Dims& tile, std::span<std::byte> out) = 0;
  /// The name of an input; empty if they only have numbers.
  virtual std::string name_of(std::uint64_t /*index*/) const { return {}; }
  virtual std::vector<std::string> skipped() const { return {}; }
  virtual std::vector<std::string> remarks() const { return {}; }
  virtual std::uint64_t take_unturned() { return 0; }
  /// Null if there are none. Valid as long as the inputs.
  virtual InputMasks* masks() { return nullptr; }
};

/// Images, or samples of one tensor with 1 to 3 axes after the channels, that the caller keeps in memory. Throws
/// Error(usage) as make_memory() does, and if samples are not like that.
std::unique_ptr<LargeInputs> large_memory(const Images& images);
std::unique_ptr<LargeInputs> large_memory(const Samples& samples);
/// The images of an array, as make_npy() takes it. `labels`, if it names a file, holds their masks: open_masks().
std::unique_ptr<LargeInputs> open_large_images(const std::filesystem::path& images, Layout layout,
                                               const LabelFile& labels = {});
/// An array as make_arrays() takes it, samples x channels x 1 to 3 spatial axes; masks, too. Throws Error(usage) if it
/// has others.
std::unique_ptr<LargeInputs> open_large_array(const ArrayInput& input, const LabelFile& labels = {});
/// The masks of `inputs` inputs of these sizes, from an array with a label for each place; sizes of 1 do not matter.
/// Every label is checked here, as with_label_tensor() does it. Throws Error(usage) that names the file.
std::unique_ptr<InputMasks> open_masks(const LabelFile& labels, std::uint64_t inputs, const Dims& sizes);
/// The pictures of a folder, as make_folder() decodes them, in their own sizes; masks, too.
std::unique_ptr<LargeInputs> open_large_pictures(const std::filesystem::path& folder, const FolderReading& reading);

/// Which tiles a source gives, in the order of the inputs. A value.
class Tiling {
 public:
  struct Input {
    std::string name;  ///< empty if inputs only have numbers
    Dims sizes;
  };
  /// Inputs of the same sizes, or with sizes of their own.
  Tiling(Tiles tiles, Dims sizes, std::uint64_t inputs);
  Tiling(Tiles tiles, std::vector<Input> inputs);

  bool of_one_size() const noexcept { return own_.empty(); }
  std::uint64_t inputs() const noexcept { return inputs_; }
  /// Of all inputs together.
  std::uint64_t count() const noexcept;
  const Tiles& tiles() const noexcept { return tiles_; }
  TileGrid grid_of(std::uint64_t input) const;
  const std::string& name_of(std::uint64_t input) const;
  /// The most places that overlapping tiles of one input still touch while they are blended: a tile's length along the
  /// first axis, all of the others.
  std::uint64_t band_places() const;

  struct Place {
    std::uint64_t input = 0;
    std::uint64_t tile = 0;  ///< in it
  };
  /// Of a tile among all, below count().
  Place place_of(std::uint64_t number) const;

 private:
  Tiles tiles_;
  std::uint64_t inputs_;
  Dims sizes_;                        ///< of all inputs
  std::vector<Input> own_;            ///< or of each
  std::vector<std::uint64_t> first_;  ///< then the number of each one's first tile
};

/// The tiles of the inputs `first` to `first + count - 1`, of which there may be fewer, as samples. It reads only what
/// a tile holds, except that a picture is decoded whole; the last one is kept. Tiles have no labels, but their inputs
/// may have masks. Throws Error(usage) if `tiles.size` has not one number for each axis.
std::unique_ptr<Source> tiled(std::unique_ptr<LargeInputs> inputs, const Tiles& tiles, std::uint64_t first,
                              std::uint64_t count);

/// How the samples of a source were cut from larger inputs; null if they were not. Valid as long as the source.
const Tiling* tiling_of(const Source& source);
/// The masks of the inputs that its samples were cut from, by their numbers in the tiling; null if there are none.
/// Valid as long as the source.
InputMasks* masks_of(Source& source);

}  // namespace tutti::images
