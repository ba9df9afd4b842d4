// A folder of images as a source. Decoding: pictures.cpp. Which files are part of it: folder_listing.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/counted.hpp"
#include "common/lfs_pointer.hpp"
#include "common/resample.hpp"
#include "images/codecs.hpp"
#include "images/folder_listing.hpp"
#include "images/mask_files.hpp"
#include "images/pictures.hpp"
#include "images/record_file.hpp"
#include "images/side_by_side.hpp"
#include "images/sources.hpp"
#include "images/tiles.hpp"

namespace tutti::images {
namespace {

namespace fs = std::filesystem;

/// The most bytes of an encoded image; a larger one is treated as an attack.
constexpr std::uint64_t kMostFileBytes = std::uint64_t{1} << 30;

// ---- the source ----------------------------------------------------------------------------------------------------

class Folder final : public Pictures {
 public:
  Folder(const fs::path& folder, const Resize& resize, const FolderReading& reading)
      : Pictures(resize_of_picture({}, resize), reading.decoding),
        folder_(folder),
        masks_(masks_of(folder, reading)),  // its folder may be what makes the listing wrong
        listing_(list_images(folder, reading.masks.file.empty() ? Subfolders::are_classes : Subfolders::are_parts)),
        mask_rooms_(decode_threads(reading.decoding.threads)) {
    if (reading.skip_broken) leave_out_broken();
    if (masks_) check_masks();
    count_is_known();
  }

  std::string name() const override { return fmt::format("folder {}", folder_.string()); }
  std::uint64_t count() const override { return listing_.files.size(); }
  std::uint32_t classes() const override {
    return masks_ ? mask_classes_ : static_cast<std::uint32_t>(listing_.classes.size());
  }
  bool labelled() const override { return !listing_.classes.empty(); }
  std::string image_name(std::uint64_t index) const override { return listing_.files[index].name; }
  std::string class_name(std::uint32_t label) const override {
    return label < listing_.classes.size() ? listing_.classes[label] : std::string();
  }
  std::vector<std::string> skipped() const override { return skipped_; }
  std::vector<std::string> remarks() const override { return listing_.remarks; }
  std::optional<TensorLayout> label_layout() const override {
    return masks_ ? std::optional(masks_->layout(own())) : PlaneSource::label_layout();
  }
  void read_labels(std::span<const std::uint64_t> indices, std::span<std::byte> labels) override {
    if (!masks_) return PlaneSource::read_labels(indices, labels);
    const std::size_t bytes = masks_->layout(own()).bytes();
    side_by_side(mask_rooms_, indices.size(), [&](MaskRoom& room, std::size_t i) {
      masks_->read_resized(image_name(indices[i]), own(), room, labels.subspan(i * bytes, bytes));
    });
  }

  const LabelFile& masks() const { return masks_->masks(); }
  /// Valid until the next call.
  const IndexImage& whole_mask(std::uint64_t index) { return masks_->read(image_name(index), mask_rooms_.front()); }

 private:
  std::span<const std::byte> load(std::uint64_t index, std::vector<std::byte>& room) const override {
    return load(listing_.files[index], room);
  }
  std::span<const std::byte> load(const ListedFile& file, std::vector<std::byte>& room) const {
    const InputFile input(folder_ / file.name);
    if (input.size() > kMostFileBytes)
      throw Error(ErrorKind::usage, fmt::format("{} is too large for an image", (folder_ / file.name).string()),
                  fmt::format("it has {} bytes, and {} are the most", input.size(), kMostFileBytes), "remove it");
    room.resize(input.size());
    input.read(0, room);
    return room;
  }
  Error refusal(std::uint64_t index, const std::string& why) const override {
    return Error(ErrorKind::usage, fmt::format("{} cannot be decoded", (folder_ / listing_.files[index].name).string()),
                 why, "repair or remove the file, or leave out all such files with 'on_broken: skip'");
  }
  std::int64_t label_of(std::uint64_t index) const override { return listing_.files[index].label; }

  static std::optional<MaskFiles> masks_of(const fs::path& folder, const FolderReading& reading) {
    if (reading.masks.file.empty()) return std::nullopt;
    return MaskFiles(reading.masks, folder);
  }

  /// Runs once, at the start, so that no run ends at a mask that does not fit.
  void check_masks() {
    std::vector<std::string> names;
    for (const ListedFile& file : listing_.files) names.push_back(file.name);
    masks_->check_there(names);
    std::vector<std::int64_t> largest(names.size());
    std::vector<std::pair<std::vector<std::byte>, MaskRoom>> rooms(mask_rooms_.size());
    side_by_side(rooms, names.size(), [&](auto& room, std::size_t i) {
      largest[i] = masks_->check(names[i], whole_size(i, room.first), room.second);
    });
    const LabelFile& masks = masks_->masks();
    if (masks.form == LabelForm::classes)
      mask_classes_ =
          masks.classes != 0 ? masks.classes : static_cast<std::uint32_t>(*std::ranges::max_element(largest) + 1);
  }

  /// Runs once, at the start: the count of a source must not change later, nor the numbers of its images. The memory of
  /// this pass ends with it, because many sources may be open.
  void leave_out_broken() {
    std::vector<std::string> reasons(listing_.files.size());
    std::vector<std::pair<std::vector<std::byte>, DecodedImage>> rooms(mask_rooms_.size());
    side_by_side(rooms, listing_.files.size(), [&](auto& room, std::size_t i) {
      try {
        check(load(listing_.files[i], room.first), room.second);
      } catch (const LfsPointer&) {
        throw;  // the file is not broken, but was not downloaded
      } catch (const Error& error) {
        // A machine that is out of memory or descriptors says nothing about the file.
        if (error.kind() != ErrorKind::usage) throw;
        reasons[i] = why_refused(error);
      }
    });
    std::vector<ListedFile> good;
    for (std::size_t i = 0; i < reasons.size(); ++i)
      if (reasons[i].empty())
        good.push_back(std::move(listing_.files[i]));
      else
        skipped_.push_back(fmt::format("{}: {}", listing_.files[i].name, reasons[i]));
    if (good.empty())
      throw Error(ErrorKind::usage, fmt::format("{} cannot be read as a folder of images", folder_.string()),
                  fmt::format("none of its {} can be decoded; {}", counted(reasons.size(), "image"), skipped_.front()),
                  kFolderHint);
    listing_.files = std::move(good);
  }

  const fs::path folder_;
  const std::optional<MaskFiles> masks_;
  Listing listing_;
  std::uint32_t mask_classes_ = 0;
  std::vector<std::string> skipped_;
  std::vector<MaskRoom> mask_rooms_;  ///< one for each thread
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

}  // namespace tutti::images
