// A folder of images as a source: several threads decode and resize its files directly into the caller's memory. Which
// files are part of it: folder_listing.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/counted.hpp"
#include "common/lfs_pointer.hpp"
#include "common/resample.hpp"
#include "common/usable_cores.hpp"
#include "images/bytes_to_floats.hpp"
#include "images/codecs.hpp"
#include "images/folder_listing.hpp"
#include "images/mask_files.hpp"
#include "images/orientation.hpp"
#include "images/record_file.hpp"
#include "images/side_by_side.hpp"
#include "images/sources.hpp"
#include "images/tiles.hpp"

namespace tutti::images {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kMostThreads = 16;

// ---- many at once --------------------------------------------------------------------------------------------------

/// The most bytes of an encoded image; a larger one is treated as an attack.
constexpr std::uint64_t kMostFileBytes = std::uint64_t{1} << 30;

/// What one thread works with; kept between calls, so that its memory is.
struct Hand {
  std::vector<std::byte> file;
  DecodedImage image;
  std::vector<std::uint8_t> turned;
  std::vector<std::uint8_t> bytes;  ///< one image of the source's shape
  MaskRoom mask;

  /// One of a plane, kept for the next picture of the same size.
  struct Kept {
    std::pair<ImageShape, Resize> made_for;
    std::optional<Resampler> resampler;
  };
  std::vector<Kept> planes;
};

// ---- the source ----------------------------------------------------------------------------------------------------

class Folder final : public PlaneSource {
 public:
  Folder(const fs::path& folder, const Resize& resize, const FolderReading& reading)
      : folder_(folder),
        own_(resize_of_picture({}, resize)),
        shape_(fixed_shape(own_)),
        reading_(reading),
        masks_(masks_of(folder, reading)),  // its folder may be what makes the listing wrong
        listing_(list_images(folder, reading.masks.file.empty() ? Subfolders::are_classes : Subfolders::are_parts)),
        planes_{own_} {
    hands_.resize(decode_threads(reading.threads));
    if (reading.skip_broken) leave_out_broken();
    if (masks_) check_masks();
    unturned_ = std::vector<std::atomic<bool>>(listing_.files.size());
  }

  std::string name() const override { return fmt::format("folder {}", folder_.string()); }
  ImageShape shape() const override { return shape_; }
  std::uint64_t count() const override { return listing_.files.size(); }
  std::uint32_t classes() const override {
    return masks_ ? mask_classes_ : static_cast<std::uint32_t>(listing_.classes.size());
  }
  bool labelled() const override { return !listing_.classes.empty(); }
  bool has_bytes() const override { return true; }
  std::string image_name(std::uint64_t index) const override { return listing_.files[index].name; }
  std::string class_name(std::uint32_t label) const override {
    return label < listing_.classes.size() ? listing_.classes[label] : std::string();
  }
  std::vector<std::string> skipped() const override { return skipped_; }
  std::vector<std::string> remarks() const override { return listing_.remarks; }
  std::optional<TensorLayout> label_layout() const override {
    return masks_ ? std::optional(masks_->layout(own_)) : PlaneSource::label_layout();
  }
  void read_labels(std::span<const std::uint64_t> indices, std::span<std::byte> labels) override {
    if (!masks_) return PlaneSource::read_labels(indices, labels);
    const std::size_t bytes = masks_->layout(own_).bytes();
    side_by_side(hands_, indices.size(), [&](Hand& hand, std::size_t i) {
      masks_->read_resized(image_name(indices[i]), own_, hand.mask, labels.subspan(i * bytes, bytes));
    });
  }

  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    const std::size_t elements = shape_.elements();
    assert(pixels.size() == indices.size() * elements);
    side_by_side(hands_, indices.size(), [&](Hand& hand, std::size_t i) {
      hand.bytes.resize(elements);
      make(hand, indices[i], std::span(&own_, 1), [&](std::size_t) { return std::span(hand.bytes); });
      std::ranges::transform(hand.bytes, pixels.begin() + static_cast<std::ptrdiff_t>(i * elements),
                             [](std::uint8_t value) { return kUnitFloats[value]; });
    });
    fill_labels(indices, labels);
  }

  void read_bytes(std::span<const std::uint64_t> indices, std::span<std::uint8_t> pixels,
                  std::span<std::int64_t> labels) override {
    read_into(std::span(&own_, 1), indices, std::span(&pixels, 1), labels);
  }

  bool decodes() const override { return true; }
  void choose_planes(std::span<const Resize> asked) override {
    planes_.clear();
    for (const Resize& one : asked) planes_.push_back(resize_of_picture(one, own_));
  }
  std::vector<ImageShape> plane_shapes() const override {
    std::vector<ImageShape> shapes;
    for (const Resize& plane : planes_) shapes.push_back(fixed_shape(plane));
    return shapes;
  }
  void read_planes(std::span<const std::uint64_t> indices, std::span<const std::span<std::uint8_t>> planes,
                   std::span<std::int64_t> labels) override {
    assert(planes.size() == planes_.size());
    read_into(planes_, indices, planes, labels);
  }
  std::uint64_t take_unturned() override {
    const auto met =
        static_cast<std::uint64_t>(std::ranges::count_if(unturned_, [](const auto& one) { return one.load(); }));
    return met - std::exchange(told_unturned_, met);
  }

  /// Of the upright picture.
  ImageShape whole_size(std::uint64_t index) { return whole_size(hands_.front(), index); }
  ImageShape whole_size(Hand& hand, std::uint64_t index) const {
    load(hand, listing_.files[index]);
    ImageShape size;
    explain(index, [&] { size = stored_size(hand.file); });
    const std::uint8_t orientation = orientation_of(hand.file);
    if (is_turned(hand, orientation) && exchanges_sides(orientation)) std::swap(size.height, size.width);
    return size;
  }
  const LabelFile& masks() const { return masks_->masks(); }
  /// Valid until the next call.
  const IndexImage& whole_mask(std::uint64_t index) { return masks_->read(image_name(index), hands_.front().mask); }
  /// Valid until the next call.
  const DecodedImage& decode_whole(std::uint64_t index) {
    Hand& hand = hands_.front();
    load(hand, listing_.files[index]);
    explain(index, [&] { decode_upright(hand, index, {}); });
    return hand.image;
  }

 private:
  void read_into(std::span<const Resize> resizes, std::span<const std::uint64_t> indices,
                 std::span<const std::span<std::uint8_t>> planes, std::span<std::int64_t> labels) {
    std::vector<std::size_t> elements;
    for (std::size_t p = 0; p < resizes.size(); ++p) {
      elements.push_back(fixed_shape(resizes[p]).elements());
      assert(planes[p].size() == indices.size() * elements[p]);
    }
    side_by_side(hands_, indices.size(), [&](Hand& hand, std::size_t i) {
      make(hand, indices[i], resizes, [&](std::size_t p) { return planes[p].subspan(i * elements[p], elements[p]); });
    });
    fill_labels(indices, labels);
  }

  void load(Hand& hand, const ListedFile& file) const {
    const InputFile input(folder_ / file.name);
    if (input.size() > kMostFileBytes)
      throw Error(ErrorKind::usage, fmt::format("{} is too large for an image", (folder_ / file.name).string()),
                  fmt::format("it has {} bytes, and {} are the most", input.size(), kMostFileBytes), "remove it");
    hand.file.resize(input.size());
    input.read(0, hand.file);
  }

  /// Decodes one picture, once, and makes every plane of it; `room_of(p)` is the memory for plane p.
  template <class RoomOf>
  void make(Hand& hand, std::uint64_t index, std::span<const Resize> resizes, const RoomOf& room_of) {
    load(hand, listing_.files[index]);
    explain(index, [&] {
      decode_upright(hand, index, resizes);
      hand.planes.resize(std::max(hand.planes.size(), resizes.size()));
      for (std::size_t p = 0; p < resizes.size(); ++p) {
        Hand::Kept& kept = hand.planes[p];
        const std::pair wanted(hand.image.shape, resize_from_decoded(resizes[p], hand.image));
        if (!kept.resampler || kept.made_for != wanted) {
          kept.resampler.emplace(wanted.second, wanted.first);
          kept.made_for = wanted;
        }
        kept.resampler->apply_interleaved(hand.image.values(), room_of(p));
      }
    });
  }

  /// Does `work` with a picture; its errors name the file.
  template <class Work>
  void explain(std::uint64_t index, const Work& work) const {
    try {
      work();
    } catch (const Error& error) {
      const fs::path file = folder_ / listing_.files[index].name;
      throw Error(ErrorKind::usage, fmt::format("{} cannot be decoded", file.string()), why(error),
                  "repair or remove the file, or leave out all such files with 'on_broken: skip'");
    }
  }

  bool is_turned(const Hand& hand, std::uint8_t orientation) const {
    return orientation != 1 && (reading_.orientation == Orientation::exif || is_always_turned(hand.file));
  }

  /// The stored picture is turned after it was decoded, so its sides may be exchanged when its scale is chosen.
  void decode_upright(Hand& hand, std::uint64_t index, std::span<const Resize> resizes) {
    const std::uint8_t orientation = orientation_of(hand.file);
    const bool turned = is_turned(hand, orientation);
    if (orientation != 1 && !turned) unturned_[index] = true;
    std::vector<Resize> decode_for;
    if (reading_.jpeg_scaling) decode_for.assign(resizes.begin(), resizes.end());
    if (turned && exchanges_sides(orientation))
      for (Resize& resize : decode_for) std::swap(resize.height, resize.width);
    decode(hand.file, decode_for, hand.image);
    if (turned) turn(hand.image, orientation, hand.turned);
  }

  static std::optional<MaskFiles> masks_of(const fs::path& folder, const FolderReading& reading) {
    if (reading.masks.file.empty()) return std::nullopt;
    return MaskFiles(reading.masks, folder);
  }

  static std::string why(const Error& error) {
    return error.detail().empty() ? error.message() : fmt::format("{}: {}", error.message(), error.detail());
  }

  void fill_labels(std::span<const std::uint64_t> indices, std::span<std::int64_t> labels) const {
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = listing_.files[indices[i]].label;
  }

  /// Runs once, at the start, so that no run ends at a mask that does not fit.
  void check_masks() {
    std::vector<std::string> names;
    for (const ListedFile& file : listing_.files) names.push_back(file.name);
    masks_->check_there(names);
    std::vector<std::int64_t> largest(names.size());
    side_by_side(hands_, names.size(), [&](Hand& hand, std::size_t i) {
      largest[i] = masks_->check(names[i], whole_size(hand, i), hand.mask);
    });
    hands_.assign(hands_.size(), Hand{});
    const LabelFile& masks = masks_->masks();
    if (masks.form == LabelForm::classes)
      mask_classes_ =
          masks.classes != 0 ? masks.classes : static_cast<std::uint32_t>(*std::ranges::max_element(largest) + 1);
  }

  /// Runs once, at the start: the count of a source must not change later, nor the numbers of its images.
  void leave_out_broken() {
    std::vector<std::string> reasons(listing_.files.size());
    side_by_side(hands_, listing_.files.size(), [&](Hand& hand, std::size_t i) {
      try {
        load(hand, listing_.files[i]);
        check(hand.file, hand.image);
      } catch (const LfsPointer&) {
        throw;  // the file is not broken, but was not downloaded
      } catch (const Error& error) {
        // A machine that is out of memory or descriptors says nothing about the file.
        if (error.kind() != ErrorKind::usage) throw;
        reasons[i] = why(error);
      }
    });
    hands_.assign(hands_.size(), Hand{});  // many sources may be open: none keeps memory that only this pass needed
    std::vector<ListedFile> good;
    for (std::size_t i = 0; i < reasons.size(); ++i)
      if (reasons[i].empty())
        good.push_back(std::move(listing_.files[i]));
      else
        skipped_.push_back(fmt::format("{}: {}", listing_.files[i].name, reasons[i]));
    if (good.empty())
      throw Error(ErrorKind::usage, fmt::format("{} cannot be read as a folder of images", folder_.string()),
                  fmt::format("none of its {} can be decoded; {}", counted(reasons.size(), "image"), skipped_.front()),
                  "'path' of 'input' names a folder with images, or with one folder of images for each class");
    listing_.files = std::move(good);
  }

  const fs::path folder_;
  const Resize own_;  ///< what the description asks for, and a plane that leaves it open
  const ImageShape shape_;
  const FolderReading reading_;
  const std::optional<MaskFiles> masks_;
  Listing listing_;
  std::uint32_t mask_classes_ = 0;
  std::vector<Resize> planes_;
  std::vector<std::string> skipped_;
  std::vector<std::atomic<bool>> unturned_;  ///< by image: it was met with an orientation that was not applied
  std::uint64_t told_unturned_ = 0;
  std::vector<Hand> hands_;
};

/// The current one of them is kept.
class WholeMasks final : public InputMasks {
 public:
  explicit WholeMasks(Folder& folder) : folder_(folder) {}

  std::string name() const override { return folder_.masks().file.string(); }
  std::uint32_t classes() const override { return folder_.classes(); }
  void read(std::uint64_t index, std::uint64_t first, std::span<std::int64_t> labels) override {
    if (current_ != index) {
      current_.reset();
      mask_ = &folder_.whole_mask(index);
      current_ = index;
    }
    if (first + labels.size() > mask_->numbers.size())
      throw Error(ErrorKind::failed,
                  fmt::format("the mask of {} was changed while it was read", folder_.image_name(index)));
    std::copy_n(mask_->numbers.begin() + static_cast<std::ptrdiff_t>(first), labels.size(), labels.begin());
  }

 private:
  Folder& folder_;
  std::optional<std::uint64_t> current_;
  const IndexImage* mask_ = nullptr;
};

/// The current one of them is kept.
class LargePictures final : public LargeInputs {
 public:
  LargePictures(const fs::path& folder, const FolderReading& reading)
      : folder_(folder, {ResizeRule::exact, 1, 1}, reading) {
    if (!reading.masks.file.empty()) masks_.emplace(folder_);
  }

  std::string name() const override { return folder_.name(); }
  std::uint64_t count() const override { return folder_.count(); }
  bool are_images() const override { return true; }
  std::string tensor_name() const override { return kImageTensor; }
  Dtype dtype() const override { return Dtype::uint8; }
  std::uint32_t channels() const override { return 3; }
  std::size_t axes() const override { return 2; }
  bool of_one_size() const override { return false; }
  Dims sizes_of(std::uint64_t index) override {
    const ImageShape size = folder_.whole_size(index);
    return {size.height, size.width};
  }
  std::string name_of(std::uint64_t index) const override { return folder_.image_name(index); }
  std::vector<std::string> skipped() const override { return folder_.skipped(); }
  std::vector<std::string> remarks() const override { return folder_.remarks(); }
  std::uint64_t take_unturned() override { return folder_.take_unturned(); }
  InputMasks* masks() override { return masks_ ? &*masks_ : nullptr; }

  void read(std::uint64_t index, const Region& region, const Dims& tile, std::span<std::byte> out) override {
    if (current_ != index) {
      current_.reset();
      picture_ = &folder_.decode_whole(index);
      current_ = index;
    }
    const Dims sizes{picture_->shape.height, picture_->shape.width};
    const std::span<const std::uint8_t> values = picture_->values();
    each_run(region, sizes, tile, [&](std::uint64_t whole, std::uint64_t part, std::size_t length) {
      for (std::size_t channel = 0; channel < 3; ++channel)
        for (std::size_t place = 0; place < length; ++place)
          out[channel * elements_of(tile) + part + place] = std::byte{values[(whole + place) * 3 + channel]};
    });
  }

 private:
  Folder folder_;
  std::optional<WholeMasks> masks_;
  std::optional<std::uint64_t> current_;
  const DecodedImage* picture_ = nullptr;
};

}  // namespace

std::unique_ptr<LargeInputs> open_large_pictures(const fs::path& folder, const FolderReading& reading) {
  return std::make_unique<LargePictures>(folder, reading);
}

std::unique_ptr<PlaneSource> make_folder(const std::filesystem::path& folder, const Resize& resize,
                                         const FolderReading& reading) {
  return std::make_unique<Folder>(folder, resize, reading);
}

std::uint32_t decode_threads(std::uint32_t wanted) {
  return wanted != 0 ? wanted : std::min(usable_cores(), kMostThreads);
}

}  // namespace tutti::images
