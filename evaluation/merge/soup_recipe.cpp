#include "evaluation/merge/soup_recipe.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace tutti {

SoupRecipe::SoupRecipe(std::span<const double> accuracies) : order_(accuracies.size()) {
  assert(!accuracies.empty());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::ranges::stable_sort(order_, [&](std::size_t a, std::size_t b) { return accuracies[a] > accuracies[b]; });
  accuracy_ = accuracies[order_.front()];
  chosen_.push_back(order_.front());
  steps_.push_back({order_.front(), accuracy_, true});
  next_ = 1;
}

std::vector<std::vector<std::size_t>> SoupRecipe::candidates(std::size_t most) const {
  std::vector<std::vector<std::size_t>> soups;
  for (std::size_t i = next_; i < order_.size() && soups.size() < most; ++i) {
    soups.push_back(chosen_);
    soups.back().push_back(order_[i]);
  }
  return soups;
}

void SoupRecipe::take(std::span<const double> accuracies) {
  assert(accuracies.size() <= order_.size() - next_);
  for (const double accuracy : accuracies) {
    const std::size_t member = order_[next_++];
    const bool added = accuracy >= accuracy_;
    steps_.push_back({member, accuracy, added});
    if (!added) continue;
    chosen_.push_back(member);
    accuracy_ = accuracy;
    return;  // the others were measured with another soup
  }
}

}  // namespace tutti
