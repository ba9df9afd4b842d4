// Ensembles that `coalesce`, and calls that gather. For tests only.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <future>
#include <utility>
#include <vector>

#include "tests/integration/pools.hpp"

namespace tutti::test {

/// Segments of two batches of three. A call that is alone waits for nobody, and others gather while it is computed, for
/// as long as that takes.
inline config::EnsembleSpec coalescing_spec(std::size_t members, std::uint64_t delay_us = 20000) {
  auto spec = fake_spec(members);
  spec.coalesce = config::CoalesceSpec{10'000'000};
  spec.failure.back_off = 0.001;
  fake_model(spec, 0).delay_us = delay_us;
  return spec;
}

/// Calls that gather while one before them is computed, and that one.
struct Gathered {
  Gathered(Ensemble& ensemble, std::vector<std::vector<float>> rows_of_calls) : images(std::move(rows_of_calls)) {
    const auto segments = [&] { return ensemble.status().members[0].segments_handed_out; };
    const std::uint64_t so_far = segments();
    first = ensemble.submit(view(before));
    REQUIRE(happens([&] { return segments() == so_far + 1; }));
    for (const auto& rows : images) calls.push_back(ensemble.submit(view(rows)));
  }
  std::vector<std::vector<float>> images;
  std::vector<float> before = random_images(1, 77);
  std::future<Predictions> first;
  std::vector<std::future<Predictions>> calls;
};

inline std::vector<std::vector<float>> single_images(std::size_t count) {
  std::vector<std::vector<float>> images;
  for (std::size_t i = 0; i < count; ++i) images.push_back(random_images(1, i + 1));
  return images;
}

/// A fault of member 1 for images that begin with this value.
inline constexpr float kGuilty = 7.5F;
inline ScriptedFault fault_of(FaultKind kind) {
  ScriptedFault fault{kind, FaultPhase::predict, 0};
  fault.at_value = kGuilty;
  return fault;
}

}  // namespace tutti::test
