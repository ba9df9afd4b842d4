// The bytes of one row among other rows in a batch, for the kinds that promise with `coalesce` that they are always the
// same. The place of a row in its batch depends on who else submits, so it must not matter either. For tests only.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/ensemble.hpp>

#include "common/random.hpp"

namespace tutti::test {

/// The different bytes of the same row at each place of a batch, among three sets of other rows, and by itself. `model`
/// in YAML; `over` what it outputs.
inline std::set<std::string> bytes_of_row(const std::string& model, const ImageShape& shape, std::string_view over) {
  constexpr std::size_t kBatch = 6;
  constexpr std::size_t kDraws = 3;
  Ensemble ensemble(parse_spec(fmt::format(R"(
members: [{{name: a, model: {0}}}]
assignment: cpu
threads: 1
combine: {{rule: mean, over: {1}}}
input: {{shape: [{2}, {3}, {4}]}}
segment_images: {5}
batch_images: {5}
coalesce: {{max_delay_us: 100}}
)",
                                           model, over, shape.channels, shape.height, shape.width, kBatch)));
  const std::size_t row = shape.elements();
  std::vector<float> pixels((kDraws * kBatch * kBatch + 1) * row);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = unit_float(random_at(99, i));
  const std::span<const float> all(pixels);
  std::set<std::string> found;
  const auto note = [&](const Predictions& p, std::size_t place) {
    const float* const values = p.values.data() + place * p.width;
    found.emplace(reinterpret_cast<const char*>(values), p.width * sizeof(float));
  };
  for (std::size_t place = 0; place < kBatch; ++place)
    for (std::size_t draw = 0; draw < kDraws; ++draw) {
      const auto others = all.subspan((1 + (place * kDraws + draw) * kBatch) * row, kBatch * row);
      std::vector<float> batch(others.begin(), others.end());
      std::copy_n(pixels.begin(), row, batch.begin() + static_cast<std::ptrdiff_t>(place * row));
      note(ensemble.submit(Images(std::span<const float>(batch), shape)).get(), place);
    }
  note(ensemble.submit(Images(all.first(row), shape)).get(), 0);
  return found;
}

}  // namespace tutti::test
