// A PNG in memory that libpng reads: what its readers share. Only they include it.
#pragma once

// It needs these declarations first.
#include <cstdio>

#include <png.h>

#include <cstdint>
#include <cstring>
#include <new>
#include <span>

#include "images/decoding.hpp"
#include "images/jumps.hpp"

namespace tutti::images {

[[noreturn]] inline void leave_png(png_structp png, png_const_charp text) {
  auto* const way = static_cast<Way*>(png_get_error_ptr(png));
  std::snprintf(way->text.data(), way->text.size(), "%s", text);
  std::longjmp(way->back, 1);
}

inline void ignore_png(png_structp /*png*/, png_const_charp /*text*/) {}

/// libpng's errors become Error(usage) without a name of the file, as those of codecs.hpp.
class PngReading {
 public:
  explicit PngReading(std::span<const std::byte> file) : rest_(file) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &way_, leave_png, ignore_png);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
    png_set_read_fn(png_, &rest_, take);
    // Texts and colour profiles are not used, and in a small file they may unpack to gigabytes.
    static constexpr png_byte kIgnored[] = "tEXt\0zTXt\0iTXt\0iCCP\0sPLT";
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, kIgnored, 5);
  }
  PngReading(const PngReading&) = delete;
  PngReading& operator=(const PngReading&) = delete;
  ~PngReading() { png_destroy_read_struct(&png_, &info_, nullptr); }

  png_structp png() const noexcept { return png_; }
  png_infop info() const noexcept { return info_; }
  std::uint32_t height() const { return png_get_image_height(png_, info_); }
  std::uint32_t width() const { return png_get_image_width(png_, info_); }

  /// Makes calls of libpng, which may jump.
  template <class Calls>
  void call(const Calls& calls) {
    guarded(way_, calls);
  }

  void read_header() {
    call([&] { png_read_info(png_, info_); });
    check_size(height(), width());
  }

 private:
  static void take(png_structp png, png_bytep to, std::size_t count) {
    auto* const rest = static_cast<std::span<const std::byte>*>(png_get_io_ptr(png));
    if (count > rest->size()) png_error(png, "the file ends before the image does");
    std::memcpy(to, rest->data(), count);
    *rest = rest->subspan(count);
  }

  Way way_{};
  std::span<const std::byte> rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace tutti::images
