#include "results/class_shares.hpp"

#include <algorithm>
#include <cmath>

namespace tutti::images {
namespace {

constexpr double kSmallestShare = 1e-12;

}  // namespace

void ClassShares::take(std::span<const float> row, ScoreKind kind) {
  row_ = row;
  kind_ = kind;
  terms_.resize(row.size());
  sum_ = 0.0;
  if (kind == ScoreKind::logits) {
    largest_ = *std::ranges::max_element(row);
    for (std::size_t i = 0; i < row.size(); ++i) sum_ += terms_[i] = std::exp(row[i] - largest_);
  } else {
    for (std::size_t i = 0; i < row.size(); ++i) sum_ += terms_[i] = row[i];
  }
}

double ClassShares::loss(std::size_t label) const {
  if (kind_ == ScoreKind::logits) return std::log(sum_) + largest_ - row_[label];
  const double own = share(label);
  // Written so that a NaN stays a NaN: it must not be counted as a very bad answer.
  return -std::log(own < kSmallestShare ? kSmallestShare : own);
}

}  // namespace tutti::images
