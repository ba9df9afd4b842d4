// A folder of images as a source: several threads decode and resize its files directly into the caller's memory. Which
// files are part of it: folder_listing.cpp.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <exception>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "common/checksum.hpp"
#include "common/counted.hpp"
#include "common/mutex.hpp"
#include "common/resample.hpp"
#include "common/thread.hpp"
#include "images/bytes_to_floats.hpp"
#include "images/codecs.hpp"
#include "images/folder_listing.hpp"
#include "images/record_file.hpp"
#include "images/sources.hpp"

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
  std::optional<Resampler> resampler;
  std::pair<ImageShape, Resize> resampled;  ///< what `resampler` was made for
  std::vector<std::uint8_t> bytes;          ///< one image of the source's shape
};

/// What the first piece of work threw: first by its number, not in time. Thread-safe.
class FirstError {
 public:
  /// On the thread that caught it.
  void add(std::size_t i) {
    const MutexLock lock(mutex_);
    if (error_ && i >= first_) return;
    first_ = i;
    error_ = std::current_exception();
  }
  void rethrow() {
    const MutexLock lock(mutex_);
    if (error_) std::rethrow_exception(error_);
  }

 private:
  Mutex mutex_;
  std::size_t first_ TUTTI_GUARDED_BY(mutex_) = 0;
  std::exception_ptr error_ TUTTI_GUARDED_BY(mutex_);
};

/// Calls `work(hand, i)` for 0 <= i < count, on as many threads as there are hands. Throws the exception of the
/// smallest i that failed (not of the first in time).
template <class Work>
void side_by_side(std::vector<Hand>& hands, std::size_t count, const Work& work) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  FirstError error;
  const auto take = [&](Hand& hand) {
    while (!failed) {
      const std::size_t i = next++;
      if (i >= count) return;
      try {
        work(hand, i);
      } catch (...) {
        failed = true;
        error.add(i);
      }
    }
  };
  std::vector<std::thread> others;
  try {
    for (std::size_t hand = 1; hand < std::min(hands.size(), count); ++hand)
      others.push_back(start_thread("tutti-decode", [&take, &mine = hands[hand]] { take(mine); }));
    take(hands.front());
  } catch (...) {  // no more threads can be started
    failed = true;
    error.add(count);
  }
  for (std::thread& other : others) other.join();
  error.rethrow();
}

// ---- the source ----------------------------------------------------------------------------------------------------

class Folder final : public Source {
 public:
  Folder(const fs::path& folder, const Resize& resize, const FolderReading& reading)
      : folder_(folder),
        resize_(resize),
        decode_for_(reading.jpeg_scaling ? resize : Resize{}),
        shape_(shape_of(resize)),
        listing_(list_images(folder)) {
    hands_.resize(decode_threads(reading.threads));
    if (reading.skip_broken) leave_out_broken();
  }

  std::string name() const override { return fmt::format("folder {}", folder_.string()); }
  ImageShape shape() const override { return shape_; }
  std::uint64_t count() const override { return listing_.files.size(); }
  std::uint32_t classes() const override { return static_cast<std::uint32_t>(listing_.classes.size()); }
  bool labelled() const override { return !listing_.classes.empty(); }
  bool has_bytes() const override { return true; }
  std::string image_name(std::uint64_t index) const override { return listing_.files[index].name; }
  std::string class_name(std::uint32_t label) const override {
    return label < listing_.classes.size() ? listing_.classes[label] : std::string();
  }
  std::vector<std::string> skipped() const override { return skipped_; }
  std::vector<std::string> remarks() const override { return listing_.remarks; }

  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    const std::size_t elements = shape_.elements();
    assert(pixels.size() == indices.size() * elements);
    side_by_side(hands_, indices.size(), [&](Hand& hand, std::size_t i) {
      hand.bytes.resize(elements);
      make(hand, indices[i], hand.bytes);
      std::ranges::transform(hand.bytes, pixels.begin() + static_cast<std::ptrdiff_t>(i * elements),
                             [](std::uint8_t value) { return kUnitFloats[value]; });
    });
    fill_labels(indices, labels);
  }

  void read_bytes(std::span<const std::uint64_t> indices, std::span<std::uint8_t> pixels,
                  std::span<std::int64_t> labels) override {
    const std::size_t elements = shape_.elements();
    assert(pixels.size() == indices.size() * elements);
    side_by_side(hands_, indices.size(),
                 [&](Hand& hand, std::size_t i) { make(hand, indices[i], pixels.subspan(i * elements, elements)); });
    fill_labels(indices, labels);
  }

 private:
  static ImageShape shape_of(const Resize& resize) {
    const bool cropped = resize.crop_height != 0 && resize.crop_width != 0;
    if (!cropped && resize.rule != ResizeRule::exact)
      throw Error(ErrorKind::usage, "the images of a folder differ in size, and need a crop to get the same size");
    return cropped ? ImageShape{3, resize.crop_height, resize.crop_width} : ImageShape{3, resize.height, resize.width};
  }

  void load(Hand& hand, const ListedFile& file) const {
    const InputFile input(folder_ / file.name);
    if (input.size() > kMostFileBytes)
      throw Error(ErrorKind::usage, fmt::format("{} is too large for an image", (folder_ / file.name).string()),
                  fmt::format("it has {} bytes, and {} are the most", input.size(), kMostFileBytes), "remove it");
    hand.file.resize(input.size());
    input.read(0, hand.file);
  }

  void make(Hand& hand, std::uint64_t index, std::span<std::uint8_t> to) const {
    const ListedFile& file = listing_.files[index];
    load(hand, file);
    try {
      decode(hand.file, decode_for_, hand.image);
      const Resize resize = resize_from_decoded(resize_, hand.image);
      if (!hand.resampler || hand.resampled != std::pair(hand.image.shape, resize)) {
        hand.resampler.emplace(resize, hand.image.shape);
        hand.resampled = {hand.image.shape, resize};
      }
      hand.resampler->apply_interleaved(hand.image.values(), to);
    } catch (const Error& error) {
      throw Error(ErrorKind::usage, fmt::format("{} cannot be decoded", (folder_ / file.name).string()), why(error),
                  "repair or remove the file, or leave out all such files with 'on_broken: skip'");
    }
  }

  static std::string why(const Error& error) {
    return error.detail().empty() ? error.message() : fmt::format("{}: {}", error.message(), error.detail());
  }

  void fill_labels(std::span<const std::uint64_t> indices, std::span<std::int64_t> labels) const {
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = listing_.files[indices[i]].label;
  }

  /// Runs once, at the start: the count of a source must not change later, nor the numbers of its images.
  void leave_out_broken() {
    std::vector<std::string> reasons(listing_.files.size());
    side_by_side(hands_, listing_.files.size(), [&](Hand& hand, std::size_t i) {
      try {
        load(hand, listing_.files[i]);
        check(hand.file, hand.image);
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
  const Resize resize_;
  const Resize decode_for_;  ///< what a JPEG may be decoded at a part of its size for
  const ImageShape shape_;
  Listing listing_;
  std::vector<std::string> skipped_;
  std::vector<Hand> hands_;
};

}  // namespace

std::unique_ptr<Source> make_folder(const std::filesystem::path& folder, const Resize& resize,
                                    const FolderReading& reading) {
  return std::make_unique<Folder>(folder, resize, reading);
}

std::uint32_t decode_threads(std::uint32_t wanted) {
  return wanted != 0 ? wanted : std::clamp(std::thread::hardware_concurrency(), 1U, kMostThreads);
}

std::string folder_fingerprint(const std::filesystem::path& folder) {
  const Listing listing = list_images(folder);
  std::uint32_t crc = 0;
  for (const ListedFile& file : listing.files) {
    struct stat status {};
    ::stat((folder / file.name).c_str(), &status);  // zeros if the file is gone; reading it reports that
    const std::string line = fmt::format("{}\n{} {} {}.{:09}\n", file.name, file.label, status.st_size,
                                         status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    crc = crc32(std::as_bytes(std::span(line)), crc);
  }
  return fmt::format("{} in {}, crc of names, sizes and times {:08x}", counted(listing.files.size(), "image"),
                     counted(listing.classes.size(), "class"), crc);
}

}  // namespace tutti::images
