// The owner of libjpeg-turbo and libpng. Both report errors by longjmp(), which must not skip a destructor: guarded()
// makes every call into them, and its callables hold only references and numbers.
#include "images/codecs.hpp"

#include <fmt/format.h>
// Their headers need these declarations first.
#include <cstdio>
#include <cstdlib>

#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <array>
#include <optional>

#include <tutti/error.hpp>

#include "common/resample.hpp"
#include "images/decoding.hpp"
#include "images/formats.hpp"
#include "images/jumps.hpp"
#include "images/png_reading.hpp"

namespace tutti::images {
namespace {

// ---- JPEG ----------------------------------------------------------------------------------------------------------

/// a * b / 255, rounded as Pillow does it.
std::uint8_t product(unsigned a, unsigned b) {
  const unsigned sum = a * b + 128;
  return static_cast<std::uint8_t>(((sum >> 8) + sum) >> 8);
}

/// Converts a row of CMYK, which Adobe stores inverted, to RGB.
void multiply_out(const std::uint8_t* row, std::size_t width, std::uint8_t* to) {
  for (std::size_t x = 0; x < width; ++x, row += 4, to += 3) {
    const unsigned light = row[3];
    for (std::size_t colour = 0; colour < 3; ++colour)
      to[colour] = static_cast<std::uint8_t>(light - product(255U - row[colour], light));
  }
}

struct JpegErrors {
  jpeg_error_mgr table;  // must be first: the library only knows this part
  Way way;
};

[[noreturn]] void leave_jpeg(j_common_ptr info) {
  auto* const errors = reinterpret_cast<JpegErrors*>(info->err);
  std::array<char, JMSG_LENGTH_MAX> text;
  info->err->format_message(info, text.data());
  std::snprintf(errors->way.text.data(), errors->way.text.size(), "%s", text.data());
  std::longjmp(errors->way.back, 1);
}

/// Warnings mean that the library made values up, except for these, which concern bytes around the image.
bool is_harmless(int code) {
  return code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM ||
         code == JWRN_TOO_MUCH_DATA;
}

void hear_jpeg(j_common_ptr info, int level) {
  if (level < 0 && !is_harmless(info->err->msg_code)) leave_jpeg(info);
}

/// A progressive image has about ten scans. Thousands of empty ones would keep the decoder busy for minutes.
constexpr int kMostScans = 500;

void count_scans(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans) return;
  auto* const errors = reinterpret_cast<JpegErrors*>(info->err);
  std::snprintf(errors->way.text.data(), errors->way.text.size(), "it has more than %d scans", kMostScans);
  std::longjmp(errors->way.back, 1);
}

class Jpeg {
 public:
  explicit Jpeg(std::span<const std::byte> file) {
    info_.err = jpeg_std_error(&errors_.table);
    errors_.table.error_exit = leave_jpeg;
    errors_.table.emit_message = hear_jpeg;
    guarded(errors_.way, [&] {
      jpeg_create_decompress(&info_);
      info_.progress = &progress_;
      jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(file.data()),
                   static_cast<unsigned long>(file.size()));
    });
  }
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;
  ~Jpeg() { jpeg_destroy_decompress(&info_); }

  void read_header() {
    guarded(errors_.way, [&] { jpeg_read_header(&info_, TRUE); });
    check_size(info_.image_height, info_.image_width);
  }
  std::uint32_t height() const { return info_.image_height; }
  std::uint32_t width() const { return info_.image_width; }

  void decode(std::uint32_t scale, DecodedImage& into) {
    choose_colours();
    info_.scale_num = 1;
    info_.scale_denom = scale;
    guarded(errors_.way, [&] { jpeg_start_decompress(&info_); });
    make_room(into, info_.output_height, info_.output_width);
    into.full = {3, info_.image_height, info_.image_width};
    const bool inks = info_.out_color_space == JCS_CMYK;
    if (inks) row_.resize(std::size_t{4} * info_.output_width);
    while (info_.output_scanline < info_.output_height) {
      std::uint8_t* const row = into.bytes.data() + std::size_t{3} * info_.output_scanline * info_.output_width;
      if (inks)
        read_rows(row_.data(), 0, 1);
      else
        read_rows(row, std::size_t{3} * info_.output_width, info_.output_height - info_.output_scanline);
      if (inks) multiply_out(row_.data(), info_.output_width, row);
    }
  }

 private:
  static constexpr std::uint32_t kRows = 16;

  void choose_colours() {
    switch (info_.jpeg_color_space) {
      case JCS_CMYK:
      case JCS_YCCK:
        info_.out_color_space = JCS_CMYK;
        return;
      case JCS_GRAYSCALE:
      case JCS_RGB:
      case JCS_YCbCr:
        info_.out_color_space = JCS_RGB;
        return;
      default:
        refuse_image(fmt::format("it is a JPEG of {} unknown colours", info_.num_components));
    }
  }

  /// Reads some of the next rows, at most `count`: the first to `to`, each `pitch` after the one before.
  void read_rows(std::uint8_t* to, std::size_t pitch, std::uint32_t count) {
    count = std::min(count, kRows);
    std::array<JSAMPROW, kRows> rows;
    for (std::size_t i = 0; i < count; ++i) rows[i] = to + i * pitch;
    guarded(errors_.way, [&] {
      // The library hands out a row or two at a time.
      for (JDIMENSION read = 0; read < count;) read += jpeg_read_scanlines(&info_, rows.data() + read, count - read);
    });
  }

  jpeg_progress_mgr progress_{count_scans, 0, 0, 0, 0};
  JpegErrors errors_{};
  jpeg_decompress_struct info_{};
  std::vector<std::uint8_t> row_;  ///< a row of CMYK
};

// ---- PNG -----------------------------------------------------------------------------------------------------------

class Png {
 public:
  explicit Png(std::span<const std::byte> file) : reading_(file) {}

  ImageShape read_header() {
    reading_.read_header();
    return {3, reading_.height(), reading_.width()};
  }

  void decode(DecodedImage& into) {
    const auto [channels, height, width] = read_header();
    reading_.call([&] { choose_colours(reading_.png(), reading_.info()); });
    if (png_get_rowbytes(reading_.png(), reading_.info()) != std::size_t{deep_grey_ ? 2U : 3U} * width)
      refuse_image("its colours cannot be converted to RGB");
    make_room(into, height, width);
    rows_.resize(height);
    for (std::size_t y = 0; y < height; ++y) rows_[y] = into.bytes.data() + y * 3 * width;
    reading_.call([&] {
      png_read_image(reading_.png(), rows_.data());
      png_read_end(reading_.png(), nullptr);
    });
    if (deep_grey_)
      for (png_bytep const row : rows_) cut_off(row, width);
  }

 private:
  void choose_colours(png_structp png, png_infop info) {
    const int colour = png_get_color_type(png, info);
    if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (colour == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) < 8) png_set_expand_gray_1_2_4_to_8(png);
    deep_grey_ = colour == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) == 16;
    if (deep_grey_) return prepare_rows(png, info);
    if (png_get_bit_depth(png, info) == 16) png_set_strip_16(png);
    if (colour == PNG_COLOR_TYPE_GRAY || colour == PNG_COLOR_TYPE_GRAY_ALPHA) png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    prepare_rows(png, info);
  }

  static void prepare_rows(png_structp png, png_infop info) {
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
  }

  /// Pillow keeps such values whole until convert(), which makes all above 255 white. In place, from the end.
  static void cut_off(png_bytep row, std::size_t width) {
    for (std::size_t x = width; x-- > 0;) {
      const png_byte value = row[2 * x] == 0 ? row[2 * x + 1] : png_byte{255};
      std::fill_n(row + 3 * x, 3, value);
    }
  }

  PngReading reading_;
  std::vector<png_bytep> rows_;
  bool deep_grey_ = false;  ///< grey of 16 bits, the high byte first
};

}  // namespace

std::uint32_t jpeg_scale(const Resize& resize, std::uint32_t height, std::uint32_t width) {
  if (resize.rule == ResizeRule::none || resize.interpolation == Interpolation::nearest) return 1;
  const ImageShape wanted = scaled_shape(resize, {3, height, width});
  for (const std::uint32_t scale : {8U, 4U, 2U})
    if ((height + scale - 1) / scale >= 2 * wanted.height && (width + scale - 1) / scale >= 2 * wanted.width)
      return scale;
  return 1;
}

Resize resize_from_decoded(const Resize& resize, const DecodedImage& image) {
  if (image.shape == image.full) return resize;
  const ImageShape whole = scaled_shape(resize, image.full);
  return {ResizeRule::exact, whole.height,         whole.width,         resize.crop_height,
          resize.crop_width, resize.interpolation, resize.crop_rounding};
}

namespace {

Format known_format(std::span<const std::byte> file) {
  const std::optional<Format> format = format_of(file);
  if (!format) refuse_image(file.empty() ? "it is empty" : "it is not a JPEG, PNG, WebP, TIFF or BMP");
  return *format;
}

/// `scale_of` gives the fraction of its size at which a JPEG is decoded.
template <class ScaleOf>
void decode_any(std::span<const std::byte> file, DecodedImage& into, const ScaleOf& scale_of) {
  switch (known_format(file)) {
    case Format::jpeg: {
      Jpeg jpeg(file);
      jpeg.read_header();
      return jpeg.decode(scale_of(jpeg.height(), jpeg.width()), into);
    }
    case Format::png:
      return Png(file).decode(into);
    case Format::webp:
      return decode_webp(file, into);
    case Format::tiff:
      return decode_tiff(file, into);
    case Format::bmp:
      return decode_bmp(file, into);
  }
}

}  // namespace

void decode(std::span<const std::byte> file, std::span<const Resize> resizes, DecodedImage& into) {
  decode_any(file, into, [&](std::uint32_t height, std::uint32_t width) {
    std::uint32_t scale = resizes.empty() ? 1 : 8;
    for (const Resize& resize : resizes) scale = std::min(scale, jpeg_scale(resize, height, width));
    return scale;
  });
}

ImageShape stored_size(std::span<const std::byte> file) {
  switch (known_format(file)) {
    case Format::jpeg: {
      Jpeg jpeg(file);
      jpeg.read_header();
      return {3, jpeg.height(), jpeg.width()};
    }
    case Format::png:
      return Png(file).read_header();
    case Format::webp:
      return size_of_webp(file);
    case Format::tiff:
      return size_of_tiff(file);
    case Format::bmp:
      return size_of_bmp(file);
  }
  refuse_image("it is of an unknown format");
}

void check(std::span<const std::byte> file, DecodedImage& room) {
  decode_any(file, room, [](std::uint32_t, std::uint32_t) { return 8U; });
}

}  // namespace tutti::images
