// The sources of images and of other samples that come with Tutti, and decorators around any source. They stream: none
// holds more than a few samples, however large the data set is (`memory` only refers to the caller's samples, the
// digits are part of the program).
//
// Each source is used by one thread at a time; two sources never share state. Their errors name the file and say what
// was found and what is needed: Error(usage) if the input is wrong, Error(failed) if it could not be read or changed
// while it was read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tutti/encoded.hpp>
#include <tutti/images.hpp>
#include <tutti/samples.hpp>
#include <vector>

#include "common/member_input.hpp"
#include "common/values.hpp"
#include "images/planes.hpp"

namespace tutti::images {

enum class Split { train, test };
enum class Layout { nchw, nhwc };

/// 1 797 handwritten digits, 10 classes, 3x32x32, 1 437 to train and 360 to test. See images/data/README.md.
std::unique_ptr<Source> make_digits(Split split);

/// The binary version of CIFAR-10 in `folder`: data_batch_1.bin to data_batch_5.bin, or test_batch.bin; 3x32x32, 10
/// classes. The files may hold any whole number of records, so that subsets work.
/// (https://www.cs.toronto.edu/~kriz/cifar.html)
std::unique_ptr<Source> make_cifar10(const std::filesystem::path& folder, Split split);

/// Whether a source has the labels, or only leaves them out of its tensors: label_tensor.hpp reads them then.
enum class ReadLabels { yes, no };

/// Images in an array (images/arrays.hpp) of float32 (as they are) or uint8 (divided by 255), rank 4 in `layout`.
/// `labels` is an array of int64, int32 or uint8, rank 1, of the same count, or a column of a table; or an empty path.
/// `classes` 0: the largest label + 1. All labels are checked here, before anything runs.
std::unique_ptr<Source> make_npy(const std::filesystem::path& images, const std::filesystem::path& labels,
                                 Layout layout, std::uint32_t classes, ReadLabels read = ReadLabels::yes);

/// A tensor of the samples: an array of float32, float16, uint8, int32, int64 or bool, taken as it is, or of float64,
/// which becomes float32; or the numbers of a table. Without a name `file` is an archive, and each of its arrays is a
/// tensor, called as it is there, except the one that holds the labels.
struct ArrayInput {
  std::string name;
  std::filesystem::path file;
};
/// Samples of these tensors, at least one, all of the same count; labels as of make_npy(). Throws Error(usage).
std::unique_ptr<Source> make_arrays(const std::vector<ArrayInput>& inputs, const std::filesystem::path& labels,
                                    std::uint32_t classes, ReadLabels read = ReadLabels::yes);

/// How the labels of a description are read.
struct LabelFile {
  std::filesystem::path file;  ///< as open_array() takes it; of a folder of pictures a folder of masks (mask_files.hpp)
  LabelForm form = LabelForm::classes;
  /// Classes: places with this label do not count. It need not be a class.
  std::optional<std::int64_t> ignored{};
  std::uint32_t classes = 0;  ///< 0: the largest label + 1
};

/// How pictures are decoded.
struct Decoding {
  std::uint32_t threads = 0;  ///< 0: as many as there are usable cores, at most 16
  bool jpeg_scaling = false;  ///< JPEGs are decoded at a part of their size if they are much larger than wanted
  Orientation orientation = Orientation::ignore;
};

/// How a folder of images is read.
struct FolderReading {
  Decoding decoding{};
  /// Images that cannot be decoded are looked for at the start, by decoding every one, and left out, so that they are
  /// in no count; otherwise the first one that is met is an error.
  bool skip_broken = false;
  LabelFile masks{};  ///< if it names a folder, sub-folders of the pictures are not classes
};

/// The images in `folder` (formats.hpp) as RGB bytes, each resized and cropped by `resize`, which must make them all of
/// one shape; other planes of them can be chosen. Sub-folders that hold images, at any depth, are the classes, by name;
/// without such the images are not labelled. Both are in the order of their names, byte by byte. Names that begin with
/// a dot are passed over; other files that are no images are counted in remarks(). What is done about files, colours
/// and sizes is described in docs/images.md. With masks, the label of a picture is its mask, resized and cropped like
/// the source's own plane; every mask is read and checked here, before anything runs, as mask_files.hpp says.
std::unique_ptr<PlaneSource> make_folder(const std::filesystem::path& folder, const Resize& resize,
                                         const FolderReading& reading = {});

/// The pictures of `source`, which outlives it, decoded like those of a folder. `resize` must make them all of one
/// shape.
std::unique_ptr<PlaneSource> decoded(EncodedSource& source, const Resize& resize, const Decoding& decoding);

/// How many threads decode for this value of `threads`.
std::uint32_t decode_threads(std::uint32_t wanted);

/// Which images `folder` holds, and of which size and age, in one line: a run's predictions depend on them. `masks`: as
/// of FolderReading, whose sub-folders are not classes.
std::string folder_fingerprint(const std::filesystem::path& folder, const LabelFile& masks = {});

/// Uniform noise in [0, 1) with uniform labels (none if `classes` is 0). Each value depends only on seed, image and
/// place, so every order of reading gives the same images.
std::unique_ptr<Source> make_random(std::uint64_t count, ImageShape shape, std::uint32_t classes, std::uint64_t seed);
/// The same of images that are bytes, without labels.
std::unique_ptr<Source> make_random_bytes(std::uint64_t count, ImageShape shape, std::uint64_t seed);
/// The same of tensors: whole numbers and truths are made up as made_up_value() does.
std::unique_ptr<Source> make_random(std::uint64_t count, std::vector<NamedLayout> tensors, std::uint32_t classes,
                                    std::uint64_t seed);

/// Images that the caller keeps in memory while the source lives; `labels` is empty or has one per image.
/// classes() is the largest label + 1.
std::unique_ptr<Source> make_memory(Images images, std::span<const std::int64_t> labels = {});
/// Encoded pictures that the caller keeps: an EncodedSource.
std::unique_ptr<Source> make_memory(EncodedImages images);
/// The same of tensors, which the caller keeps too.
std::unique_ptr<Source> make_memory(Samples samples, std::span<const std::int64_t> labels = {});

/// The first `count` images of `source`, or all if it has fewer.
std::unique_ptr<Source> limited(std::unique_ptr<Source> source, std::uint64_t count);

/// `source` without its first `count` images: nothing if it has no more. Together with limited() it splits a set into
/// one part to train on and one to choose by.
std::unique_ptr<Source> without_first(std::unique_ptr<Source> source, std::uint64_t count);

/// (x - mean) / std per channel. One value holds for all channels; no value leaves that step out.
std::unique_ptr<Source> normalised(std::unique_ptr<Source> source, std::span<const float> mean,
                                   std::span<const float> std);

/// `source` with `names` as the names of its classes, in the order of the labels. If `labels` is not empty,
/// class c of the source is class labels[c] of the names; all are below names.size(), which is classes() then.
std::unique_ptr<Source> with_classes(std::unique_ptr<Source> source, std::vector<std::string> names,
                                     std::vector<std::uint32_t> labels);

}  // namespace tutti::images
