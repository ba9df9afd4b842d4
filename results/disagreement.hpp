// How much the members of an ensemble contradict each other, image by image: computed only from their class scores,
// without labels, the same for every combine rule. It does not tell which member is right.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "results/metrics.hpp"

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
constexpr std::array<const char*, kDisagreementColumns> kDisagreementNames{"entropy", "mutual_information", "variance",
                                                                           "dissent"};

using DisagreementRow = std::array<float, kDisagreementColumns>;

/// Accumulates means over the segments, in float64. A value; one thread.
class Disagreement {
 public:
  /// `members` are those that are present, in rank order, each with `images` x `classes` scores; logits go through a
  /// softmax, probabilities are divided by their sum. One row per image: NaN if no member is present or a score is NaN;
  /// such rows do not count in the means.
  std::vector<DisagreementRow> add(std::span<const std::span<const float>> members, std::uint32_t images,
                                   std::uint32_t classes, ScoreKind kind);

  std::uint64_t images() const noexcept { return images_; }  ///< in the means
  /// Nothing without images.
  std::optional<std::array<double, kDisagreementColumns>> means() const;

 private:
  void count(const DisagreementRow& row);

  std::uint64_t images_ = 0;
  std::array<double, kDisagreementColumns> sums_{};
};

/// The class probabilities of one row of scores, for the loss and the disagreement: a softmax of logits in float64,
/// probabilities divided by their sum (unchanged if all are 0).
void shares_of(std::span<const float> row, ScoreKind kind, std::span<double> shares);

}  // namespace tutti::images
