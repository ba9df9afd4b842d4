// The greedy soup of Wortsman et al. 2022 ("Model soups", recipe 1): members in falling order of their held-out
// accuracy; one is added where the accuracy of the average does not fall. Decides only: who merges and measures hands
// in the accuracies.
//
// Candidates are proposed several at a time. Each is what the recipe would try if those before it were not added; the
// first that is good enough is added and those behind it are forgotten, so that the result is that of trying them one
// by one, whatever the number.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace tutti::program {

/// One decision: the members of the soup with this one among them have this accuracy.
struct SoupStep {
  std::size_t member = 0;
  double accuracy = 0;
  bool added = false;
  friend bool operator==(const SoupStep&, const SoupStep&) = default;
};

/// Members are counted by their place in `accuracies`. A value.
class SoupRecipe {
 public:
  /// At least one; those of equal accuracy keep their order.
  explicit SoupRecipe(std::span<const double> accuracies);

  const std::vector<std::size_t>& order() const noexcept { return order_; }
  const std::vector<std::size_t>& chosen() const noexcept { return chosen_; }  ///< in the order of being added
  const std::vector<SoupStep>& steps() const noexcept { return steps_; }       ///< the first: the best member alone
  double accuracy() const noexcept { return accuracy_; }                       ///< of the average of the chosen
  bool done() const noexcept { return next_ == order_.size(); }

  /// The members of each candidate soup, the new one last; at most `most` candidates, none when done.
  std::vector<std::vector<std::size_t>> candidates(std::size_t most) const;
  /// The accuracies of the candidates that were proposed last.
  void take(std::span<const double> accuracies);

 private:
  std::vector<std::size_t> order_;
  std::vector<std::size_t> chosen_;
  std::vector<SoupStep> steps_;
  double accuracy_ = 0;
  std::size_t next_ = 0;  ///< in order_: the first that nothing was decided about
};

}  // namespace tutti::program
