// Encodes with libpng, row by row.
#include "images/png_writer.hpp"

#include <png.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdio>
#include <new>
#include <vector>

#include "common/atomic_file.hpp"
#include "images/jumps.hpp"

namespace tutti::images {
namespace {

[[noreturn]] void leave_png_writer(png_structp png, png_const_charp text) {
  auto* const way = static_cast<Way*>(png_get_error_ptr(png));
  std::snprintf(way->text.data(), way->text.size(), "%s", text);
  std::longjmp(way->back, 1);
}

void ignore_png_writer(png_structp, png_const_charp) {}

void keep_png(png_structp png, png_bytep bytes, std::size_t count) {
  auto* const out = static_cast<std::vector<std::byte>*>(png_get_io_ptr(png));
  const auto* const begin = reinterpret_cast<const std::byte*>(bytes);
  out->insert(out->end(), begin, begin + count);
}

void flush_nothing(png_structp) {}

/// Three bits of each number, the lowest first, become the highest bits of red, green and blue, and so on.
std::array<png_color, kPaletteColours> palette() {
  std::array<png_color, kPaletteColours> colours{};
  for (unsigned number = 0; number < colours.size(); ++number)
    for (unsigned bit = 0; bit < 8; ++bit) {
      const unsigned three = bit < 3 ? number >> (3 * bit) : 0;
      const auto place = [&](unsigned of) { return static_cast<png_byte>((three >> of & 1U) << (7 - bit)); };
      colours[number].red = static_cast<png_byte>(colours[number].red | place(0));
      colours[number].green = static_cast<png_byte>(colours[number].green | place(1));
      colours[number].blue = static_cast<png_byte>(colours[number].blue | place(2));
    }
  return colours;
}

}  // namespace

class PalettePng::Encoder {
 public:
  Encoder(const std::filesystem::path& path, std::uint32_t height, std::uint32_t width)
      : file_(path), width_(width), rows_left_(height) {
    row_.reserve(width);
    png_set_write_fn(writing_.png, &out_, keep_png, flush_nothing);
    begin(height);
  }

  void write(std::span<const std::uint8_t> pixels) {
    while (!pixels.empty()) {
      assert(rows_left_ > 0);
      const std::size_t some = std::min(pixels.size(), width_ - row_.size());
      row_.insert(row_.end(), pixels.begin(), pixels.begin() + static_cast<std::ptrdiff_t>(some));
      pixels = pixels.subspan(some);
      if (row_.size() < width_) return;
      guarded(writing_.way, [&] { png_write_row(writing_.png, row_.data()); });
      pass_on();
      row_.clear();
      --rows_left_;
    }
  }

  void finish() {
    assert(rows_left_ == 0);
    guarded(writing_.way, [&] { png_write_end(writing_.png, nullptr); });
    pass_on();
    file_.commit(Sync::later);
  }

 private:
  /// libpng's objects, so that they are released however the encoder ends, even if its constructor throws.
  struct Writing {
    Writing() {
      png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &way, leave_png_writer, ignore_png_writer);
      if (png != nullptr) info = png_create_info_struct(png);
      if (info != nullptr) return;
      png_destroy_write_struct(&png, nullptr);
      throw std::bad_alloc();
    }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    ~Writing() { png_destroy_write_struct(&png, &info); }

    Way way{};
    png_structp png = nullptr;
    png_infop info = nullptr;
  };

  void begin(std::uint32_t height) {
    const auto colours = palette();
    const auto width = static_cast<png_uint_32>(width_);
    guarded(writing_.way, [&] {
      png_set_user_limits(writing_.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
      png_set_IHDR(writing_.png, writing_.info, width, height, 8, PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE,
                   PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
      png_set_PLTE(writing_.png, writing_.info, colours.data(), static_cast<int>(colours.size()));
      png_write_info(writing_.png, writing_.info);
    });
    pass_on();
  }

  void pass_on() {
    file_.write(out_);
    out_.clear();
  }

  AtomicFile file_;
  Writing writing_;
  std::vector<std::byte> out_;  ///< what libpng has encoded
  std::vector<std::uint8_t> row_;
  std::size_t width_;
  std::uint64_t rows_left_;
};

PalettePng::PalettePng(const std::filesystem::path& path, std::uint32_t height, std::uint32_t width)
    : encoder_(std::make_unique<Encoder>(path, height, width)) {}
PalettePng::PalettePng(PalettePng&&) noexcept = default;
PalettePng& PalettePng::operator=(PalettePng&&) noexcept = default;
PalettePng::~PalettePng() = default;

void PalettePng::write(std::span<const std::uint8_t> pixels) { encoder_->write(pixels); }
void PalettePng::finish() { encoder_->finish(); }

}  // namespace tutti::images
