// Separable resampling. Both passes are the same sum: some vectors of neighbouring values, each times one weight. Down
// the image the vectors are pieces of rows. Across it they are pieces of columns, and so that these lie in one piece,
// kLanes rows at a time are written column by column first.
#include "common/resample.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <tutti/error.hpp>

namespace tutti {
namespace {

constexpr std::size_t kLanes = 16;
/// Weights of bytes have 22 digits behind the point: 32, less 8 for the value, less 2 for overshoot and sign.
constexpr int kFractionBits = 32 - 8 - 2;
constexpr std::int32_t kHalf = 1 << (kFractionBits - 1);

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
  const double scaled = weight * (1 << kFractionBits);
  return static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

/// The places of the source that one place of the answer is made of.
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

/// `to`: the length that `from` is resized to; `crop`: what is kept about its centre.
Resampler::Axis axis_of(Interpolation interpolation, std::uint32_t from, std::uint32_t to, std::uint32_t crop) {
  Resampler::Axis axis;
  // Rounded down, also where it is negative.
  const std::int64_t offset = (std::int64_t{to} - crop - (to < crop && (crop - to) % 2 != 0 ? 1 : 0)) / 2;
  axis.skip = static_cast<std::uint32_t>(std::max<std::int64_t>(-offset, 0));
  const auto begin = static_cast<std::uint32_t>(std::max<std::int64_t>(offset, 0));
  axis.size = std::min(to - begin, crop - axis.skip);
  axis.copies = from == to;
  const bool picks = axis.copies || interpolation == Interpolation::nearest;
  const std::vector<Window> all = picks ? nearest_windows(from, to, begin, begin + axis.size)
                                        : windows(filter_of(interpolation), from, to, begin, begin + axis.size);
  for (const Window& window : all) axis.taps = std::max(axis.taps, static_cast<std::uint32_t>(window.weights.size()));
  for (const Window& window : all) {
    // Those at the border have fewer weights: some of 0 before them keep all in step, and inside the source.
    const std::uint32_t first = std::min(window.first, from - axis.taps);
    axis.first.push_back(first);
    for (std::uint32_t tap = 0; tap < axis.taps; ++tap) {
      const std::uint32_t place = first + tap - window.first;  // wraps around before the window
      const double weight = place < window.weights.size() ? window.weights[place] : 0.0;
      axis.fixed.push_back(to_fixed(weight));
      axis.weights.push_back(static_cast<float>(weight));
    }
  }
  axis.begin = axis.first.empty() ? 0 : *std::min_element(axis.first.begin(), axis.first.end());
  axis.end = axis.first.empty() ? 0 : *std::max_element(axis.first.begin(), axis.first.end()) + axis.taps;
  return axis;
}

// ---- the sum -------------------------------------------------------------------------------------------------------

template <class Value>
using WeightOf = std::conditional_t<std::is_same_v<Value, float>, float, std::int32_t>;

/// Places `from` resized along `axis`: place i of the answer are the kLanes values at to + i * to_stride; place x of
/// the source, counted from axis.begin, those at from + x * stride.
template <class Value>
struct Pass {
  const Value* from;
  std::size_t stride;
  const Resampler::Axis& axis;
  Value* to;
  std::size_t to_stride;

  const WeightOf<Value>* weights() const {
    if constexpr (std::is_same_v<Value, float>)
      return axis.weights.data();
    else
      return axis.fixed.data();
  }
};

std::uint8_t narrowed(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255)); }
float narrowed(float sum) { return sum; }

/// kLanes values: the sum of weights[i] times the kLanes values at from + i * stride.
template <class Value>
void weigh(const Value* from, std::size_t stride, const WeightOf<Value>* weights, std::uint32_t taps, Value* to) {
  WeightOf<Value> sums[kLanes];
  std::fill_n(sums, kLanes, std::is_same_v<Value, float> ? WeightOf<Value>{} : WeightOf<Value>{kHalf});
  for (std::uint32_t tap = 0; tap < taps; ++tap, from += stride)
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      sums[lane] += static_cast<WeightOf<Value>>(from[lane]) * weights[tap];
  for (std::size_t lane = 0; lane < kLanes; ++lane) to[lane] = narrowed(sums[lane]);
}

template <class Value>
void run_plain(const Pass<Value>& pass) {
  const Resampler::Axis& axis = pass.axis;
  for (std::uint32_t i = 0; i < axis.size; ++i)
    weigh(pass.from + (axis.first[i] - axis.begin) * pass.stride, pass.stride,
          pass.weights() + std::size_t{i} * axis.taps, axis.taps, pass.to + i * pass.to_stride);
}

#if defined(__x86_64__)
// The same operations with AVX2, spelt out: GCC 12 and 13 take the bytes apart one by one. The values are the same.
[[gnu::target("avx2"), gnu::always_inline]] inline void weigh_wide(const std::uint8_t* from, std::size_t stride,
                                                                   const std::int32_t* weights, std::uint32_t taps,
                                                                   std::uint8_t* to) {
  __m256i low = _mm256_set1_epi32(kHalf);
  __m256i high = low;
  for (std::uint32_t tap = 0; tap < taps; ++tap, from += stride) {
    const __m256i weight = _mm256_set1_epi32(weights[tap]);
    const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    low = _mm256_add_epi32(low, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(values), weight));
    high = _mm256_add_epi32(high, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_srli_si128(values, 8)), weight));
  }
  // Both packs saturate, which is the clamp; the first leaves the quarters 0 2 1 3.
  const __m256i words =
      _mm256_packs_epi32(_mm256_srai_epi32(low, kFractionBits), _mm256_srai_epi32(high, kFractionBits));
  const __m256i ordered = _mm256_permute4x64_epi64(words, 0b11'01'10'00);
  const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
}

[[gnu::target("avx2"), gnu::always_inline]] inline void weigh_wide(const float* from, std::size_t stride,
                                                                   const float* weights, std::uint32_t taps,
                                                                   float* to) {
  __m256 low = _mm256_setzero_ps();
  __m256 high = low;
  for (std::uint32_t tap = 0; tap < taps; ++tap, from += stride) {
    const __m256 weight = _mm256_set1_ps(weights[tap]);
    low = _mm256_add_ps(low, _mm256_mul_ps(_mm256_loadu_ps(from), weight));
    high = _mm256_add_ps(high, _mm256_mul_ps(_mm256_loadu_ps(from + 8), weight));
  }
  _mm256_storeu_ps(to, low);
  _mm256_storeu_ps(to + 8, high);
}

template <class Value>
[[gnu::target("avx2")]] void run_wide(const Pass<Value>& pass) {
  const Resampler::Axis& axis = pass.axis;
  for (std::uint32_t i = 0; i < axis.size; ++i)
    weigh_wide(pass.from + (axis.first[i] - axis.begin) * pass.stride, pass.stride,
               pass.weights() + std::size_t{i} * axis.taps, axis.taps, pass.to + i * pass.to_stride);
}

bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
}
#endif

template <class Value>
void run(const Pass<Value>& pass) {
#if defined(__x86_64__)
  if (has_avx2()) return run_wide(pass);
#endif
  run_plain(pass);
}

std::size_t in_lanes(std::size_t values) { return (values + kLanes - 1) / kLanes * kLanes; }

/// Room for `values` values and a whole vector behind them.
template <class Value>
Value* room(std::vector<std::byte>& bytes, std::size_t values) {
  bytes.resize(std::max(bytes.size(), (values + kLanes) * sizeof(Value)));
  return reinterpret_cast<Value*>(bytes.data());
}

/// `count` rows of the source, at most kLanes, into rows of `pitch` values, resized across.
template <class Value>
void across(const Value* from, std::size_t width, std::size_t count, const Resampler::Axis& axis, Value* to,
            std::size_t pitch, Value* strip_in, Value* strip_out) {
  if (axis.copies) {
    for (std::size_t row = 0; row < count; ++row)
      std::copy_n(from + row * width + axis.begin, axis.size, to + row * pitch);
    return;
  }
  for (std::size_t row = 0; row < count; ++row) {
    const Value* values = from + row * width;
    for (std::size_t x = axis.begin; x < axis.end; ++x) strip_in[(x - axis.begin) * kLanes + row] = values[x];
  }
  run(Pass<Value>{strip_in, kLanes, axis, strip_out, kLanes});
  for (std::size_t row = 0; row < count; ++row)
    for (std::size_t x = 0; x < axis.size; ++x) to[row * pitch + x] = strip_out[x * kLanes + row];
}

/// All rows of `between`, `pitch` values each, resized down into rows of the answer, kLanes columns at a time.
template <class Value>
void down(const Value* between, std::size_t pitch, const Resampler::Axis& axis, std::size_t width, Value* strip,
          Value* to, std::size_t to_pitch) {
  for (std::size_t x = 0; x < width; x += kLanes) {
    const std::size_t count = std::min(kLanes, width - x);
    const bool whole = count == kLanes;
    run(Pass<Value>{between + x, pitch, axis, whole ? to + x : strip, whole ? to_pitch : kLanes});
    if (whole) continue;
    for (std::size_t row = 0; row < axis.size; ++row) std::copy_n(strip + row * kLanes, count, to + row * to_pitch + x);
  }
}

std::uint32_t scaled(std::uint32_t size, std::uint32_t longer, std::uint32_t shorter) {
  const double length = static_cast<double>(std::uint64_t{size} * longer) / shorter;
  return length > kMaxSide ? kMaxSide + 1 : static_cast<std::uint32_t>(length);
}

}  // namespace

ImageShape scaled_shape(const Resize& resize, const ImageShape& from) {
  if (from.elements() == 0)
    throw Error(ErrorKind::usage, fmt::format("an image of {} has nothing to be resized", from.text()));
  ImageShape to = from;
  if (resize.rule == ResizeRule::exact) {
    to.height = resize.height;
    to.width = resize.width;
  } else if (resize.rule == ResizeRule::shorter && from.width <= from.height) {
    to.width = resize.width;
    to.height = scaled(resize.width, from.height, from.width);
  } else if (resize.rule == ResizeRule::shorter) {
    to.height = resize.height;
    to.width = scaled(resize.height, from.width, from.height);
  }
  if (to.elements() == 0 || to.height > kMaxSide || to.width > kMaxSide)
    throw Error(ErrorKind::usage, fmt::format("an image of {} cannot be resized", from.text()),
                fmt::format("it would be {}, and a side has 1 to {} places", to.text(), kMaxSide));
  return to;
}

ImageShape resized_shape(const Resize& resize, const ImageShape& from) {
  ImageShape to = scaled_shape(resize, from);
  if (resize.crop_height != 0) to.height = resize.crop_height;
  if (resize.crop_width != 0) to.width = resize.crop_width;
  return to;
}

Resampler::Resampler(const Resize& resize, const ImageShape& from) : from_(from), to_(resized_shape(resize, from)) {
  const ImageShape whole = scaled_shape(resize, from);
  columns_ = axis_of(resize.interpolation, from.width, whole.width, to_.width);
  rows_ = axis_of(resize.interpolation, from.height, whole.height, to_.height);
}

std::uint64_t Resampler::buffer_bytes(const Resize& resize, const ImageShape& from) {
  const ImageShape to = resized_shape(resize, from);
  const std::uint64_t longest = std::max({from.width, from.height, to.width, to.height});
  const std::uint64_t values = in_lanes(to.width) * from.height + 2 * kLanes * longest + 3 * kLanes;
  return values * sizeof(float);
}

template <class Value>
void Resampler::resize(std::span<const Value> in, std::span<Value> out) {
  assert(in.size() == from_.elements() && out.size() == to_.elements());
  const std::size_t pitch = in_lanes(columns_.size);
  const std::size_t rows = rows_.end - rows_.begin;
  Value* const strip_in = room<Value>(strip_in_, (columns_.end - columns_.begin) * kLanes);
  Value* const strip_out = room<Value>(strip_out_, std::max(columns_.size, rows_.size) * kLanes);
  Value* const between = room<Value>(between_, rows * pitch);
  if (columns_.size != to_.width || rows_.size != to_.height) std::fill(out.begin(), out.end(), Value{});
  const std::size_t plane = std::size_t{from_.height} * from_.width;
  for (std::size_t channel = 0; channel < from_.channels; ++channel) {
    const Value* const source = in.data() + channel * plane + std::size_t{rows_.begin} * from_.width;
    for (std::size_t row = 0; row < rows; row += kLanes)
      across(source + row * from_.width, from_.width, std::min(kLanes, rows - row), columns_, between + row * pitch,
             pitch, strip_in, strip_out);
    Value* const answer = out.data() + (channel * to_.height + rows_.skip) * to_.width + columns_.skip;
    down(between, pitch, rows_, columns_.size, strip_out, answer, to_.width);
  }
}

void Resampler::apply(std::span<const std::uint8_t> in, std::span<std::uint8_t> out) { resize(in, out); }
void Resampler::apply(std::span<const float> in, std::span<float> out) { resize(in, out); }

}  // namespace tutti
