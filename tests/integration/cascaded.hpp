// Checks an ensemble in which the second of two members is asked only for the samples of which the first is not sure.
// For tests only.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <span>

#include "tests/integration/pools.hpp"

namespace tutti::test {

struct Cascaded {
  std::size_t later = 0;  ///< samples for which the second was asked
  Status status;          ///< afterwards
};

/// Predicts with such a cascade in the description, which has none. A row is the answer of the first member alone, or
/// what both give without a cascade; each occurs.
inline Cascaded check_cascade(config::EnsembleSpec spec) {
  constexpr std::size_t kCount = 243;
  constexpr float kSure = 0.45F;
  const auto images = random_images(kCount);
  Ensemble all(published(spec), with_worker());
  const auto of_all = all.predict(view(images)).values;
  spec.cascade = {{{0}, config::Doubt::confidence_below, double{kSure}, {1}}};
  const auto of_first = naive_answer(spec, 0, images);
  Ensemble ensemble(published(spec), with_worker());
  const auto values = ensemble.predict(view(images)).values;
  REQUIRE(values.size() == of_first.size());
  const std::size_t width = of_first.size() / kCount;
  Cascaded found;
  for (std::size_t at = 0; at < values.size(); at += width) {
    const std::span first = std::span(of_first).subspan(at, width);
    const bool doubtful = *std::ranges::max_element(first) < kSure;
    found.later += doubtful ? 1 : 0;
    CHECK(std::ranges::equal(std::span(values).subspan(at, width),
                             doubtful ? std::span(of_all).subspan(at, width) : first));
  }
  CHECK(found.later > 0);
  CHECK(found.later < kCount);
  found.status = ensemble.status();
  return found;
}

}  // namespace tutti::test
