// Reads the ends of an image source and its properties. For fuzz harnesses only.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include <tutti/images.hpp>

#include "tests/fuzz/fuzz.hpp"

namespace tutti::fuzz {

/// Reads the first image, the last, and the first again. `bytes`: what the files have together.
inline void read_some(Source& source, std::size_t bytes) {
  must(!source.name().empty(), "a source has a name");
  must(source.count() <= bytes, "an image takes at least a byte");
  if (source.count() == 0) return;
  const std::vector<std::uint64_t> indices{0, source.count() - 1, 0};
  const std::size_t elements = source.shape().elements();
  must(elements > 0, "an image has values");
  std::vector<float> pixels(indices.size() * elements);
  std::vector<std::int64_t> labels(source.labelled() ? indices.size() : 0);
  source.read(indices, pixels, labels);
  const auto same = [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); };
  must(std::equal(pixels.begin(), pixels.begin() + static_cast<std::ptrdiff_t>(elements),
                  pixels.end() - static_cast<std::ptrdiff_t>(elements), same),
       "an image is the same when it is read again");
  for (const std::int64_t label : labels)
    must(label >= 0 && static_cast<std::uint64_t>(label) < source.classes(), "a label is one of the classes");
}

}  // namespace tutti::fuzz
