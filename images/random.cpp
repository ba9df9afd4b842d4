// Random images from a counter-based generator: nothing is kept between calls, so any order of reading gives the same.
#include <cassert>
#include <utility>

#include "common/random.hpp"
#include "common/tensor_values.hpp"
#include "images/bytes_to_floats.hpp"
#include "images/sources.hpp"

namespace tutti::images {
namespace {

/// Of the sample that `key` belongs to.
std::int64_t random_label(std::uint64_t key, std::uint32_t classes) {
  return static_cast<std::int64_t>((random_at(~key, 0) >> 32) * classes >> 32);
}

class Random final : public Source {
 public:
  Random(std::uint64_t count, ImageShape shape, std::uint32_t classes, std::uint64_t seed, bool bytes)
      : count_(count), shape_(shape), classes_(classes), seed_(seed), bytes_(bytes) {
    if (shape.elements() == 0)
      throw Error(ErrorKind::usage, "random images need a shape without zeros", "the shape is " + shape.text(),
                  "write it as channels, height and width, for example [3, 32, 32]");
  }

  std::string name() const override { return "random"; }
  ImageShape shape() const override { return shape_; }
  std::uint64_t count() const override { return count_; }
  std::uint32_t classes() const override { return classes_; }
  bool labelled() const override { return classes_ > 0; }

  bool has_bytes() const override { return bytes_; }

  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    read_as(indices, pixels, labels,
            [this](std::uint64_t drawn) { return bytes_ ? kUnitFloats[byte_of(drawn)] : unit_float(drawn); });
  }
  void read_bytes(std::span<const std::uint64_t> indices, std::span<std::uint8_t> pixels,
                  std::span<std::int64_t> labels) override {
    read_as(indices, pixels, labels, byte_of);
  }

 private:
  static std::uint8_t byte_of(std::uint64_t drawn) { return static_cast<std::uint8_t>(drawn >> 56); }

  template <class Value, class ValueOf>
  void read_as(std::span<const std::uint64_t> indices, std::span<Value> pixels, std::span<std::int64_t> labels,
               const ValueOf& value_of) const {
    const std::size_t elements = shape_.elements();
    assert(pixels.size() == indices.size() * elements);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      assert(indices[i] < count_);
      const std::uint64_t key = random_at(seed_, indices[i]);
      for (std::size_t place = 0; place < elements; ++place)
        pixels[i * elements + place] = value_of(random_at(key, place));
      if (!labels.empty()) labels[i] = random_label(key, classes_);
    }
  }

  std::uint64_t count_;
  ImageShape shape_;
  std::uint32_t classes_;
  std::uint64_t seed_;
  bool bytes_;
};

class RandomTensors final : public TensorSource {
 public:
  RandomTensors(std::uint64_t count, std::vector<NamedLayout> tensors, std::uint32_t classes, std::uint64_t seed)
      : count_(count), tensors_(std::move(tensors)), classes_(classes), seed_(seed) {}

  std::string name() const override { return "random"; }
  std::uint64_t count() const override { return count_; }
  std::uint32_t classes() const override { return classes_; }
  bool labelled() const override { return classes_ > 0; }
  std::vector<NamedLayout> tensors() const override { return tensors_; }

  void read_tensors(std::span<const std::uint64_t> indices, std::span<const std::span<std::byte>> tensors,
                    std::span<std::int64_t> labels) override {
    assert(tensors.size() == tensors_.size());
    for (std::size_t i = 0; i < indices.size(); ++i) {
      assert(indices[i] < count_);
      const std::uint64_t key = random_at(seed_, indices[i]);
      for (std::size_t t = 0; t < tensors_.size(); ++t) {
        const TensorLayout& layout = tensors_[t].layout;
        const std::span sample = tensors[t].subspan(i * layout.bytes(), layout.bytes());
        for (std::size_t place = 0; place < layout.elements(); ++place)
          write_value(&sample[place * size_of(layout.dtype)], layout.dtype,
                      made_up_value(layout.dtype, random_at(key, t), place));
      }
      if (!labels.empty()) labels[i] = random_label(key, classes_);
    }
  }

 private:
  std::uint64_t count_;
  std::vector<NamedLayout> tensors_;
  std::uint32_t classes_;
  std::uint64_t seed_;
};

}  // namespace

std::unique_ptr<Source> make_random(std::uint64_t count, std::vector<NamedLayout> tensors, std::uint32_t classes,
                                    std::uint64_t seed) {
  return std::make_unique<RandomTensors>(count, std::move(tensors), classes, seed);
}

std::unique_ptr<Source> make_random(std::uint64_t count, ImageShape shape, std::uint32_t classes, std::uint64_t seed) {
  return std::make_unique<Random>(count, shape, classes, seed, /*bytes=*/false);
}

std::unique_ptr<Source> make_random_bytes(std::uint64_t count, ImageShape shape, std::uint64_t seed) {
  return std::make_unique<Random>(count, shape, 0, seed, /*bytes=*/true);
}

}  // namespace tutti::images
