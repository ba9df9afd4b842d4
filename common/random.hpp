// Reproducible random numbers: counter-based, the same on every machine and library. Not for cryptography.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <utility>

namespace tutti {

/// The finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

/// Number `counter` of the stream `seed`: the numbers do not depend on the order of the calls.
constexpr std::uint64_t random_at(std::uint64_t seed, std::uint64_t counter) { return mix(mix(seed) ^ counter); }

/// Uniform in [0, 1), 24 bits.
constexpr float unit_float(std::uint64_t bits) { return static_cast<float>(bits >> 40) * 0x1p-24F; }
/// Uniform in [0, 1), 53 bits.
constexpr double unit_double(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

/// Puts `values` into the order number `seed` (Fisher-Yates; the bias of the multiplication method is below 2^-32 for
/// fewer than 2^32 values).
template <class T>
void shuffle(std::span<T> values, std::uint64_t seed) {
  for (std::uint64_t i = values.size(); i > 1; --i) {
    const auto product = static_cast<unsigned __int128>(random_at(seed, i)) * i;
    std::swap(values[i - 1], values[static_cast<std::uint64_t>(product >> 64)]);
  }
}

/// How often image `number` is in the resample of stream `seed`: Poisson with mean 1, the limit of drawing N of N with
/// replacement, decided for each image separately (Oza and Russell, "Online bagging and boosting", AISTATS 2001).
constexpr std::uint32_t poisson_one(std::uint64_t seed, std::uint64_t number) {
  double rest = unit_double(random_at(seed, number));
  double probability = 0.36787944117144233;  // exp(-1)
  std::uint32_t count = 0;
  while (rest >= probability && count < 16) {
    rest -= probability;
    probability /= ++count;
  }
  return count;
}

}  // namespace tutti
