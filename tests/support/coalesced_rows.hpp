// With `coalesce`, what a row gets is what the library computes for a whole batch. The last bits may depend on the row's
// place in it, which is up to the library and the processor: for a layer with one output it is so with AVX2. For tests
// only.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/ensemble.hpp>

#include "common/random.hpp"

namespace tutti::test {

/// Checks that a row by itself, and one at each place among others, gets the bytes of a batch that is predicted as a
/// whole, and about the same values everywhere. `model` in YAML; `over` what it outputs.
inline void check_rows_of_whole_batches(const std::string& model, const ImageShape& shape, std::string_view over) {
  constexpr std::size_t kBatch = 6;
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
  std::vector<float> pixels((kBatch + 1) * kBatch * row);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = unit_float(random_at(99, i));
  const std::span<const float> all(pixels);
  const std::span<const float> watched = all.first(row);
  const auto row_of = [](const Predictions& predictions, std::size_t place) {
    const auto first = predictions.values.begin() + static_cast<std::ptrdiff_t>(place * predictions.width);
    return std::vector<float>(first, first + predictions.width);
  };

  std::vector<float> copies;
  for (std::size_t i = 0; i < kBatch; ++i) copies.insert(copies.end(), watched.begin(), watched.end());
  const std::vector<float> alone = row_of(ensemble.submit(Images(watched, shape)).get(), 0);
  CHECK(alone == row_of(ensemble.predict(Images(copies, shape)), 0));

  for (std::size_t place = 0; place < kBatch; ++place) {
    CAPTURE(place);
    const auto others = all.subspan((place + 1) * kBatch * row, kBatch * row);
    std::vector<float> batch(others.begin(), others.end());
    std::ranges::copy(watched, batch.begin() + static_cast<std::ptrdiff_t>(place * row));
    const Predictions submitted = ensemble.submit(Images(batch, shape)).get();
    CHECK(submitted.values == ensemble.predict(Images(batch, shape)).values);
    const std::vector<float> here = row_of(submitted, place);
    REQUIRE(here.size() == alone.size());
    for (std::size_t i = 0; i < here.size(); ++i) CHECK(here[i] == doctest::Approx(alone[i]).epsilon(1e-5));
  }
}

}  // namespace tutti::test
