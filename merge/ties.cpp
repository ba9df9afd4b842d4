// TIES-Merging (Yadav et al. 2023, "TIES-Merging: resolving interference when merging models"): of each task vector
// x_i - b only the largest values stay (trim), each place gets the sign of their sum (elect), and only the values of
// that sign are averaged or summed (disjoint).
//
// Trimming needs the k-th smallest magnitude of each task vector over the whole model. Radix select finds it exactly
// without holding the vector: magnitudes are ordered like their bits, and each pass over the checkpoints determines 16
// bits with a histogram, so float32 needs two passes.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <type_traits>

#include "merge/method.hpp"

namespace tutti::merge {
namespace {

constexpr unsigned kDigitBits = 16;
constexpr std::size_t kDigits = std::size_t{1} << kDigitBits;

template <class Real>
using BitsOf = std::conditional_t<sizeof(Real) == 4, std::uint32_t, std::uint64_t>;

template <class Real>
BitsOf<Real> magnitude_bits(Real value) {
  return std::bit_cast<BitsOf<Real>>(std::fabs(value));
}

/// Searches for one task vector's threshold.
template <class Real>
class Selection {
 public:
  /// The `rank`-th smallest, from 1.
  explicit Selection(std::uint64_t rank) : rank_(rank) {}

  unsigned shift() const noexcept { return shift_; }
  /// Whether a value can still be the threshold: it has all bits that are determined.
  bool takes(BitsOf<Real> bits) const noexcept { return ((bits ^ found_) >> shift_) >> kDigitBits == 0; }
  Real value() const noexcept { return std::bit_cast<Real>(found_); }

  /// `counts` of the digits at shift() among all values that it takes.
  void settle(std::span<const std::uint64_t> counts) {
    std::size_t digit = 0;
    while (counts[digit] < rank_) rank_ -= counts[digit++];
    found_ |= static_cast<BitsOf<Real>>(digit) << shift_;
    shift_ -= kDigitBits;
  }

 private:
  std::uint64_t rank_;
  unsigned shift_ = 8 * sizeof(Real) - kDigitBits;
  BitsOf<Real> found_ = 0;
};

/// The thresholds of all inputs at once.
template <class Real>
class Thresholds {
 public:
  Thresholds(const Workload<Real>& work, std::uint64_t rank)
      : work_(work), selections_(work.inputs, Selection<Real>(rank)) {}

  std::vector<Real> find() {
    for (std::size_t pass = 0; pass < 8 * sizeof(Real) / kDigitBits; ++pass) settle_digit();
    std::vector<Real> values;
    for (const Selection<Real>& selection : selections_) values.push_back(selection.value());
    return values;
  }

 private:
  void settle_digit() {
    counts_.assign(work_.threads, std::vector<std::uint64_t>(work_.inputs * kDigits));
    work_.scan([&](std::size_t, const Chunk& chunk, Lane<Real>& lane, unsigned thread) {
      const MergedTensor& tensor = work_.tensors[chunk.tensor];
      const std::span<const Real> base = lane.base(*tensor.base, chunk);
      for (std::size_t i = 0; i < work_.inputs; ++i)
        count(selections_[i], lane.values(tensor.inputs[i], chunk), base, counts_[thread].data() + i * kDigits);
    });
    for (std::size_t thread = 1; thread < counts_.size(); ++thread)
      for (std::size_t i = 0; i < counts_[0].size(); ++i) counts_[0][i] += counts_[thread][i];
    for (std::size_t i = 0; i < work_.inputs; ++i)
      selections_[i].settle(std::span(counts_[0]).subspan(i * kDigits, kDigits));
  }

  static void count(const Selection<Real>& selection, std::span<const Real> values, std::span<const Real> base,
                    std::uint64_t* counts) {
    for (std::size_t j = 0; j < values.size(); ++j) {
      const BitsOf<Real> bits = magnitude_bits<Real>(values[j] - base[j]);
      if (selection.takes(bits)) ++counts[bits >> selection.shift() & (kDigits - 1)];
    }
  }

  const Workload<Real>& work_;
  std::vector<Selection<Real>> selections_;         ///< by input
  std::vector<std::vector<std::uint64_t>> counts_;  ///< by thread: inputs x digits
};

std::uint64_t values_of(std::span<const Chunk> chunks) {
  std::uint64_t count = 0;
  for (const Chunk& chunk : chunks) count += chunk.count;
  return count;
}

template <class Real>
class Ties final : public Method<Real> {
 public:
  Ties(const Workload<Real>& work, const MergeSettings& settings)
      : scaling_(static_cast<Real>(settings.scaling)), mean_(settings.disjoint == Disjoint::mean) {
    const std::uint64_t count = values_of(work.chunks);
    // The authors' code counts like this: of d values the (d - int(d density))-th smallest and all larger ones stay.
    const auto dropped = count - static_cast<std::uint64_t>(static_cast<double>(count) * settings.density);
    thresholds_.assign(work.inputs, Real{0});
    if (count > 0 && dropped > 0) thresholds_ = Thresholds<Real>(work, dropped).find();
  }

  void compute(const MergedTensor& tensor, const Chunk& chunk, Lane<Real>& lane, std::span<Real> out) const override {
    const std::span<const Real> base = lane.base(*tensor.base, chunk);
    const Sums sums{lane.zeros(0, chunk.count), lane.zeros(1, chunk.count), lane.zeros(2, chunk.count),
                    lane.zeros(3, chunk.count), lane.zeros(4, chunk.count)};
    for (std::size_t i = 0; i < tensor.inputs.size(); ++i)
      add(lane.values(tensor.inputs[i], chunk), base, thresholds_[i], sums);
    for (std::size_t j = 0; j < out.size(); ++j) out[j] = base[j] + scaling_ * elected(sums, j);
  }

 private:
  struct Sums {
    std::span<Real> all;       ///< sums of all kept values; their signs are the elected ones
    std::span<Real> positive;  ///< sums of the positive values
    std::span<Real> negative;
    std::span<Real> positives;  ///< how many there are
    std::span<Real> negatives;
  };

  static void add(std::span<const Real> values, std::span<const Real> base, Real threshold, const Sums& sums) {
    for (std::size_t j = 0; j < values.size(); ++j) {
      const Real change = values[j] - base[j];
      const Real kept = std::fabs(change) < threshold ? Real{0} : change;  // NaN is kept, so that the result shows it
      sums.all[j] += kept;
      sums.positive[j] += kept > 0 ? kept : Real{0};
      sums.negative[j] += kept < 0 ? kept : Real{0};
      sums.positives[j] += kept > 0 ? Real{1} : Real{0};
      sums.negatives[j] += kept < 0 ? Real{1} : Real{0};
    }
  }

  Real elected(const Sums& sums, std::size_t j) const {
    const Real all = sums.all[j];
    if (all > 0) return mean_ ? sums.positive[j] / sums.positives[j] : sums.positive[j];
    if (all < 0) return mean_ ? sums.negative[j] / sums.negatives[j] : sums.negative[j];
    return all;  // nothing was kept, or the sum is 0: no change
  }

  Real scaling_;
  bool mean_;
  std::vector<Real> thresholds_;  ///< by input
};

}  // namespace

template <class Real>
std::unique_ptr<Method<Real>> make_ties(const Workload<Real>& work, const MergeSettings& settings) {
  return std::make_unique<Ties<Real>>(work, settings);
}

template std::unique_ptr<Method<float>> make_ties(const Workload<float>&, const MergeSettings&);
template std::unique_ptr<Method<double>> make_ties(const Workload<double>&, const MergeSettings&);

}  // namespace tutti::merge
