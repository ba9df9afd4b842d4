// How much the members of an ensemble contradict each other, image by image: computed only from their class scores,
// without labels, the same for every combine rule. It does not tell which member is right.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "results/exact_sum.hpp"

namespace tutti::images {

/// The columns of disagreement.npy. With p_m the class probabilities of member m of the M that are present, q their
/// mean (unweighted) and H the entropy in nats:
///
///   entropy             H(q): how undecided the ensemble is
///   mutual_information  H(q) - (sum H(p_m)) / M: the part of it that comes from members that differ; 0 if they are
///                       all equal, at most ln M (Depeweg et al., "Decomposition of Uncertainty", ICML 2018)
///   variance            the variance of p_m over the members (divided by M), averaged over the classes
///   dissent             the share of the members whose class is not that of q
enum class DisagreementColumn : std::size_t { entropy, mutual_information, variance, dissent };
constexpr std::size_t kDisagreementColumns = 4;

using DisagreementRow = std::array<float, kDisagreementColumns>;

/// Gathers means from image to image; the sums are exact (exact_sum.hpp). A value; one thread.
class Disagreement {
 public:
  /// One image: `shares` holds the class probabilities (ClassShares) of the members that are present, in rank order, as
  /// many for each. The row is NaN if no member is present or a share is NaN; such rows do not count in the means.
  DisagreementRow add(std::span<const double> shares, std::size_t members);

  /// What is added from now on is one segment. Call it for each that is written.
  void begin_segment() { segment_ = {}; }
  /// The sums of this segment.
  void write_segment(SumWriter& out) const;
  /// Adds a segment that was written, as if its images were added. Throws SumMisfit.
  void read_segment(SumReader& in);

  std::uint64_t images() const noexcept { return sums_.images; }  ///< in the means
  /// Nothing without images.
  std::optional<std::array<double, kDisagreementColumns>> means() const;

 private:
  struct Sums {
    std::uint64_t images = 0;
    std::array<ExactSum, kDisagreementColumns> columns{};

    void add(const DisagreementRow& row);
  };

  Sums sums_;
  Sums segment_;  // the current one
};

}  // namespace tutti::images
