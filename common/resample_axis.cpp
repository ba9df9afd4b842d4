// The filters: which places of the source contribute to which place of the result, and with which weight. No image is
// touched here.
#include <algorithm>
#include <cmath>

#include "common/resample.hpp"

namespace tutti {
namespace {

double triangle(double x) {
  x = std::abs(x);
  return x < 1 ? 1 - x : 0;
}

/// Keys' cubic with a = -1/2 (https://ieeexplore.ieee.org/document/1163711).
double cubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0;
}

struct Filter {
  double (*weight)(double);
  double support;
};

Filter filter_of(Interpolation interpolation) {
  return interpolation == Interpolation::bilinear ? Filter{triangle, 1} : Filter{cubic, 2};
}

std::int32_t to_fixed(double weight) {
  const double scaled = weight * (1 << ResampleAxis::kFractionBits);
  return static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

/// The places of the source that contribute to one place of the result.
struct Window {
  std::uint32_t first = 0;
  std::vector<double> weights;
};

std::vector<Window> windows(const Filter& filter, std::uint32_t from, std::uint32_t to, std::uint32_t begin,
                            std::uint32_t end) {
  const double scale = static_cast<double>(from) / to;
  const double stretch = std::max(scale, 1.0);
  const double reach = filter.support * stretch;
  std::vector<Window> result;
  for (std::uint32_t place = begin; place < end; ++place) {
    const double centre = (place + 0.5) * scale;
    const auto least = static_cast<std::uint32_t>(std::max(centre - reach + 0.5, 0.0));
    const auto most = static_cast<std::uint32_t>(std::min(centre + reach + 0.5, static_cast<double>(from)));
    Window window{least, {}};
    double sum = 0;
    for (std::uint32_t x = least; x < most; ++x) {
      window.weights.push_back(filter.weight((x - centre + 0.5) * (1.0 / stretch)));
      sum += window.weights.back();
    }
    if (sum != 0)
      for (double& weight : window.weights) weight /= sum;
    result.push_back(std::move(window));
  }
  return result;
}

/// Pillow steps from one place to the next by adding, and its rounding errors decide what is nearest.
std::vector<Window> nearest_windows(std::uint32_t from, std::uint32_t to, std::uint32_t begin, std::uint32_t end) {
  const double scale = static_cast<double>(from) / to;
  double centre = scale * 0.5;
  std::vector<Window> result;
  for (std::uint32_t place = 0; place < end; ++place, centre += scale)
    if (place >= begin) result.push_back({std::min(static_cast<std::uint32_t>(centre), from - 1), {1.0}});
  return result;
}

}  // namespace

std::int64_t crop_offset(std::uint32_t to, std::uint32_t crop, CropRounding rounding) {
  const bool floor = rounding == CropRounding::floor;
  if (to >= crop) return (to - crop) / 2 + (!floor && (to - crop) % 4 == 3 ? 1 : 0);
  return -std::int64_t{(crop - to + (floor ? 1 : 0)) / 2};
}

ResampleAxis::ResampleAxis(Interpolation interpolation, std::uint32_t from, std::uint32_t to, std::uint32_t crop,
                           CropRounding rounding) {
  const std::int64_t offset = crop_offset(to, crop, rounding);
  skip = static_cast<std::uint32_t>(std::max<std::int64_t>(-offset, 0));
  const auto cut = static_cast<std::uint32_t>(std::max<std::int64_t>(offset, 0));
  size = std::min(to - cut, crop - skip);
  copies = from == to;
  const bool picks = copies || interpolation == Interpolation::nearest;
  const std::vector<Window> all =
      picks ? nearest_windows(from, to, cut, cut + size) : windows(filter_of(interpolation), from, to, cut, cut + size);
  for (const Window& window : all) taps = std::max(taps, static_cast<std::uint32_t>(window.weights.size()));
  for (const Window& window : all) {
    // Places at the border have fewer weights: zeros before them give all the same number, and keep all inside the
    // source.
    const std::uint32_t least = std::min(window.first, from - taps);
    first.push_back(least);
    for (std::uint32_t tap = 0; tap < taps; ++tap) {
      const std::uint32_t place = least + tap - window.first;  // wraps around before the window
      const double weight = place < window.weights.size() ? window.weights[place] : 0.0;
      fixed.push_back(to_fixed(weight));
      weights.push_back(static_cast<float>(weight));
    }
  }
  begin = first.empty() ? 0 : *std::min_element(first.begin(), first.end());
  end = first.empty() ? 0 : *std::max_element(first.begin(), first.end()) + taps;
}

}  // namespace tutti
