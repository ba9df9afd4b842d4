// Files that call themselves images: rejected with a message, or decoded within their bounds, in full, for a resize, or
// as the numbers of a mask.
#include "images/codecs.hpp"
#include "images/index_png.hpp"
#include "images/orientation.hpp"

#include "tests/fuzz/fuzz.hpp"

using namespace tutti;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  images::DecodedImage image;
  bool refused = false;
  const Resize small{ResizeRule::exact, 2, 3, 0, 0, Interpolation::bicubic};
  for (const std::span<const Resize> resizes : {std::span<const Resize>{}, std::span(&small, 1)}) {
    try {
      images::decode(file, resizes, image);
      fuzz::must(image.shape.channels == 3 && image.shape.elements() > 0, "an image is RGB and has pixels");
      fuzz::must(image.bytes.size() >= image.shape.elements(), "an image has room for its pixels");
      fuzz::must(!refused, "an image that can be decoded for a resize can be decoded in full");
    } catch (const Error& error) {
      fuzz::must(error.kind() == ErrorKind::usage && !error.message().empty(), "an error gives the reason");
      refused = true;
    }
  }
  const std::uint8_t orientation = images::orientation_of(file);
  fuzz::must(orientation >= 1 && orientation <= 8, "an orientation is one of eight");
  try {
    images::check(file, image);
  } catch (const Error&) {
    fuzz::must(refused, "an image reported as broken cannot be decoded");
  }
  images::IndexImage mask;
  try {
    images::decode_index(file, mask);
    fuzz::must(!refused, "a mask that can be decoded can be decoded as an image");
    fuzz::must(!mask.numbers.empty() && mask.numbers.size() == std::size_t{mask.height} * mask.width,
               "a mask has a number for each pixel");
  } catch (const Error& error) {
    fuzz::must(error.kind() == ErrorKind::usage && !error.message().empty(), "an error gives the reason");
  }
  return 0;
}
