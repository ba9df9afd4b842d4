// Decides how many images each member should compute at a time, from what rounds of work with different sizes took. A
// pure state machine: it has no clock and asks nobody; whoever drives it hands out the rounds and brings their times.
//
// All members run in every round, since what is fastest alone need not be so beside others: cores share caches and the
// way to memory. Members of the same model on the same device form a group and get the same size. All groups try the
// same size at the same time, from the smallest on:
//
//   for each size: one round of a single batch (the model prepares itself for the size, memory is touched), then rounds
//   of about kRound until kEach has been spent; the fastest of them counts
//
// A group that was not faster by kTie than at its last improvement, twice in a row, has seen enough and goes on with
// its best size, as load for the others. The search ends with the last group, with the last size, or where the next
// size would not fit into the budget. Of sizes that differ by less than kTie the smallest is chosen: less memory, and a
// segment is cut into more even parts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <tutti/status.hpp>

namespace tutti {

/// The sizes worth trying on segments of this length, ascending: doubling from 4 to `most`. Where a divisor of the
/// segment is near, that is taken instead, so that no short batch remains. Never empty.
std::vector<std::uint32_t> batch_candidates(std::uint32_t segment_images, std::uint32_t most);

class BatchSearch {
 public:
  using Seconds = std::chrono::duration<double>;

  static constexpr double kTie = 0.03;
  static constexpr Seconds kRound{0.025};
  static constexpr Seconds kEach{0.075};     ///< for one size
  static constexpr Seconds kSlowBatch{0.3};  ///< larger batches than one that takes so long are not tried
  static constexpr Seconds kBudget{1.5};     ///< for all sizes, as far as it can be foreseen
  static constexpr std::uint32_t kMostRounds = 10;

  /// One segment of work for all members.
  struct Round {
    std::uint32_t images = 0;
    std::vector<std::uint32_t> batches;  ///< by group; each divides `images`, or is larger than it
  };
  /// What a round took: from its hand-out to the last answer, and by group the longest that a member computed; 0 where
  /// no member of the group answered.
  struct Times {
    Seconds wall{};
    std::vector<Seconds> busy;
  };

  /// `most`: by group, the largest size that it may try.
  BatchSearch(std::uint32_t segment_images, const std::vector<std::uint32_t>& most);

  /// What to do next; nothing: the search is over.
  std::optional<Round> next() const;
  /// The times of the round that next() says. One that was disturbed by a death is left out with skip().
  void add(const Times& times);
  void skip();
  /// No more rounds: what is known decides.
  void stop() { over_ = true; }

  std::uint32_t choice(std::size_t group) const;
  /// Of one member of the group, ascending.
  const std::vector<BatchSpeed>& speeds(std::size_t group) const { return groups_[group].speeds; }

 private:
  struct Group {
    std::uint32_t most = 1;
    std::vector<BatchSpeed> speeds;
    double fresh = 0;     // the best images/s with the present size
    double improved = 0;  // the images/s at the last improvement
    int without_improvement = 0;
    bool done = false;
  };

  std::uint32_t size() const { return candidates_[at_]; }
  void warmed(Seconds wall);
  void measured(const Times& times);
  void close_size();
  void next_size();

  const std::uint32_t segment_images_;
  std::vector<std::uint32_t> candidates_;
  std::vector<Group> groups_;
  std::size_t at_ = 0;  // the present candidate
  bool warm_ = false;   // its single batch was done
  std::uint32_t round_images_ = 0;
  std::uint32_t rounds_ = 0;  // with it, skipped ones too
  Seconds spent_on_size_{};
  Seconds spent_{};
  bool over_ = false;
};

}  // namespace tutti
