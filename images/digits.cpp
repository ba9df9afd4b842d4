// The digits as a source: 8x8 values from the library's own bytes, drawn as 3x32x32.
#include <algorithm>
#include <cassert>

#include "images/digits_bytes.hpp"
#include "images/sources.hpp"

namespace tutti::images {
namespace {

constexpr std::size_t kHeaderBytes = 12;  // magic and count
constexpr std::size_t kSide = 8;
constexpr std::size_t kDigitBytes = kSide * kSide + 1;
constexpr std::uint64_t kTrainImages = 1437;
constexpr std::uint64_t kTestImages = 360;
constexpr std::size_t kScale = 4;  // each value counted the ink of a 4x4 block
constexpr ImageShape kDigitShape{3, kSide* kScale, kSide* kScale};
constexpr float kInk = 16.0F;  // the most ink that a block can have

void draw(std::span<const std::uint8_t> values, std::span<float> image) {
  const std::size_t plane = image.size() / kDigitShape.channels;
  for (std::size_t y = 0; y < kDigitShape.height; ++y)
    for (std::size_t x = 0; x < kDigitShape.width; ++x)
      image[y * kDigitShape.width + x] = static_cast<float>(values[y / kScale * kSide + x / kScale]) / kInk;
  for (std::size_t channel = 1; channel < kDigitShape.channels; ++channel)
    std::ranges::copy(image.first(plane), image.begin() + static_cast<std::ptrdiff_t>(channel * plane));
}

class Digits final : public Source {
 public:
  explicit Digits(Split split) : split_(split) {
    assert(kDigitsBytes.size() == kHeaderBytes + (kTrainImages + kTestImages) * kDigitBytes);
  }

  std::string name() const override { return split_ == Split::train ? "digits (train)" : "digits (test)"; }
  ImageShape shape() const override { return kDigitShape; }
  std::uint64_t count() const override { return split_ == Split::train ? kTrainImages : kTestImages; }
  std::uint32_t classes() const override { return 10; }
  bool labelled() const override { return true; }

  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    const std::uint64_t first = split_ == Split::train ? 0 : kTrainImages;
    const std::size_t elements = kDigitShape.elements();
    assert(pixels.size() == indices.size() * elements);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      assert(indices[i] < count());
      const auto record = kDigitsBytes.subspan(kHeaderBytes + (first + indices[i]) * kDigitBytes, kDigitBytes);
      draw(record.first(kSide * kSide), pixels.subspan(i * elements, elements));
      if (!labels.empty()) labels[i] = record.back();
    }
  }

 private:
  Split split_;
};

}  // namespace

std::unique_ptr<Source> make_digits(Split split) { return std::make_unique<Digits>(split); }

}  // namespace tutti::images
