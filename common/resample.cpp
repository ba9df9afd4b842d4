// Separable resampling. Both passes compute the same sum: some vectors of neighbouring values, each times one weight.
// Down the image the vectors are pieces of rows. Across it they are pieces of columns; to make these contiguous, kLanes
// rows at a time are transposed first.
#include "common/resample.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <tutti/error.hpp>

#include "common/wide_vectors.hpp"

namespace tutti {
namespace {

constexpr std::size_t kLanes = 16;
constexpr int kFractionBits = ResampleAxis::kFractionBits;
constexpr std::int32_t kHalf = 1 << (kFractionBits - 1);

// ---- the sum -------------------------------------------------------------------------------------------------------

template <class Value>
using WeightOf = std::conditional_t<std::is_same_v<Value, float>, float, std::int32_t>;

/// Resizes `from` along `axis`. Place i of the result is the kLanes values at to + i * to_stride; place x of the
/// source, counted from axis.begin, is those at from + x * stride.
template <class Value>
struct Pass {
  const Value* from;
  std::size_t stride;
  const ResampleAxis& axis;
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
  const ResampleAxis& axis = pass.axis;
  for (std::uint32_t i = 0; i < axis.size; ++i)
    weigh(pass.from + (axis.first[i] - axis.begin) * pass.stride, pass.stride,
          pass.weights() + std::size_t{i} * axis.taps, axis.taps, pass.to + i * pass.to_stride);
}

#if defined(__x86_64__)
// The same operations written with AVX2, because GCC 12 and 13 unpack the bytes one by one. The values are the same.
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
  const ResampleAxis& axis = pass.axis;
  for (std::uint32_t i = 0; i < axis.size; ++i)
    weigh_wide(pass.from + (axis.first[i] - axis.begin) * pass.stride, pass.stride,
               pass.weights() + std::size_t{i} * axis.taps, axis.taps, pass.to + i * pass.to_stride);
}
#endif

template <class Value>
void run(const Pass<Value>& pass) {
#if defined(__x86_64__)
  if (uses_wide_vectors()) return run_wide(pass);
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

/// Rows of values, whose first is `values` and which begin `pitch` values apart.
template <class Value>
struct Rows {
  Value* values;
  std::size_t pitch;
  Rows at(std::size_t row, std::size_t column) const { return {values + row * pitch + column, pitch}; }
};

/// `height` rows of `width` values into `width` rows of `height`.
template <class Value>
void transpose(Rows<const Value> from, std::size_t height, std::size_t width, Rows<Value> to) {
  for (std::size_t y = 0; y < height; ++y)
    for (std::size_t x = 0; x < width; ++x) to.values[x * to.pitch + y] = from.values[y * from.pitch + x];
}

#if defined(__x86_64__)
/// Transposes kLanes rows of kLanes bytes. Interleaving the first half of the rows with the second, four times, puts
/// the bits of the row number in the place of those of the column number.
void transpose_block(Rows<const std::uint8_t> from, Rows<std::uint8_t> to) {
  __m128i rows[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i)
    rows[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from.values + i * from.pitch));
  for (int round = 0; round < 4; ++round) {
    __m128i mixed[kLanes];
    for (std::size_t i = 0; i < kLanes / 2; ++i) {
      mixed[2 * i] = _mm_unpacklo_epi8(rows[i], rows[i + kLanes / 2]);
      mixed[2 * i + 1] = _mm_unpackhi_epi8(rows[i], rows[i + kLanes / 2]);
    }
    std::copy_n(mixed, kLanes, rows);
  }
  for (std::size_t i = 0; i < kLanes; ++i)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to.values + i * to.pitch), rows[i]);
}
#else
void transpose_block(Rows<const std::uint8_t> from, Rows<std::uint8_t> to) { transpose(from, kLanes, kLanes, to); }
#endif
void transpose_block(Rows<const float> from, Rows<float> to) { transpose(from, kLanes, kLanes, to); }

/// Transposes kLanes rows of `width` values.
template <class Value>
void transpose_rows(Rows<const Value> from, std::size_t width, Rows<Value> to) {
  std::size_t x = 0;
  for (; x + kLanes <= width; x += kLanes) transpose_block(from.at(0, x), to.at(x, 0));
  transpose(from.at(0, x), kLanes, width - x, to.at(x, 0));
}

/// Where the passes keep their intermediate results.
template <class Value>
struct Strips {
  Value* in;
  Value* out;
};

/// Resizes `count` rows of the source, at most kLanes, across. A pixel has `step` consecutive values; colour c goes to
/// `to` + c * `plane`. The output needs room for kLanes rows, each rounded up to whole lanes.
template <class Value>
void across(Rows<const Value> from, std::size_t count, std::size_t step, const ResampleAxis& axis, Rows<Value> to,
            std::size_t plane, const Strips<Value>& strips) {
  from = from.at(0, axis.begin * step);
  if (axis.copies) {
    for (std::size_t row = 0; row < count; ++row)
      for (std::size_t colour = 0; colour < step; ++colour)
        for (std::size_t x = 0; x < axis.size; ++x)
          to.values[colour * plane + row * to.pitch + x] = from.values[row * from.pitch + x * step + colour];
    return;
  }
  const std::size_t width = (axis.end - axis.begin) * step;
  if (count == kLanes)
    transpose_rows(from, width, Rows<Value>{strips.in, kLanes});
  else
    transpose(from, count, width, Rows<Value>{strips.in, kLanes});
  for (std::size_t colour = 0; colour < step; ++colour) {
    run(Pass<Value>{strips.in + colour * kLanes, kLanes * step, axis, strips.out, kLanes});
    for (std::size_t x = 0; x < axis.size; x += kLanes)
      transpose_block(Rows<const Value>{strips.out + x * kLanes, kLanes},
                      Rows<Value>{to.values + colour * plane + x, to.pitch});
  }
}

/// Resizes all rows of `between`, `pitch` values each, down into rows of the result, kLanes columns at a time.
template <class Value>
void down(const Value* between, std::size_t pitch, const ResampleAxis& axis, std::size_t width, Value* strip, Value* to,
          std::size_t to_pitch) {
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
    throw Error(ErrorKind::usage, fmt::format("cannot resize an image of {}: it has no pixels", from.text()));
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
    throw Error(ErrorKind::usage, fmt::format("cannot resize an image of {}", from.text()),
                fmt::format("it would be {}, and a side has 1 to {} pixels", to.text(), kMaxSide));
  return to;
}

ImageShape resized_shape(const Resize& resize, const ImageShape& from) {
  ImageShape to = scaled_shape(resize, from);
  if (resize.crop_height != 0) to.height = resize.crop_height;
  if (resize.crop_width != 0) to.width = resize.crop_width;
  return to;
}

Resize resize_of_picture(const Resize& own, const Resize& common) {
  Resize wanted = own;
  if (own.rule == ResizeRule::none) {
    wanted = common;
    if (own.crop_height != 0) {
      wanted.crop_height = own.crop_height;
      wanted.crop_width = own.crop_width;
      wanted.crop_rounding = own.crop_rounding;
    }
  }
  if (wanted.rule == ResizeRule::shorter && wanted.crop_height == 0)
    wanted.crop_height = wanted.crop_width = wanted.height;
  const bool crops =
      wanted.crop_height != 0 &&
      (wanted.rule != ResizeRule::exact || wanted.crop_height != wanted.height || wanted.crop_width != wanted.width);
  if (!crops) {  // the same in every spelling
    wanted.crop_height = wanted.crop_width = 0;
    wanted.crop_rounding = CropRounding::half_even;
  }
  return wanted;
}

ImageShape fixed_shape(const Resize& resize) {
  if (resize.crop_height != 0 && resize.crop_width != 0) return {3, resize.crop_height, resize.crop_width};
  if (resize.rule == ResizeRule::exact) return {3, resize.height, resize.width};
  throw Error(ErrorKind::usage, "the images of a folder differ in size, and need a crop to get the same size");
}

std::string to_text(const Resize& resize) {
  std::string text = "as they are";
  if (resize.rule == ResizeRule::exact) text = fmt::format("{}x{}", resize.height, resize.width);
  if (resize.rule == ResizeRule::shorter) text = fmt::format("shorter side {}", resize.height);
  if (resize.crop_height != 0) {
    text += fmt::format(", centre {}x{}", resize.crop_height, resize.crop_width);
    if (resize.crop_rounding != CropRounding::half_even)
      text += fmt::format(" (rounding {})", to_name(resize.crop_rounding));
  }
  if (resize.rule != ResizeRule::none) text += fmt::format(", {}", to_name(resize.interpolation));
  return text;
}

Resampler::Resampler(const Resize& resize, const ImageShape& from) : from_(from), to_(resized_shape(resize, from)) {
  const ImageShape whole = scaled_shape(resize, from);
  columns_ = ResampleAxis(resize.interpolation, from.width, whole.width, to_.width, resize.crop_rounding);
  rows_ = ResampleAxis(resize.interpolation, from.height, whole.height, to_.height, resize.crop_rounding);
}

std::uint64_t Resampler::buffer_bytes(const Resize& resize, const ImageShape& from) {
  const ImageShape to = resized_shape(resize, from);
  const std::uint64_t longest = std::max({from.width, to.width, to.height});
  const std::uint64_t between = in_lanes(to.width) * in_lanes(from.height) * from.channels;
  return (between + kLanes * (longest * from.channels + in_lanes(longest)) + 3 * kLanes) * sizeof(float);
}

template <class Value>
void Resampler::resize(std::span<const Value> in, std::span<Value> out, std::size_t interleaved) {
  assert(in.size() == from_.elements() && out.size() == to_.elements());
  const std::size_t rows = rows_.end - rows_.begin;
  const std::size_t pitch = in_lanes(columns_.size);
  const std::size_t plane = in_lanes(rows) * pitch;
  const Strips<Value> strips{room<Value>(strip_in_, (columns_.end - columns_.begin) * interleaved * kLanes),
                             room<Value>(strip_out_, in_lanes(std::max(columns_.size, rows_.size)) * kLanes)};
  Value* const between = room<Value>(between_, plane * from_.channels);
  if (columns_.size != to_.width || rows_.size != to_.height) std::fill(out.begin(), out.end(), Value{});
  const std::size_t all = std::size_t{from_.height} * from_.width * interleaved;
  for (std::size_t channel = 0; channel < from_.channels; channel += interleaved) {
    const Rows<const Value> source{in.data() + channel * all, from_.width * interleaved};
    const Rows<Value> target{between + channel * plane, pitch};
    for (std::size_t row = 0; row < rows; row += kLanes)
      across(source.at(rows_.begin + row, 0), std::min(kLanes, rows - row), interleaved, columns_, target.at(row, 0),
             plane, strips);
  }
  for (std::size_t channel = 0; channel < from_.channels; ++channel) {
    Value* const answer = out.data() + (channel * to_.height + rows_.skip) * to_.width + columns_.skip;
    down(between + channel * plane, pitch, rows_, columns_.size, strips.out, answer, to_.width);
  }
}

void Resampler::apply(std::span<const std::uint8_t> in, std::span<std::uint8_t> out) { resize(in, out, 1); }
void Resampler::apply(std::span<const float> in, std::span<float> out) { resize(in, out, 1); }
void Resampler::apply_interleaved(std::span<const std::uint8_t> in, std::span<std::uint8_t> out) {
  resize(in, out, from_.channels);
}

}  // namespace tutti
