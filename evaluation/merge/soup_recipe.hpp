// The greedy soup of Wortsman et al. 2022 ("Model soups", recipe 1): takes members in falling order of their held-out
// accuracy, and adds a member if the accuracy of the average does not fall. It only decides: its user merges, measures
// and passes in the accuracies.
// Candidates are proposed several at a time. Each is what the recipe would try if those before it were not added. The
// first one that is good enough is added, and those after it are forgotten, so the result is the same as trying them
// one by one, however many are proposed.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace tutti {

/// One decision: the accuracy of the soup with this member added.
struct SoupStep {
  std::size_t member = 0;
  double accuracy = 0;
  bool added = false;
  friend bool operator==(const SoupStep&, const SoupStep&) = default;
};

/// Members are numbered by their index in `accuracies`. A value.
class SoupRecipe {
 public:
  /// There must be at least one; members of equal accuracy keep their order.
  explicit SoupRecipe(std::span<const double> accuracies);

  const std::vector<std::size_t>& order() const noexcept { return order_; }
  const std::vector<std::size_t>& chosen() const noexcept { return chosen_; }  ///< in the order of being added
  const std::vector<SoupStep>& steps() const noexcept { return steps_; }       ///< the first: the best member by itself
  double accuracy() const noexcept { return accuracy_; }                       ///< of the average of the chosen
  bool done() const noexcept { return next_ == order_.size(); }

  /// The members of each candidate soup, the new one last. At most `most` candidates; none when done.
  std::vector<std::vector<std::size_t>> candidates(std::size_t most) const;
  /// Takes the accuracies of the candidates that were proposed last.
  void take(std::span<const double> accuracies);

 private:
  std::vector<std::size_t> order_;
  std::vector<std::size_t> chosen_;
  std::vector<SoupStep> steps_;
  double accuracy_ = 0;
  std::size_t next_ = 0;  ///< in order_: the first member that is not decided yet
};

}  // namespace tutti
