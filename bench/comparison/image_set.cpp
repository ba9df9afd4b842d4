#include "bench/comparison/image_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include <tutti/error.hpp>

#include "bench/protocol.hpp"

namespace tutti::bench {

ImageSet::ImageSet(std::string name, ImageShape shape, std::uint64_t count, bool labelled, Dtype type)
    : name_(std::move(name)),
      shape_(shape),
      count_(count),
      labelled_(labelled),
      type_(type),
      file_(MemoryFile::create("bench-images")) {
  const std::string what = fmt::format("{} images of {}", count, shape.text());
  file_.allocate(labels_offset(count, shape, type) + count * sizeof(std::int64_t), what);
  memory_ = Mapping(file_, Access::read_write, what);
}

ImageSet ImageSet::read(Source& source, Dtype pixels) {
  if (source.count() == 0)
    throw Error(ErrorKind::usage, fmt::format("{} has no images to measure with", source.name()), {},
                "set 'input.count', or remove 'input.limit'");
  ImageSet set(source.name(), source.shape(), source.count(), source.labelled(), pixels);
  constexpr std::uint64_t kAtOnce = 256;
  const std::size_t elements = set.shape_.elements();
  std::vector<std::uint64_t> indices;
  for (std::uint64_t first = 0; first < set.count_; first += kAtOnce) {
    indices.resize(std::min(kAtOnce, set.count_ - first));
    std::iota(indices.begin(), indices.end(), first);
    const auto labels =
        set.labelled_ ? set.writable_labels().subspan(first, indices.size()) : std::span<std::int64_t>();
    const std::size_t begin = first * elements;
    const std::size_t values = indices.size() * elements;
    if (pixels == Dtype::uint8)
      source.read_bytes(indices, set.pixels<std::uint8_t>().subspan(begin, values), labels);
    else
      source.read(indices, set.pixels<float>().subspan(begin, values), labels);
  }
  return set;
}

ImageSet ImageSet::first(std::uint64_t count) const {
  ImageSet set(name_, shape_, std::min(count, count_), labelled_, type_);
  const std::size_t value_bytes = type_ == Dtype::uint8 ? 1 : sizeof(float);
  std::copy_n(memory_.data(), set.count_ * shape_.elements() * value_bytes, set.memory_.data());
  std::copy_n(labels().begin(), set.count_, set.writable_labels().begin());
  return set;
}

Images ImageSet::view() const {
  if (type_ == Dtype::uint8) return {std::span<const std::uint8_t>(pixels<std::uint8_t>()), shape_};
  return {std::span<const float>(pixels<float>()), shape_};
}

std::span<const std::int64_t> ImageSet::labels() const { return writable_labels(); }

// Images with an odd number of float32 values leave the labels aligned to only 4 bytes. x86 and Arm can read them, and
// this process only reads them in the copies below.
std::span<std::int64_t> ImageSet::writable_labels() const {
  return {reinterpret_cast<std::int64_t*>(memory_.data() + labels_offset(count_, shape_, type_)), count_};
}

}  // namespace tutti::bench
