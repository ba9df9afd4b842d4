// Reads images of a source by their indices. For tests only.
#pragma once

#include <cstdint>
#include <tutti/images.hpp>
#include <vector>

namespace tutti::test {

struct ReadImages {
  std::vector<float> pixels;
  std::vector<std::int64_t> labels;  ///< empty where the source has none
};

inline ReadImages read(Source& source, const std::vector<std::uint64_t>& indices) {
  ReadImages images;
  images.pixels.assign(indices.size() * source.shape().elements(), -7.0F);
  if (source.labelled()) images.labels.assign(indices.size(), -7);
  source.read(indices, images.pixels, images.labels);
  return images;
}

/// Whether the bytes of these images by 255 are their float32, and their labels the same.
inline bool bytes_are_the_floats(Source& source, const std::vector<std::uint64_t>& indices) {
  const ReadImages floats = read(source, indices);
  std::vector<std::uint8_t> bytes(floats.pixels.size(), 7);
  std::vector<std::int64_t> labels(floats.labels.size(), -7);
  source.read_bytes(indices, bytes, labels);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (floats.pixels[i] != static_cast<float>(bytes[i]) / 255.0F) return false;
  return source.has_bytes() && labels == floats.labels;
}

inline std::vector<std::uint64_t> all_of(const Source& source) {
  std::vector<std::uint64_t> indices(source.count());
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = i;
  return indices;
}

/// Images read one by one, out of order and twice are the same as images read at once.
inline bool any_order_gives_the_same(Source& source) {
  const std::vector<std::uint64_t> in_order = all_of(source);
  const ReadImages whole = read(source, in_order);
  std::vector<std::uint64_t> mixed(in_order.rbegin(), in_order.rend());
  for (std::size_t i = 0; i + 2 < in_order.size(); i += 3) mixed.insert(mixed.end(), {i + 1, i + 2, i, i});
  const ReadImages other = read(source, mixed);
  const std::size_t elements = source.shape().elements();
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    for (std::size_t place = 0; place < elements; ++place)
      if (other.pixels[i * elements + place] != whole.pixels[mixed[i] * elements + place]) return false;
    if (source.labelled() && other.labels[i] != whole.labels[mixed[i]]) return false;
  }
  return true;
}

}  // namespace tutti::test
