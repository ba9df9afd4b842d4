#include "results/class_shares.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tutti::images {
namespace {

constexpr double kSmallestShare = 1e-12;
/// Of that share; the logits of an impossible class give no larger one.
const double kLargestLoss = -std::log(kSmallestShare);

}  // namespace

void ClassShares::take(std::span<const float> row, ScoreKind kind) {
  row_ = row;
  kind_ = kind;
  if (kind == ScoreKind::probabilities) {
    sum_ = std::accumulate(row.begin(), row.end(), 0.0);
    return;
  }
  exponentials_.resize(row.size());
  const double largest = *std::ranges::max_element(row);
  double sum = 0.0;
  for (std::size_t i = 0; i < row.size(); ++i) sum += exponentials_[i] = std::exp(row[i] - largest);
  largest_ = largest;
  sum_ = sum;
}

double ClassShares::loss(std::size_t label) const {
  if (kind_ == ScoreKind::logits) {
    const double loss = std::log(sum_) + largest_ - row_[label];
    return loss > kLargestLoss ? kLargestLoss : loss;
  }
  const double own = share(label);
  // Written so that a NaN stays a NaN: it must not be counted as a very bad answer.
  return -std::log(own < kSmallestShare ? kSmallestShare : own);
}

}  // namespace tutti::images
