// The owner of libtiff, which reads from memory here and reports errors through its return values and a callback.
// Without it, TIFF files are rejected by name.
#ifdef TUTTI_HAS_TIFF
#include <tiffio.h>
#endif

#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "images/decoding.hpp"
#include "images/formats.hpp"

namespace tutti::images {

#ifdef TUTTI_HAS_TIFF

namespace {

/// The file as libtiff reads it, and the first error that it reports.
struct TiffFile {
  std::span<const std::byte> bytes;
  std::uint64_t at = 0;
  std::array<char, 256> error{};
};

tmsize_t read_tiff(thandle_t handle, void* to, tmsize_t count) {
  auto& file = *static_cast<TiffFile*>(handle);
  const std::uint64_t left = file.at < file.bytes.size() ? file.bytes.size() - file.at : 0;
  const std::uint64_t some = std::min<std::uint64_t>(left, static_cast<std::uint64_t>(count));
  if (some > 0) std::memcpy(to, file.bytes.data() + file.at, some);
  file.at += some;
  return static_cast<tmsize_t>(some);
}

tmsize_t write_tiff(thandle_t, void*, tmsize_t) { return 0; }

toff_t seek_tiff(thandle_t handle, toff_t offset, int whence) {
  auto& file = *static_cast<TiffFile*>(handle);
  file.at = offset + (whence == SEEK_CUR ? file.at : whence == SEEK_END ? file.bytes.size() : 0);
  return file.at;
}

int close_tiff(thandle_t) { return 0; }

toff_t size_tiff(thandle_t handle) { return static_cast<TiffFile*>(handle)->bytes.size(); }

int hear_tiff(TIFF*, void* user, const char*, const char* format, std::va_list values) {
  auto& file = *static_cast<TiffFile*>(user);
  if (file.error[0] == '\0') std::vsnprintf(file.error.data(), file.error.size(), format, values);
  return 1;
}

/// Warnings concern tags and bytes around the image.
int ignore_tiff(TIFF*, void*, const char*, const char*, std::va_list) { return 1; }

struct CloseTiff {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};
using OpenTiff = std::unique_ptr<TIFF, CloseTiff>;

OpenTiff open_tiff(TiffFile& file) {
  const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(),
                                                                                 TIFFOpenOptionsFree);
  if (!options) throw std::bad_alloc();
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), tmsize_t{1} << 30);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), hear_tiff, &file);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), ignore_tiff, nullptr);
  // "m": libtiff calls read_tiff() and maps nothing.
  return OpenTiff(TIFFClientOpenExt("image", "rm", &file, read_tiff, write_tiff, seek_tiff, close_tiff, size_tiff,
                                    nullptr, nullptr, options.get()));
}

/// Makes libtiff leave the colours behind transparent pixels as they are: it multiplies them by an alpha that is said
/// not to be multiplied in yet.
void keep_colours(TIFF* tiff) {
  std::uint16_t count = 0;
  std::uint16_t* kinds = nullptr;
  if (TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &count, &kinds) == 0 || count == 0) return;
  std::vector<std::uint16_t> changed(kinds, kinds + count);
  if (changed.front() == EXTRASAMPLE_UNASSALPHA) changed.front() = EXTRASAMPLE_ASSOCALPHA;
  TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, static_cast<int>(count), changed.data());
}

/// One image of the file on its way to pixels.
class TiffPixels {
 public:
  explicit TiffPixels(TIFF* tiff) {
    if (TIFFRGBAImageOK(tiff, why_.data()) == 0 || TIFFRGBAImageBegin(&image_, tiff, 1, why_.data()) == 0)
      refuse_image(why_.data());
    // As it is stored; the tag of the orientation is not applied.
    image_.orientation = image_.req_orientation = ORIENTATION_TOPLEFT;
  }
  TiffPixels(const TiffPixels&) = delete;
  TiffPixels& operator=(const TiffPixels&) = delete;
  ~TiffPixels() { TIFFRGBAImageEnd(&image_); }

  std::uint32_t height() const { return image_.height; }
  std::uint32_t width() const { return image_.width; }
  bool read(std::vector<std::uint32_t>& pixels) {
    return TIFFRGBAImageGet(&image_, pixels.data(), image_.width, image_.height) != 0;
  }

 private:
  TIFFRGBAImage image_{};
  std::array<char, 1024> why_{};  // as long as libtiff asks for
};

[[noreturn]] void refuse_tiff(const TiffFile& file) {
  refuse_image(file.error[0] != '\0' ? file.error.data() : "it is a damaged TIFF");
}

ImageShape size_in(TIFF* tiff) {
  ImageShape size{3, 0, 0};
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &size.height);
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &size.width);
  check_size(size.height, size.width);
  return size;
}

}  // namespace

ImageShape size_of_tiff(std::span<const std::byte> bytes) {
  TiffFile file{bytes, 0, {}};
  const OpenTiff tiff = open_tiff(file);
  if (!tiff) refuse_tiff(file);
  return size_in(tiff.get());
}

void decode_tiff(std::span<const std::byte> bytes, DecodedImage& into) {
  TiffFile file{bytes, 0, {}};
  const OpenTiff tiff = open_tiff(file);
  if (!tiff) refuse_tiff(file);
  const auto [channels, height, width] = size_in(tiff.get());
  keep_colours(tiff.get());
  TiffPixels image(tiff.get());
  std::vector<std::uint32_t> pixels(std::size_t{height} * width);
  if (!image.read(pixels) || file.error[0] != '\0') refuse_tiff(file);
  make_room(into, height, width);
  std::uint8_t* to = into.bytes.data();
  for (const std::uint32_t pixel : pixels) {
    *to++ = static_cast<std::uint8_t>(TIFFGetR(pixel));
    *to++ = static_cast<std::uint8_t>(TIFFGetG(pixel));
    *to++ = static_cast<std::uint8_t>(TIFFGetB(pixel));
  }
}

#else

ImageShape size_of_tiff(std::span<const std::byte>) { refuse_image(not_built_in(Format::tiff)); }
void decode_tiff(std::span<const std::byte>, DecodedImage&) { refuse_image(not_built_in(Format::tiff)); }

#endif

}  // namespace tutti::images
