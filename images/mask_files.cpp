#include "images/mask_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>
#include <system_error>
#include <utility>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "images/record_file.hpp"

namespace tutti::images {
namespace {

namespace fs = std::filesystem;

/// The most bytes of a mask; a larger one is treated as an attack.
constexpr std::uint64_t kMostMaskBytes = std::uint64_t{1} << 30;

std::string sizes_text(std::uint32_t height, std::uint32_t width) {
  return fmt::format("{} high and {} wide", height, width);
}

/// Whether `folder` is `above`, or in it.
bool is_in(const fs::path& folder, const fs::path& above) {
  std::error_code code;
  for (fs::path at = fs::canonical(folder, code); !code; at = at.parent_path()) {
    if (fs::equivalent(at, above, code)) return true;
    if (!at.has_relative_path()) return false;
  }
  return false;
}

[[noreturn]] void refuse_folder(const fs::path& folder, std::string why, std::string hint) {
  throw Error(ErrorKind::usage, fmt::format("{} cannot be read as a folder of masks", folder.string()), std::move(why),
              std::move(hint));
}

template <class Label>
void keep(const std::vector<std::uint8_t>& planes, std::size_t places, std::span<std::byte> labels) {
  for (std::size_t place = 0; place < places; ++place) {
    const std::array<std::uint8_t, 2> bytes{planes[place], planes[places + place]};
    std::uint16_t number = 0;
    std::memcpy(&number, bytes.data(), sizeof number);
    const auto label = static_cast<Label>(number);
    std::memcpy(&labels[place * sizeof label], &label, sizeof label);
  }
}

}  // namespace

MaskFiles::MaskFiles(LabelFile masks, fs::path pictures) : masks_(std::move(masks)), pictures_(std::move(pictures)) {
  constexpr const char* kHint = "'labels' of a folder of pictures names a folder with a PNG for each of them";
  std::error_code code;
  const fs::file_status status = fs::status(masks_.file, code);
  if (status.type() == fs::file_type::not_found) refuse_folder(masks_.file, "there is no such folder", kHint);
  if (code) refuse_folder(masks_.file, code.message(), kHint);
  if (!fs::is_directory(status)) refuse_folder(masks_.file, "it is not a folder", kHint);
  if (is_in(masks_.file, pictures_))
    refuse_folder(masks_.file, fmt::format("it is in the folder of the pictures, {}", pictures_.string()),
                  "put pictures and masks into two folders next to each other, and name both: {path: data/photos, "
                  "labels: data/masks}");
}

fs::path MaskFiles::file_of(const std::string& picture) const {
  return masks_.file / fs::path(picture).replace_extension(".png");
}

std::string MaskFiles::title(const std::string& picture) const {
  return fmt::format("the mask {} of {}", file_of(picture).string(), (pictures_ / picture).string());
}

void MaskFiles::check_there(const std::vector<std::string>& pictures) const {
  std::vector<std::string> missing;
  for (const std::string& picture : pictures) {
    std::error_code code;
    if (!fs::exists(file_of(picture), code) && !code) missing.push_back(picture);
  }
  if (missing.empty()) return;
  const std::string others =
      missing.size() == 1 ? std::string()
                          : fmt::format("; {} of {} have no mask", missing.size(), counted(pictures.size(), "picture"));
  throw Error(
      ErrorKind::usage, fmt::format("{} has no mask", (pictures_ / missing.front()).string()),
      fmt::format("there is no file {}{}", file_of(missing.front()).string(), others),
      "the mask of a picture is a PNG of the same name in the folder of 'labels'; add it, or remove the picture");
}

const IndexImage& MaskFiles::read(const std::string& picture, MaskRoom& room) const {
  try {
    const InputFile file(file_of(picture));
    if (file.size() > kMostMaskBytes)
      throw Error(ErrorKind::usage, fmt::format("it has {} bytes, and {} are the most", file.size(), kMostMaskBytes));
    room.file.resize(file.size());
    file.read(0, room.file);
    decode_index(room.file, room.mask);
  } catch (const Error& error) {
    const std::string why =
        error.detail().empty() ? error.message() : fmt::format("{}: {}", error.message(), error.detail());
    throw Error(error.kind(), fmt::format("{} cannot be read", title(picture)), why,
                error.hint().empty() ? "save the class of each pixel as a grey or palette PNG: "
                                       "Image.fromarray(classes.astype('uint8')).save(path)"
                                     : error.hint());
  }
  return room.mask;
}

std::int64_t MaskFiles::check(const std::string& picture, const ImageShape& size, MaskRoom& room) const {
  const IndexImage& mask = read(picture, room);
  if (mask.height != size.height || mask.width != size.width)
    throw Error(ErrorKind::usage, fmt::format("{} has another size than the picture", title(picture)),
                fmt::format("it is {}, and the picture {}", sizes_text(mask.height, mask.width),
                            sizes_text(size.height, size.width)),
                mask.height == size.width && mask.width == size.height
                    ? "turn one of them; 'orientation' says whether pictures are turned as EXIF tells"
                    : "save masks in the size of their pictures; 'resize' and 'crop' are applied to both");
  const bool classes = masks_.form == LabelForm::classes;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  if (masks_.form == LabelForm::indicators) most = 1;
  if (classes && masks_.classes != 0) most = std::int64_t{masks_.classes} - 1;
  std::int64_t largest = -1;
  for (std::size_t place = 0; place < mask.numbers.size(); ++place) {
    const std::int64_t number = mask.numbers[place];
    if (classes && number == masks_.ignored) continue;
    largest = std::max(largest, number);
    if (number <= most) continue;
    throw Error(ErrorKind::usage, fmt::format("{} has the label {}", title(picture), number),
                fmt::format("at row {}, column {}, and {}", place / mask.width, place % mask.width,
                            classes ? fmt::format("labels are 0 to {}", most)
                                    : std::string("with 'activation: sigmoid' a label is 0 or 1")),
                classes
                    ? fmt::format("number the classes from 0, or correct `classes`; if {} marks places to leave out, "
                                  "set 'ignore_index: {}'",
                                  number, number)
                    : "save a 1 where the label is right, and a 0 elsewhere");
  }
  return largest;
}

void MaskFiles::read_resized(const std::string& picture, const Resize& resize, MaskRoom& room,
                             std::span<std::byte> labels) const {
  const IndexImage& mask = read(picture, room);
  Resize nearest = resize;
  nearest.interpolation = Interpolation::nearest;
  // A number is two bytes, which are resized like two colours: no value is mixed with another.
  const ImageShape whole{sizeof(std::uint16_t), mask.height, mask.width};
  if (!room.resampler || room.made_for != whole) {
    room.resampler.emplace(nearest, whole);
    room.made_for = whole;
  }
  const ImageShape& made = room.resampler->shape();
  room.resized.resize(made.elements());
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(mask.numbers.data());
  room.resampler->apply_interleaved(std::span(bytes, whole.elements()), room.resized);
  const std::size_t places = std::size_t{made.height} * made.width;
  assert(labels.size() == layout(resize).bytes());
  if (masks_.form == LabelForm::classes)
    keep<std::int64_t>(room.resized, places, labels);
  else
    keep<float>(room.resized, places, labels);
}

TensorLayout MaskFiles::layout(const Resize& resize) const {
  const ImageShape shape = fixed_shape(resize);
  return {masks_.form == LabelForm::classes ? Dtype::int64 : Dtype::float32, {shape.height, shape.width}};
}

}  // namespace tutti::images
