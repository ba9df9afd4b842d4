// Random images from a counter-based generator: nothing is kept between calls, so any order of reading gives the same.
#include <cassert>

#include "images/sources.hpp"

namespace tutti::images {
namespace {

constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;

// The output function of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// The `place`-th number of SplitMix64 started with `key`.
constexpr std::uint64_t number(std::uint64_t key, std::uint64_t place) { return mix(key + kGolden * (place + 1)); }

class Random final : public Source {
 public:
  Random(std::uint64_t count, ImageShape shape, std::uint32_t classes, std::uint64_t seed)
      : count_(count), shape_(shape), classes_(classes), seed_(seed) {
    if (shape.elements() == 0)
      throw Error(ErrorKind::usage, "random images need a shape without zeros", "the shape is " + shape.text(),
                  "write it as channels, height and width, for example [3, 32, 32]");
  }

  std::string name() const override { return "random"; }
  ImageShape shape() const override { return shape_; }
  std::uint64_t count() const override { return count_; }
  std::uint32_t classes() const override { return classes_; }
  bool labelled() const override { return classes_ > 0; }

  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    const std::size_t elements = shape_.elements();
    assert(pixels.size() == indices.size() * elements);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      assert(indices[i] < count_);
      const std::uint64_t key = number(mix(seed_), indices[i]);
      // 24 bits are what a float32 holds exactly.
      for (std::size_t place = 0; place < elements; ++place)
        pixels[i * elements + place] = static_cast<float>(number(key, place) >> 40) * 0x1p-24F;
      if (!labels.empty()) labels[i] = static_cast<std::int64_t>((number(~key, 0) >> 32) * classes_ >> 32);
    }
  }

 private:
  std::uint64_t count_;
  ImageShape shape_;
  std::uint32_t classes_;
  std::uint64_t seed_;
};

}  // namespace

std::unique_ptr<Source> make_random(std::uint64_t count, ImageShape shape, std::uint32_t classes, std::uint64_t seed) {
  return std::make_unique<Random>(count, shape, classes, seed);
}

}  // namespace tutti::images
