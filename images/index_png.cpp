#include "images/index_png.hpp"

#include <fmt/format.h>

#include <bit>
#include <string_view>

#include "images/formats.hpp"
#include "images/png_reading.hpp"

namespace tutti::images {
namespace {

std::string_view colours_of(int type) {
  if (type == PNG_COLOR_TYPE_RGB) return "RGB";
  if (type == PNG_COLOR_TYPE_RGB_ALPHA) return "RGB with alpha";
  return "grey with alpha";
}

/// One byte for each number, or two, in the order of this machine.
void keep_numbers(png_structp png, png_infop info) {
  png_set_packing(png);
  if (png_get_bit_depth(png, info) == 16 && std::endian::native == std::endian::little) png_set_swap(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
}

void read_rows(PngReading& reading, std::vector<png_bytep>& rows) {
  reading.call([&] {
    png_read_image(reading.png(), rows.data());
    png_read_end(reading.png(), nullptr);
  });
}

/// Makes two bytes of each, in place, from the end.
void widen(std::uint16_t* row, std::size_t width) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(row);
  for (std::size_t x = width; x-- > 0;) row[x] = bytes[x];
}

}  // namespace

void decode_index(std::span<const std::byte> file, IndexImage& into) {
  if (file.empty()) refuse_image("it is empty");
  if (format_of(file) != Format::png) refuse_image("it is not a PNG");
  PngReading reading(file);
  reading.read_header();
  const int type = png_get_color_type(reading.png(), reading.info());
  if (type != PNG_COLOR_TYPE_GRAY && type != PNG_COLOR_TYPE_PALETTE)
    refuse_image(fmt::format("it is {}, and the colours of a pixel do not tell its class", colours_of(type)));
  const bool wide = png_get_bit_depth(reading.png(), reading.info()) == 16;
  reading.call([&] { keep_numbers(reading.png(), reading.info()); });
  into.height = reading.height();
  into.width = reading.width();
  if (png_get_rowbytes(reading.png(), reading.info()) != std::size_t{wide ? 2U : 1U} * into.width)
    refuse_image("its numbers cannot be read");
  into.numbers.resize(std::size_t{into.height} * into.width);
  std::vector<png_bytep> rows(into.height);
  for (std::size_t y = 0; y < into.height; ++y)
    rows[y] = reinterpret_cast<png_bytep>(into.numbers.data() + y * into.width);
  read_rows(reading, rows);
  if (wide) return;
  for (std::size_t y = 0; y < into.height; ++y) widen(into.numbers.data() + y * into.width, into.width);
}

}  // namespace tutti::images
