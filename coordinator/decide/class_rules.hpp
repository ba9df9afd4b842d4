// What compares the classes of a position: the predicted class, the normalisation, and the combine rules vote and
// most_confident. Also the order in which positions are worked off. The other rules are in value_rules.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "coordinator/decide/class_axis.hpp"
#include "coordinator/decide/value_rules.hpp"

namespace tutti {

/// Neighbouring positions: the value of class c at the p-th of them is values[first + c * inner + p].
struct Patch {
  std::size_t first;     ///< where the value of class 0 at the first position is
  std::size_t size;      ///< positions, at most kMost
  std::size_t position;  ///< the number of the first, counted over all samples

  static constexpr std::size_t kMost = 4096;
};

/// Calls `work(patch)` for patches that together are all positions of `samples`.
template <class Work>
void for_each_patch(std::uint64_t samples, const ClassAxis& axis, Work work) {
  for (std::size_t block = 0; block < samples * axis.outer; ++block)
    for (std::size_t p = 0; p < axis.inner; p += Patch::kMost)
      work(Patch{block * axis.classes * axis.inner + p, std::min<std::size_t>(Patch::kMost, axis.inner - p),
                 block * axis.inner + p});
}

/// The class with the largest value at each position of a patch, of equal ones the lowest, and that value. The classes
/// are looked at one after the other, from class 0 on.
class Decisions {
 public:
  /// `x` holds the values of class `c` at `size` positions.
  void look(std::uint32_t c, const float* x, std::size_t size);
  /// Looks at all classes of a patch.
  void look_at(const float* values, const ClassAxis& axis, const Patch& patch);

  const std::uint32_t* classes() const { return classes_.data(); }
  const float* tops() const { return tops_.data(); }

 private:
  std::array<std::uint32_t, Patch::kMost> classes_;
  std::array<float, Patch::kMost> tops_;
};

/// Writes the values that a rule gives, and the class with the largest value at each position. One thread.
class Predictor {
 public:
  /// With `normalises`, the values of each position are divided by their sum, unless that is 0.
  Predictor(ValueRule& rule, bool normalises, const ClassAxis& axis)
      : rule_(rule), normalises_(normalises), axis_(axis) {}
  /// For `samples` predictions.
  void write(std::uint64_t samples, float* values, std::int64_t* predicted);

 private:
  void finish_row(std::span<float> row, std::int64_t* predicted) const;
  /// Looks at the values of class `c` of a patch, class 0 first.
  void look(std::uint32_t c, const float* x, std::size_t size);
  /// When all classes were looked at.
  void finish(const Patch& patch, float* values, std::int64_t* predicted);

  ValueRule& rule_;
  bool normalises_;
  const ClassAxis& axis_;
  Decisions decisions_;
  std::array<double, Patch::kMost> sums_;
};

/// The rule most_confident of accumulator.hpp. One thread.
class MostConfident {
 public:
  MostConfident(Answers members, const ClassAxis& axis) : members_(members), axis_(axis) {}
  void write(const Patch& patch, float* values, std::int64_t* predicted);

 private:
  void write_row(std::size_t first, float* values, std::int64_t* predicted) const;

  Answers members_;
  const ClassAxis& axis_;
  Decisions decisions_;
  std::array<float, Patch::kMost> confidence_;
  std::array<std::uint32_t, Patch::kMost> chosen_;  ///< a place in members_
};

/// The rule vote of accumulator.hpp, with sums of the type Sum. One thread.
template <class Sum>
class Vote {
 public:
  /// The weights are not negative, and their sum is positive.
  Vote(Answers members, std::span<const float> weights, const ClassAxis& axis);
  void write(const Patch& patch, float* values, std::int64_t* predicted);

 private:
  /// Decides at one position, where the value of class 0 is values[place], and returns the class.
  std::uint32_t count_votes(std::size_t place, std::size_t p, float* values);
  /// Of those that share the most votes.
  std::uint32_t best_leader(std::size_t place);
  /// The sum of the weighted values at `place`.
  Sum score(std::size_t place) const;
  std::uint32_t choice(std::size_t member, std::size_t p) const { return choices_[member * most_ + p]; }

  Answers members_;
  std::span<const float> weights_;
  const ClassAxis& axis_;
  Sum total_;
  std::size_t most_;  ///< positions of a patch
  Decisions decisions_;
  std::vector<std::uint32_t> choices_;  ///< the class that each member votes for, per position of the patch
  std::vector<Sum> votes_;              ///< by class; 0 between two positions
  std::vector<std::uint32_t> leaders_;  ///< the classes with the most votes at a position
};

}  // namespace tutti
