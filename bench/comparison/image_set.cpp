#include "bench/comparison/image_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include <tutti/error.hpp>

namespace tutti::bench {

ImageSet::ImageSet(std::string name, ImageShape shape, std::uint64_t count, bool labelled)
    : name_(std::move(name)),
      shape_(shape),
      count_(count),
      labelled_(labelled),
      file_(MemoryFile::create("bench-images")) {
  const std::string what = fmt::format("{} images of {}", count, shape.text());
  file_.allocate(count * (shape.elements() * sizeof(float) + sizeof(std::int64_t)), what);
  memory_ = Mapping(file_, Access::read_write, what);
}

ImageSet ImageSet::read(Source& source) {
  if (source.count() == 0)
    throw Error(ErrorKind::usage, fmt::format("{} has no images to measure with", source.name()), {},
                "set 'input.count', or remove 'input.limit'");
  ImageSet set(source.name(), source.shape(), source.count(), source.labelled());
  constexpr std::uint64_t kAtOnce = 256;
  const std::size_t elements = set.shape_.elements();
  std::vector<std::uint64_t> indices;
  for (std::uint64_t first = 0; first < set.count_; first += kAtOnce) {
    indices.resize(std::min(kAtOnce, set.count_ - first));
    std::iota(indices.begin(), indices.end(), first);
    source.read(indices, set.pixels().subspan(first * elements, indices.size() * elements),
                set.labelled_ ? set.writable_labels().subspan(first, indices.size()) : std::span<std::int64_t>());
  }
  return set;
}

ImageSet ImageSet::first(std::uint64_t count) const {
  ImageSet set(name_, shape_, std::min(count, count_), labelled_);
  std::copy_n(pixels().begin(), set.pixels().size(), set.pixels().begin());
  std::copy_n(labels().begin(), set.count_, set.writable_labels().begin());
  return set;
}

Images ImageSet::view() const { return {std::span<const float>(pixels()), shape_}; }

std::span<const std::int64_t> ImageSet::labels() const { return writable_labels(); }

std::span<float> ImageSet::pixels() const {
  return {reinterpret_cast<float*>(memory_.data()), count_ * shape_.elements()};
}

// Images with an odd number of values leave the labels aligned to only 4 bytes. x86 and Arm can read them, and this
// process only reads them in the copies below.
std::span<std::int64_t> ImageSet::writable_labels() const {
  return {reinterpret_cast<std::int64_t*>(memory_.data() + pixels().size_bytes()), count_};
}

}  // namespace tutti::bench
