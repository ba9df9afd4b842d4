#include "results/fixed_sum.hpp"

#include <bit>
#include <cmath>

namespace tutti::images {

void FixedSum::add(double term) {
  if (!(std::fabs(term) < kLargest)) {
    others_ += term;
    return;
  }
  // Scaling by powers of two is exact, and so is taking the whole part off a number that is not negative.
  const double scaled = std::ldexp(std::fabs(term), 16);
  const double whole = std::floor(scaled);
  FixedSum one;
  one.high_ = static_cast<std::int64_t>(whole);
  one.low_ = static_cast<std::uint64_t>(std::ldexp(scaled - whole, 64));
  if (std::signbit(term)) {
    // The two's complement of both words together.
    one.low_ = ~one.low_ + 1;
    one.high_ = one.low_ == 0 ? -one.high_ : ~one.high_;
  }
  add(one);
}

void FixedSum::add(const FixedSum& sum) {
  low_ += sum.low_;
  const std::uint64_t carry = low_ < sum.low_ ? 1 : 0;
  // As unsigned numbers, which may wrap around: what a damaged journal holds must not be undefined behaviour.
  high_ = static_cast<std::int64_t>(static_cast<std::uint64_t>(high_) + static_cast<std::uint64_t>(sum.high_) + carry);
  others_ += sum.others_;
}

double FixedSum::value() const {
  return std::ldexp(static_cast<double>(high_), -16) + std::ldexp(static_cast<double>(low_), -80) + others_;
}

void FixedSum::write(SumWriter& out) const {
  // Most sums are not negative, and most have no other terms.
  const bool others = std::bit_cast<std::uint64_t>(others_) != 0;
  out.count((static_cast<std::uint64_t>(high_) << 1U) | (others ? 1U : 0U));
  out.count(static_cast<std::uint64_t>(high_) >> 63U);
  out.raw(std::as_bytes(std::span(&low_, 1)));
  if (others) out.number(others_);
}

void FixedSum::read(SumReader& in) {
  const std::uint64_t first = in.count();
  const std::uint64_t sign = in.count(1);
  high_ = static_cast<std::int64_t>((first >> 1U) | (sign << 63U));
  in.raw(std::as_writable_bytes(std::span(&low_, 1)));
  others_ = (first & 1U) != 0 ? in.number() : 0.0;
}

}  // namespace tutti::images
