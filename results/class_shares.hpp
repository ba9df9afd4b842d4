// One row of class scores as probabilities: computed once, for the loss, the calibration error and the disagreement
// of members. It knows neither labels nor models.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace tutti::images {

/// What the scores of an answer are. Features have no loss and no metrics.
enum class ScoreKind { probabilities, logits };

/// A value that keeps its memory from row to row; one thread.
class ClassShares {
 public:
  /// `row` holds one score per class, and stays valid as long as this row is asked about. Logits go through a softmax
  /// in float64, probabilities are divided by their sum, so that rules whose scores do not sum to 1 (sum, max, vote)
  /// can be compared.
  void take(std::span<const float> row, ScoreKind kind);

  std::size_t classes() const noexcept { return row_.size(); }
  /// NaN if any score is NaN; 0 if the scores sum to 0.
  double share(std::size_t index) const {
    const double term = kind_ == ScoreKind::logits ? exponentials_[index] : row_[index];
    return sum_ == 0.0 ? 0.0 : term / sum_;
  }
  /// The negative log likelihood of `label`; of probabilities, a share below 1e-12 counts as 1e-12.
  double loss(std::size_t label) const;
  /// All shares, as double or float; `shares` holds classes() values.
  template <class Value>
  void write(std::span<Value> shares) const {
    if (kind_ == ScoreKind::logits)
      write_parts<double>(exponentials_, shares);
    else
      write_parts<float>(row_, shares);
  }

 private:
  template <class Term, class Value>
  void write_parts(std::span<const Term> terms, std::span<Value> shares) const {
    const double sum = sum_;  // a local, since `shares` could be anywhere
    for (std::size_t i = 0; i < terms.size(); ++i)
      shares[i] = static_cast<Value>(sum == 0.0 ? 0.0 : static_cast<double>(terms[i]) / sum);
  }

  std::span<const float> row_;
  ScoreKind kind_ = ScoreKind::probabilities;
  std::vector<double> exponentials_;  ///< of logits less the largest
  double largest_ = 0.0;              ///< logit: taken out so that exp() cannot overflow
  double sum_ = 0.0;                  ///< of the exponentials, or of probabilities
};

}  // namespace tutti::images
