#include "coordinator/decide/value_rules.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "common/check.hpp"
#include "common/wide_vectors.hpp"
#include "coordinator/decide/logarithm.hpp"

namespace tutti {
namespace {

/// Values that are combined together. The loop over the members is outside the loop over a block, so that the compiler
/// vectorises the latter, and each value's sum is still in rank order.
constexpr std::size_t kBlock = 512;
using Floats = std::array<float, kBlock>;

/// Calls `combine(begin, size)` for each block of `values` values.
template <class Combine>
void for_each_block(std::size_t values, Combine combine) {
  for (std::size_t begin = 0; begin < values; begin += kBlock) combine(begin, std::min(kBlock, values - begin));
}

/// Sets each value of `run` to `finish` of the sum of the members' terms. `term_of(m)` gives the function that makes a
/// term of a value of member m.
template <class Sum, class TermOf, class Finish>
void write_sums(Answers members, std::size_t first, std::span<float> run, TermOf term_of, Finish finish) {
  for_each_block(run.size(), [&](std::size_t begin, std::size_t size) {
    std::array<Sum, kBlock> sums;
    std::fill_n(sums.begin(), size, Sum{0});
    for (std::size_t m = 0; m < members.size(); ++m) {
      const auto term = term_of(m);
      const float* const x = members[m].data() + first + begin;
      for (std::size_t i = 0; i < size; ++i) sums[i] += term(x[i]);
    }
    float* const values = run.data() + begin;
    for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(finish(sums[i]));
  });
}

/// NaN where any value is: a NaN is not less than any value, and no value is more than one.
void write_largest(Answers members, std::size_t first, std::span<float> run) {
  for_each_block(run.size(), [&](std::size_t begin, std::size_t size) {
    Floats most;
    std::copy_n(members.front().data() + first + begin, size, most.begin());
    for (const auto member : members.subspan(1)) {
      const float* const x = member.data() + first + begin;
      for (std::size_t i = 0; i < size; ++i) most[i] = most[i] < x[i] || std::isnan(x[i]) ? x[i] : most[i];
    }
    std::copy_n(most.begin(), size, run.data() + begin);
  });
}

// ---- median --------------------------------------------------------------------------------------------------------

/// Sorts each column of `count` rows until the row `lowest` and those above are in place: a bubble sort, in which each
/// step is a minimum and a maximum of whole rows. Only neighbours change places, and only if they are not equal, so 0
/// and -0 stay in rank order. One loop for each result: of one loop for both, GCC makes branches.
void sort_columns(float* rows, std::size_t count, std::size_t lowest, std::size_t size) {
  Floats most;
  for (std::size_t last = count - 1; last > 0 && last >= lowest; --last) {
    std::copy_n(rows, size, most.begin());
    for (std::size_t m = 1; m <= last; ++m) {
      const float* const x = rows + m * kBlock;
      float* const lower = rows + (m - 1) * kBlock;
      for (std::size_t i = 0; i < size; ++i) lower[i] = x[i] < most[i] ? x[i] : most[i];
      for (std::size_t i = 0; i < size; ++i) most[i] = x[i] < most[i] ? most[i] : x[i];
    }
    std::copy_n(most.begin(), size, rows + last * kBlock);
  }
}

/// `rows` is memory that is used again.
template <class Sum>
void write_medians(Answers members, std::size_t first, std::span<float> run, std::vector<float>& rows) {
  const std::size_t count = members.size();
  rows.resize(count * kBlock);
  const float* const upper = rows.data() + count / 2 * kBlock;
  const float* const lower = rows.data() + (count - 1) / 2 * kBlock;
  for_each_block(run.size(), [&](std::size_t begin, std::size_t size) {
    // Becomes NaN where any value is: a NaN is not less than any value, and would keep others from their places.
    Floats nan;
    std::fill_n(nan.begin(), size, 0.0F);
    for (std::size_t m = 0; m < count; ++m) {
      float* const row = rows.data() + m * kBlock;
      std::copy_n(members[m].data() + first + begin, size, row);
      for (std::size_t i = 0; i < size; ++i) nan[i] = std::isnan(row[i]) ? row[i] : nan[i];
    }
    sort_columns(rows.data(), count, (count - 1) / 2, size);
    float* const values = run.data() + begin;
    if (lower == upper) {
      std::copy_n(upper, size, values);
    } else {
      for (std::size_t i = 0; i < size; ++i)
        values[i] = static_cast<float>((static_cast<Sum>(lower[i]) + static_cast<Sum>(upper[i])) / Sum{2});
    }
    for (std::size_t i = 0; i < size; ++i) values[i] = std::isnan(nan[i]) ? nan[i] : values[i];
  });
}

// ---- geometric mean ------------------------------------------------------------------------------------------------

/// So many float32 numbers multiplied in float64 neither overflow nor become subnormal: each is 2^-149 at least and
/// below 2^128.
constexpr std::size_t kFactors = 6;

using Logs = std::array<double, kBlock>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Sets each of the first `size` logs to the sum over the members of the logarithm of `factor`, a number of float32's
/// range, of their values. One logarithm of a product replaces up to kFactors logarithms.
template <class Factor>
void add_up_logs(Answers members, std::size_t first, std::size_t size, Factor factor, Logs& logs) {
  Logs least;
  std::fill_n(least.begin(), size, 0.0);
  std::fill_n(logs.begin(), size, 0.0);
  for (std::size_t begin = 0; begin < members.size(); begin += kFactors) {
    Logs product;
    std::fill_n(product.begin(), size, 1.0);
    for (const auto member : members.subspan(begin, std::min(kFactors, members.size() - begin))) {
      const float* const x = member.data() + first;
      for (std::size_t i = 0; i < size; ++i) product[i] *= factor(x[i]);
      for (std::size_t i = 0; i < size; ++i) least[i] = factor(x[i]) < least[i] ? factor(x[i]) : least[i];
    }
    Logs log;
    for (std::size_t i = 0; i < size; ++i) log[i] = ln_of_normal(product[i]);
    for (std::size_t i = 0; i < size; ++i) logs[i] += with_limits(product[i], log[i]);
  }
  // A negative number has no logarithm, though the product of two has one.
  for (std::size_t i = 0; i < size; ++i) logs[i] = least[i] < 0 ? kNan : logs[i];
}

double itself(float x) { return static_cast<double>(x); }
double opposite(float x) { return 1.0 - static_cast<double>(x); }

/// exp() of the first `size` numbers, to be rounded to float32.
void exponentiate(std::size_t size, Logs& numbers) {
  for (std::size_t i = 0; i < size; ++i) numbers[i] = numbers[i] < -kMostExponent ? -kMostExponent : numbers[i];
  for (std::size_t i = 0; i < size; ++i) numbers[i] = numbers[i] > kMostExponent ? kMostExponent : numbers[i];
  for (std::size_t i = 0; i < size; ++i) numbers[i] = exp_within(numbers[i]);
}

void write_geometric_means(Answers members, std::size_t first, std::span<float> run) {
  for_each_block(run.size(), [&](std::size_t begin, std::size_t size) {
    Logs logs;
    add_up_logs(members, first + begin, size, itself, logs);
    const double share = 1.0 / static_cast<double>(members.size());
    for (std::size_t i = 0; i < size; ++i) logs[i] *= share;
    exponentiate(size, logs);
    float* const values = run.data() + begin;
    for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(logs[i]);
  });
}

/// Of p against 1 - p, whose geometric means are g and h: g / (g + h) = 1 / (1 + exp(ln h - ln g)).
void write_label_means(Answers members, std::size_t first, std::span<float> run) {
  for_each_block(run.size(), [&](std::size_t begin, std::size_t size) {
    Logs logs;
    Logs against;
    add_up_logs(members, first + begin, size, itself, logs);
    add_up_logs(members, first + begin, size, opposite, against);
    const double share = 1.0 / static_cast<double>(members.size());
    // Below all that 1 - p gives, so that where both means are 0 the difference is that of g = 0 and not NaN.
    constexpr double kLeast = -1000.0;
    for (std::size_t i = 0; i < size; ++i) against[i] *= share;
    for (std::size_t i = 0; i < size; ++i) against[i] = against[i] < kLeast ? kLeast : against[i];
    for (std::size_t i = 0; i < size; ++i) logs[i] = against[i] - logs[i] * share;
    exponentiate(size, logs);
    float* const values = run.data() + begin;
    for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(1.0 / (1.0 + logs[i]));
  });
}

}  // namespace

void ValueRule::write(std::size_t first, std::span<float> run) {
  with_wide_vectors([&] { spec_.accumulate_f64 ? write_in<double>(first, run) : write_in<float>(first, run); });
}

template <class Sum>
void ValueRule::write_in(std::size_t first, std::span<float> run) {
  const auto value = [](std::size_t) { return [](float x) { return static_cast<Sum>(x); }; };
  switch (spec_.rule) {
    case CombineRule::mean:
      return write_sums<Sum>(members_, first, run, value,
                             [n = static_cast<Sum>(members_.size())](Sum sum) { return sum / n; });
    case CombineRule::sum:
      return write_sums<Sum>(members_, first, run, value,
                             [scale = static_cast<Sum>(scale_)](Sum sum) { return sum * scale; });
    case CombineRule::weighted: {
      Sum divisor{1};
      if (spec_.normalize) divisor = std::accumulate(weights_.begin(), weights_.end(), Sum{0});
      return write_sums<Sum>(
          members_, first, run,
          [this](std::size_t m) {
            return [weight = static_cast<Sum>(weights_[m])](float x) { return weight * static_cast<Sum>(x); };
          },
          [scale = static_cast<Sum>(scale_), divisor](Sum sum) { return sum * scale / divisor; });
    }
    case CombineRule::max:
      return write_largest(members_, first, run);
    case CombineRule::median:
      return write_medians<Sum>(members_, first, run, columns_);
    case CombineRule::geometric_mean:
      return spec_.activation == Activation::sigmoid ? write_label_means(members_, first, run)
                                                     : write_geometric_means(members_, first, run);
    case CombineRule::most_confident:
    case CombineRule::vote:
    case CombineRule::none:
      break;
  }
  TUTTI_UNREACHABLE("not a rule of single values");
}

}  // namespace tutti
