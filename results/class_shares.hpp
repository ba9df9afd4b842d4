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

  std::size_t classes() const noexcept { return terms_.size(); }
  /// NaN if any score is NaN; 0 if the scores sum to 0.
  double share(std::size_t index) const { return sum_ == 0.0 ? 0.0 : terms_[index] / sum_; }
  /// The negative log likelihood of `label`; of probabilities, a share below 1e-12 counts as 1e-12.
  double loss(std::size_t label) const;
  /// All shares, as double or float; `shares` holds classes() values.
  template <class Value>
  void write(std::span<Value> shares) const {
    for (std::size_t i = 0; i < terms_.size(); ++i) shares[i] = static_cast<Value>(share(i));
  }

 private:
  std::span<const float> row_;
  ScoreKind kind_ = ScoreKind::probabilities;
  std::vector<double> terms_;  ///< the shares times their sum
  double sum_ = 0.0;
  double largest_ = 0.0;  ///< logit: taken out so that exp() cannot overflow
};

}  // namespace tutti::images
