#include "results/exact_sum.hpp"

#include <bit>
#include <cmath>
#include <limits>

namespace tutti::images {
namespace {

constexpr int kMantissaBits = 52;
constexpr int kExponentBias = 1075;  // of the mantissa as a whole number
constexpr int kLowestPlace = -34;    // that of 2^-1074
constexpr int kHighestPlace = 32;

constexpr std::uint8_t kNan = 1;
constexpr std::uint8_t kInfinite = 2;
constexpr std::uint8_t kMinusInfinite = 4;
constexpr std::uint8_t kAllSpecial = kNan | kInfinite | kMinusInfinite;

// Wraps around: what a damaged journal holds must not be undefined behaviour.
std::int64_t plus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

// Small numbers of both signs as small counts.
std::uint64_t folded(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1U) ^ static_cast<std::uint64_t>(value >> 63);
}
std::int64_t unfolded(std::uint64_t count) { return static_cast<std::int64_t>((count >> 1U) ^ (0 - (count & 1U))); }

}  // namespace

void ExactSum::add(double term) {
  const auto bits = std::bit_cast<std::uint64_t>(term);
  const bool negative = bits >> 63U != 0;
  const auto exponent = static_cast<int>(bits >> kMantissaBits & 0x7ff);
  if (exponent == 0x7ff) {
    special_ |= std::isnan(term) ? kNan : negative ? kMinusInfinite : kInfinite;
    return;
  }
  const std::uint64_t fraction = bits & ((std::uint64_t{1} << kMantissaBits) - 1);
  const std::uint64_t mantissa = exponent == 0 ? fraction : fraction | std::uint64_t{1} << kMantissaBits;
  if (mantissa == 0) return;
  const int lowest_bit = (exponent == 0 ? 1 : exponent) - kExponentBias;
  const int place = lowest_bit >> 5;
  const auto shift = static_cast<unsigned>(lowest_bit & 31);
  const std::uint64_t low = mantissa << shift;
  const std::uint64_t high = shift == 0 ? 0 : mantissa >> (64 - shift);
  const int highest = place + (high != 0 ? 2 : low >> 32U != 0 ? 1 : 0);
  if (empty_ || highest > top_) raise(static_cast<std::int16_t>(highest));
  const std::array<std::uint64_t, 3> parts{low & 0xffffffff, low >> 32U, high};
  for (std::size_t part = 0; part < parts.size(); ++part) {
    // Of a place that is not kept, or, for digits of 0, above the top.
    const auto below =
        static_cast<std::size_t>(static_cast<std::ptrdiff_t>(top_ - place) - static_cast<std::ptrdiff_t>(part));
    if (below >= kPlaces) continue;
    const auto digit = static_cast<std::int64_t>(parts[part]);
    digits_[below] = plus(digits_[below], negative ? -digit : digit);
  }
}

void ExactSum::raise(std::int16_t place) {
  const std::size_t by = empty_ ? kPlaces : static_cast<std::size_t>(place - top_);
  for (std::size_t i = kPlaces; i-- > 0;) digits_[i] = i >= by ? digits_[i - by] : 0;
  top_ = place;
  empty_ = false;
}

void ExactSum::add(const ExactSum& sum) {
  special_ |= sum.special_;
  if (sum.empty_) return;
  if (empty_ || sum.top_ > top_) raise(sum.top_);
  const auto below = static_cast<std::size_t>(top_ - sum.top_);
  for (std::size_t i = 0; i + below < kPlaces; ++i) digits_[i + below] = plus(digits_[i + below], sum.digits_[i]);
}

double ExactSum::value() const {
  const bool both = (special_ & kInfinite) != 0 && (special_ & kMinusInfinite) != 0;
  if ((special_ & kNan) != 0 || both) return std::numeric_limits<double>::quiet_NaN();
  if (special_ != 0) return (special_ & kInfinite) != 0 ? HUGE_VAL : -HUGE_VAL;
  double sum = 0.0;
  for (std::size_t i = kPlaces; i-- > 0;)
    sum += std::ldexp(static_cast<double>(digits_[i]), 32 * (top_ - static_cast<int>(i)));
  return sum;
}

void ExactSum::write(SumWriter& out) const {
  out.count(empty_ ? 0 : static_cast<std::uint64_t>(top_ - kLowestPlace + 1));
  out.count(special_);
  for (std::size_t i = 0; !empty_ && i < kPlaces; ++i) out.count(folded(digits_[i]));
}

void ExactSum::read(SumReader& in) {
  const std::uint64_t top = in.count(kHighestPlace - kLowestPlace + 1);
  special_ = static_cast<std::uint8_t>(in.count(kAllSpecial));
  empty_ = top == 0;
  top_ = empty_ ? std::int16_t{0} : static_cast<std::int16_t>(static_cast<int>(top) - 1 + kLowestPlace);
  for (std::int64_t& digit : digits_) digit = empty_ ? 0 : unfolded(in.count());
}

}  // namespace tutti::images
