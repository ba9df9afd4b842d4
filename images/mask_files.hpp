// The masks of the pictures of a folder: for each picture a PNG of the same name in another folder, whose pixels are
// numbers (index_png.hpp). Which pictures there are: folder.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tutti/images.hpp>

#include "common/resample.hpp"
#include "images/index_png.hpp"
#include "images/sources.hpp"

namespace tutti::images {

/// What one thread works with; kept between calls, so that its memory is.
struct MaskRoom {
  std::vector<std::byte> file;
  IndexImage mask;
  std::vector<std::uint8_t> resized;
  std::optional<Resampler> resampler;
  ImageShape made_for;  ///< the resampler
};

/// Its functions may be called from several threads, each with its room. They throw Error(usage) that names the picture
/// and its mask: if there is no mask, if it cannot be read, if its pixels are colours.
class MaskFiles {
 public:
  /// Throws Error(usage) if there is no such folder, or if it is in the folder of the pictures.
  MaskFiles(LabelFile masks, std::filesystem::path pictures);

  /// "masks/north/1.png" for "north/1.jpg".
  std::filesystem::path file_of(const std::string& picture) const;
  /// Throws Error(usage) that counts the pictures without a mask, if there are any.
  void check_there(const std::vector<std::string>& pictures) const;
  /// Reads a mask; it stays in `room`. Throws Error(usage) if a number of it is not a label, or if it is not as large
  /// as the picture. Returns the largest class, -1 if there is none.
  std::int64_t check(const std::string& picture, const ImageShape& size, MaskRoom& room) const;
  /// Reads a mask; valid until the room is used again.
  const IndexImage& read(const std::string& picture, MaskRoom& room) const;
  /// Reads a mask, resizes and crops it as `resize` says, without a filter: each label is that of the nearest pixel.
  /// `labels` are as layout() says.
  void read_resized(const std::string& picture, const Resize& resize, MaskRoom& room,
                    std::span<std::byte> labels) const;
  /// The labels of a picture that is resized so: int64 if they are classes, float32 otherwise; height x width.
  TensorLayout layout(const Resize& resize) const;

  const LabelFile& masks() const noexcept { return masks_; }

 private:
  std::string title(const std::string& picture) const;

  LabelFile masks_;
  std::filesystem::path pictures_;
};

}  // namespace tutti::images
