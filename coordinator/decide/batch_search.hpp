// Decides how many images each member should compute at a time, from the times of rounds of work with different sizes.
// A pure state machine without a clock: the caller runs the rounds and passes their times.
//
// All members run in every round, because the size that is fastest for a member by itself may not be the fastest when
// others run too: cores share caches and the path to memory. Members of the same model on the same device form a group
// and get the same size. All groups try the same size at the same time, from the smallest on:
//
//   for each size: one round of a single batch (the model prepares itself for the size, memory is touched), then rounds
//   of about kRound until kEach has been spent; the fastest of them counts
//
// A group that was not faster by kTie than at its last improvement, twice in a row, stops searching and continues with
// its best size, as load for the others. The search ends after the last group or the last size, or when the next size
// would not fit into the budget. Of sizes that differ in speed by less than kTie the smallest is chosen: it needs less
// memory, and a segment is cut into more even parts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <tutti/status.hpp>

namespace tutti {

/// The sizes worth trying on segments of this length, ascending: doubling from 4 to `most`. If a divisor of the
/// segment is near, it is used instead, so that no short batch remains. Never empty.
std::vector<std::uint32_t> batch_candidates(std::uint32_t segment_images, std::uint32_t most);

class BatchSearch {
 public:
  using Seconds = std::chrono::duration<double>;

  static constexpr double kTie = 0.03;
  static constexpr Seconds kRound{0.025};
  static constexpr Seconds kEach{0.075};     ///< for one size
  static constexpr Seconds kSlowBatch{0.3};  ///< if a batch takes this long, no larger ones are tried
  static constexpr Seconds kBudget{1.5};     ///< for all sizes, as far as the search can predict
  static constexpr std::uint32_t kMostRounds = 10;

  /// One segment of work for all members.
  struct Round {
    std::uint32_t images = 0;
    std::vector<std::uint32_t> batches;  ///< by group; each divides `images`, or is larger than it
  };
  /// How long a round took: from handing it out to the last answer, and by group the longest time that a member
  /// computed; 0 if no member of the group answered.
  struct Times {
    Seconds wall{};
    std::vector<Seconds> busy;
  };

  /// `most`: by group, the largest size that it may try.
  BatchSearch(std::uint32_t segment_images, const std::vector<std::uint32_t>& most);

  /// No search: measures groups whose batch is `batch_images`, at most that of a segment, for about `each`,
  /// at most kMostRounds rounds.
  static BatchSearch of_one(std::uint32_t segment_images, std::uint32_t batch_images, std::size_t groups, Seconds each);

  /// What to do next; nothing once the search is over.
  std::optional<Round> next() const;
  /// The times of the round that next() returned. Call skip() instead if a death disturbed it.
  void add(const Times& times);
  void skip();
  /// No more rounds: the sizes are chosen from what has been measured.
  void stop() { over_ = true; }

  std::uint32_t choice(std::size_t group) const;
  /// The speeds of one member of the group, by ascending size.
  const std::vector<BatchSpeed>& speeds(std::size_t group) const { return groups_[group].speeds; }

 private:
  struct Group {
    std::uint32_t most = 1;
    std::vector<BatchSpeed> speeds;
    double fresh = 0;     // the best images/s with the current size
    double improved = 0;  // the images/s at the last improvement
    int without_improvement = 0;
    bool done = false;
  };

  std::uint32_t size() const { return candidates_[at_]; }
  void warmed(Seconds wall);
  void measured(const Times& times);
  void close_size();
  void next_size();

  std::uint32_t segment_images_;
  Seconds each_ = kEach;
  std::vector<std::uint32_t> candidates_;
  std::vector<Group> groups_;
  std::size_t at_ = 0;  // the current candidate
  bool warm_ = false;   // its single batch was done
  std::uint32_t round_images_ = 0;
  std::uint32_t rounds_ = 0;  // with the current size, skipped ones included
  Seconds spent_on_size_{};
  Seconds spent_{};
  bool over_ = false;
};

}  // namespace tutti
