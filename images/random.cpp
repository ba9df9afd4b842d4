// Random images from a counter-based generator: nothing is kept between calls, so any order of reading gives the same.
#include <cassert>

#include "common/random.hpp"
#include "images/sources.hpp"

namespace tutti::images {
namespace {

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
      const std::uint64_t key = random_at(seed_, indices[i]);
      for (std::size_t place = 0; place < elements; ++place)
        pixels[i * elements + place] = unit_float(random_at(key, place));
      if (!labels.empty()) labels[i] = static_cast<std::int64_t>((random_at(~key, 0) >> 32) * classes_ >> 32);
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
