// Which rows of a segment are fed by others: the stages of a member, each of which computes on what the one before it
// has answered. The last stage has the member's rank; those before it have ranks of their own. Plain tables.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "common/check.hpp"
#include "common/ids.hpp"

namespace tutti {

class Chains {
 public:
  /// Nobody is fed: every row computes on the samples.
  Chains() = default;
  /// By rank, whose answers it computes on; nothing: the samples. Nobody feeds two, or itself.
  /// `reads_rows`: by rank, whether an index counts the rows of what feeds it; empty: none is counted.
  explicit Chains(ByRank<std::optional<Rank>> fed_by, ByRank<bool> reads_rows = {})
      : fed_by_(std::move(fed_by)), feeds_(fed_by_.size()), reads_rows_(std::move(reads_rows)) {
    for (const Rank rank : fed_by_.ids()) {
      const std::optional<Rank> feeder = fed_by_[rank];
      if (!feeder) continue;
      TUTTI_CHECK(!feeds_[*feeder].has_value(), "a stage feeds one other");
      feeds_[*feeder] = rank;
    }
    for (const Rank rank : fed_by_.ids()) chain_of(rank);
  }

  /// Whose answers it computes on. Of a rank that came later: nobody's.
  std::optional<Rank> feeder_of(Rank rank) const { return at(fed_by_, rank); }
  /// Who computes on its answers.
  std::optional<Rank> fed_from(Rank rank) const { return at(feeds_, rank); }
  /// Whether it reads rows that an index counts.
  bool reads_rows(Rank rank) const { return rank.value() < reads_rows_.size() && reads_rows_[rank]; }
  /// The stages of a member, first one first; of a member without stages itself alone.
  std::vector<Rank> chain_of(Rank rank) const {
    Rank first = rank;
    for (std::size_t steps = 0; feeder_of(first).has_value(); ++steps) {
      TUTTI_CHECK(steps < fed_by_.size(), "a chain begins somewhere");
      first = feeder_of(first).value();
    }
    std::vector<Rank> chain{first};
    while (const auto next = fed_from(chain.back())) chain.push_back(*next);
    return chain;
  }
  /// When each row is asked, of when each member is: a stage in the round of its member. Empty: all in the first.
  ByRank<Round> rounds_of_rows(ByRank<Round> members) const {
    if (!members.empty())
      while (members.size() < fed_by_.size()) members.push_back(members[chain_of(Rank(members.size())).back()]);
    return members;
  }

 private:
  static std::optional<Rank> at(const ByRank<std::optional<Rank>>& table, Rank rank) {
    return rank.value() < table.size() ? table[rank] : std::nullopt;
  }

  ByRank<std::optional<Rank>> fed_by_;
  ByRank<std::optional<Rank>> feeds_;
  ByRank<bool> reads_rows_;
};

}  // namespace tutti
