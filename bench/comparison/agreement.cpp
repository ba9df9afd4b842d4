#include "bench/comparison/agreement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "bench/protocol.hpp"
#include "common/counted.hpp"

namespace tutti::bench {
namespace {

/// Infinite if one of them is not a number and the other is, or their infinities differ.
double difference(float a, float b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  const double found = std::abs(static_cast<double>(a) - static_cast<double>(b));
  return std::isnan(found) ? std::numeric_limits<double>::infinity() : found;
}

}  // namespace

Tolerance tolerance_for(const config::CombineSpec& combine, std::span<const float> reference, std::uint64_t images) {
  double largest = 1;
  for (const float value : reference)
    if (std::isfinite(value)) largest = std::max(largest, std::abs(static_cast<double>(value)));
  const bool picks = combine.rule == CombineRule::vote || combine.rule == CombineRule::most_confident;
  return {static_cast<double>(kTolerance) * largest, picks ? std::max<std::uint64_t>(1, images / 1000) : 0};
}

Agreement compare(std::span<const float> reference, std::span<const float> answer, std::uint64_t images,
                  const Tolerance& tolerance) {
  if (reference.size() != answer.size() || reference.empty() || images == 0)
    return {false, std::numeric_limits<double>::infinity(), images, false};
  Agreement found;
  found.same_bits = std::memcmp(reference.data(), answer.data(), reference.size_bytes()) == 0;
  const std::size_t width = reference.size() / images;
  for (std::uint64_t image = 0; image < images; ++image) {
    double largest = 0;
    for (std::size_t i = image * width; i < (image + 1) * width; ++i)
      largest = std::max(largest, difference(reference[i], answer[i]));
    found.largest = std::max(found.largest, largest);
    found.beyond += largest > tolerance.value ? 1 : 0;
  }
  found.within = found.beyond <= tolerance.tipped;
  return found;
}

std::string to_text(const Agreement& agreement, const Tolerance& tolerance) {
  if (agreement.same_bits) return "same bits";
  if (agreement.beyond == 0)
    return fmt::format("differs by at most {:.1g} (tolerance {:.1g})", agreement.largest, tolerance.value);
  return fmt::format("{} differ{} by up to {:.1g} (tolerance {:.1g}, {} may be tipped)",
                     counted(agreement.beyond, "image"), agreement.beyond == 1 ? "s" : "", agreement.largest,
                     tolerance.value, tolerance.tipped);
}

}  // namespace tutti::bench
