// Images and other samples that the caller already holds, as a source.
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

#include "common/counted.hpp"
#include "common/tensor_text.hpp"
#include "images/bytes_to_floats.hpp"
#include "images/sources.hpp"
#include "images/tiles.hpp"

namespace tutti::images {
namespace {

void check_whole_images(const Images& images) {
  if (images.values() > 0 && images.shape().elements() == 0)
    throw Error(ErrorKind::usage, "images in memory need a shape without zeros",
                fmt::format("{} of shape {} given", counted(images.values(), "value"), images.shape().text()));
  if (images.count() * images.shape().elements() != images.values())
    throw Error(ErrorKind::usage, "the images in memory are not whole",
                fmt::format("{} given, and an image of shape {} has {}", counted(images.values(), "value"),
                            images.shape().text(), images.shape().elements()));
}

/// The number of samples.
std::uint64_t check_whole_samples(const Samples& samples) {
  if (samples.tensors().empty()) throw Error(ErrorKind::usage, "samples in memory need a tensor");
  for (const TensorView& view : samples.tensors()) {
    const std::uint64_t bytes = view.tensor.layout.bytes();
    if (view.tensor.layout.dims.size() > kMaxRank || bytes == 0)
      throw Error(ErrorKind::usage, fmt::format("the tensor '{}' in memory has no usable shape", view.tensor.name),
                  layout_text(view.tensor.layout), fmt::format("give it 0 to {} sizes, all above 0", kMaxRank));
    if (view.bytes.size() % bytes != 0)
      throw Error(ErrorKind::usage, fmt::format("the samples of '{}' in memory are not whole", view.tensor.name),
                  fmt::format("{} given, and a sample ({}) has {}", counted(view.bytes.size(), "byte"),
                              layout_text(view.tensor.layout), bytes));
    if (view.bytes.size() / bytes != samples.count())
      throw Error(ErrorKind::usage, "the tensors in memory differ in their number of samples",
                  fmt::format("'{}' has {}, and '{}' has {}", samples.tensors().front().tensor.name, samples.count(),
                              view.tensor.name, view.bytes.size() / bytes));
  }
  return samples.count();
}

void check_labels(std::span<const std::int64_t> labels, std::size_t images) {
  if (!labels.empty() && labels.size() != images)
    throw Error(ErrorKind::usage, "images and labels in memory differ in number",
                fmt::format("{} with {}", counted(images, "image"), counted(labels.size(), "label")));
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] < 0 || labels[i] >= std::numeric_limits<std::int32_t>::max())
      throw Error(ErrorKind::usage, "a label in memory is not a class",
                  fmt::format("image {} has the label {}", i, labels[i]), "number the classes from 0");
}

class Memory final : public Source {
 public:
  Memory(Images images, std::span<const std::int64_t> labels) : images_(images), labels_(labels) {
    check_whole_images(images);
    check_labels(labels, images.count());
    if (!labels.empty()) classes_ = static_cast<std::uint32_t>(*std::ranges::max_element(labels) + 1);
  }

  std::string name() const override { return "memory"; }
  ImageShape shape() const override { return images_.shape(); }
  std::uint64_t count() const override { return images_.count(); }
  std::uint32_t classes() const override { return classes_; }
  bool labelled() const override { return !labels_.empty(); }

  bool has_bytes() const override { return std::holds_alternative<std::span<const std::uint8_t>>(images_.pixels()); }

  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    std::visit([&](auto from) { read_from(from, indices, pixels, labels); }, images_.pixels());
  }
  void read_bytes(std::span<const std::uint64_t> indices, std::span<std::uint8_t> pixels,
                  std::span<std::int64_t> labels) override {
    read_from(std::get<std::span<const std::uint8_t>>(images_.pixels()), indices, pixels, labels);
  }

 private:
  template <class From, class To>
  void read_from(std::span<const From> from, std::span<const std::uint64_t> indices, std::span<To> pixels,
                 std::span<std::int64_t> labels) const {
    const std::size_t elements = shape().elements();
    assert(pixels.size() == indices.size() * elements);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      assert(indices[i] < count());
      copy(from.subspan(indices[i] * elements, elements), pixels.subspan(i * elements, elements));
      if (!labels.empty()) labels[i] = labels_[indices[i]];
    }
  }
  static void copy(std::span<const std::uint8_t> from, std::span<std::uint8_t> to) {
    std::ranges::copy(from, to.begin());
  }
  static void copy(std::span<const float> from, std::span<float> to) { std::ranges::copy(from, to.begin()); }
  static void copy(std::span<const std::uint8_t> from, std::span<float> to) {
    std::ranges::transform(from, to.begin(), [](std::uint8_t value) { return kUnitFloats[value]; });
  }

  Images images_;
  std::span<const std::int64_t> labels_;
  std::uint32_t classes_ = 0;
};

class MemoryTensors final : public TensorSource {
 public:
  MemoryTensors(Samples samples, std::span<const std::int64_t> labels)
      : samples_(std::move(samples)), count_(check_whole_samples(samples_)), labels_(labels) {
    check_labels(labels, count_);
    if (!labels.empty()) classes_ = static_cast<std::uint32_t>(*std::ranges::max_element(labels) + 1);
  }

  std::string name() const override { return "memory"; }
  std::uint64_t count() const override { return count_; }
  std::uint32_t classes() const override { return classes_; }
  bool labelled() const override { return !labels_.empty(); }
  std::vector<NamedLayout> tensors() const override {
    std::vector<NamedLayout> all;
    for (const TensorView& view : samples_.tensors()) all.push_back(view.tensor);
    return all;
  }

  void read_tensors(std::span<const std::uint64_t> indices, std::span<const std::span<std::byte>> tensors,
                    std::span<std::int64_t> labels) override {
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      const TensorView& view = samples_.tensors()[t];
      const std::uint64_t bytes = view.tensor.layout.bytes();
      for (std::size_t i = 0; i < indices.size(); ++i)
        std::ranges::copy(view.bytes.subspan(indices[i] * bytes, bytes), tensors[t].subspan(i * bytes).begin());
    }
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = labels_[indices[i]];
  }

 private:
  Samples samples_;
  std::uint64_t count_;
  std::span<const std::int64_t> labels_;
  std::uint32_t classes_ = 0;
};

/// Of which only parts are read.
class LargeMemory final : public LargeInputs {
 public:
  /// Whole inputs of the layout in `bytes`.
  LargeMemory(NamedLayout input, std::span<const std::byte> bytes, bool images)
      : input_(std::move(input)),
        sizes_(input_.layout.dims.begin() + 1, input_.layout.dims.end()),
        images_(images),
        bytes_(bytes) {}

  std::string name() const override { return "memory"; }
  std::uint64_t count() const override { return bytes_.size() / input_.layout.bytes(); }
  bool are_images() const override { return images_; }
  std::string tensor_name() const override { return input_.name; }
  Dtype dtype() const override { return input_.layout.dtype; }
  std::uint32_t channels() const override { return input_.layout.dims.front(); }
  std::size_t axes() const override { return sizes_.size(); }
  bool of_one_size() const override { return true; }
  Dims sizes_of(std::uint64_t /*index*/) override { return sizes_; }

  void read(std::uint64_t index, const Region& region, const Dims& tile, std::span<std::byte> out) override {
    const std::size_t each = size_of(dtype());
    const std::span<const std::byte> input = bytes_.subspan(index * input_.layout.bytes(), input_.layout.bytes());
    for (std::uint64_t channel = 0; channel < channels(); ++channel)
      each_run(region, sizes_, tile, [&](std::uint64_t whole, std::uint64_t part, std::size_t length) {
        const auto run = input.subspan((channel * elements_of(sizes_) + whole) * each, length * each);
        std::ranges::copy(run, out.subspan((channel * elements_of(tile) + part) * each).begin());
      });
  }

 private:
  NamedLayout input_;
  Dims sizes_;
  bool images_;
  std::span<const std::byte> bytes_;
};

}  // namespace

std::unique_ptr<LargeInputs> large_memory(const Images& images) {
  check_whole_images(images);
  if (images.shape().elements() == 0)
    throw Error(ErrorKind::usage, "images in memory that are cut into tiles need a shape without zeros",
                fmt::format("the shape is {}", images.shape().text()), "give the shape of one image");
  return std::visit(
      [&](auto pixels) -> std::unique_ptr<LargeInputs> {
        const Dtype dtype = sizeof pixels[0] == 1 ? Dtype::uint8 : Dtype::float32;
        return std::make_unique<LargeMemory>(NamedLayout{kImageTensor, images.shape().layout(dtype)},
                                             std::as_bytes(pixels), true);
      },
      images.pixels());
}

std::unique_ptr<LargeInputs> large_memory(const Samples& samples) {
  check_whole_samples(samples);
  const TensorView& first = samples.tensors().front();
  const std::size_t sizes = first.tensor.layout.dims.size();
  if (samples.tensors().size() == 1 && sizes >= 2 && sizes <= 1 + kMaxTiledAxes)
    return std::make_unique<LargeMemory>(first.tensor, first.bytes, false);
  throw Error(ErrorKind::usage, "samples in memory cannot be cut into tiles",
              fmt::format("tiles are cut from one tensor of channels and 1 to {} axes, and these have {}",
                          kMaxTiledAxes, sample_text(make_memory(samples)->tensors())),
              "give such a tensor, or leave 'tiles' out of 'input'");
}

std::unique_ptr<Source> make_memory(Samples samples, std::span<const std::int64_t> labels) {
  return std::make_unique<MemoryTensors>(std::move(samples), labels);
}

std::unique_ptr<Source> make_memory(Images images, std::span<const std::int64_t> labels) {
  return std::make_unique<Memory>(images, labels);
}

}  // namespace tutti::images
