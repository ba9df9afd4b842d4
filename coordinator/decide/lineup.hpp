// The members that answer a call, in the order in which they are combined, and how. An immutable value that calls
// share: members may come and go while an ensemble predicts, and a call keeps the lineup with which it began. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <tutti/tensor.hpp>

#include "common/check.hpp"
#include "common/ids.hpp"
#include "config/spec.hpp"
#include "coordinator/decide/accumulator.hpp"
#include "coordinator/decide/class_axis.hpp"

namespace tutti {

/// A member as a lineup has it.
struct LineupMember {
  Rank rank;                           ///< in the pool, where it stays while the members before it come and go
  Dims output;                         ///< the sizes of a prediction
  std::vector<Rank> before{};          ///< the ranks of its stages before the last, which has its own
  std::shared_ptr<const void> stay{};  ///< the pool keeps the member while this is held; null: as long as it lives
};

/// Members in the order of the description. For its calls a lineup is what the whole ensemble is.
struct Lineup {
  std::vector<LineupMember> members;
  ByRank<bool> asked;                 ///< by rank of the pool; with stages also those before the last
  Accumulator accumulator;            ///< by place in the lineup
  std::optional<ClassAxis> combined;  ///< of combined predictions; nothing with the rule `none`
  std::shared_ptr<const config::EnsembleSpec> description{};
};

/// Where the classes are in combined predictions of these sizes; nothing with the rule `none`. Throws Error(usage) if
/// they have no such axis.
inline std::optional<ClassAxis> combined_axis(const config::CombineSpec& combine, const Dims& output) {
  if (combine.rule == CombineRule::none) return std::nullopt;
  return combine.decides() ? ClassAxis::of(output, combine.axis) : ClassAxis::of_row(elements_of(output));
}

/// These members, in the order of the description.
inline Lineup lineup_of(std::shared_ptr<const config::EnsembleSpec> description, std::vector<LineupMember> members) {
  TUTTI_CHECK(!members.empty() && members.size() == description->members.size());
  std::vector<float> weights;
  ByRank<bool> asked;
  for (std::size_t m = 0; m < members.size(); ++m) {
    weights.push_back(static_cast<float>(description->members[m].weight));
    while (asked.size() <= members[m].rank.value()) asked.push_back(false);
    TUTTI_CHECK(!asked[members[m].rank], "a member is there once");
    asked[members[m].rank] = true;
    for (const Rank stage : members[m].before) {
      while (asked.size() <= stage.value()) asked.push_back(false);
      asked[stage] = true;
    }
  }
  const config::CombineSpec& combine = description->combine;
  const auto combined = combined_axis(combine, members.front().output);
  return {std::move(members), std::move(asked), Accumulator(combine, std::move(weights), description->failure.on_nan),
          combined, std::move(description)};
}

/// All members of a pool of `rows` ranks, by rank; the ranks behind those of `outputs` are stages.
inline Lineup whole_lineup(Accumulator accumulator, const ByRank<Dims>& outputs, std::optional<ClassAxis> combined,
                           std::size_t rows = 0) {
  Lineup lineup{{}, ByRank<bool>(std::max(rows, outputs.size()), true), std::move(accumulator), combined};
  for (const Rank rank : outputs.ids()) lineup.members.push_back({rank, outputs[rank]});
  return lineup;
}

}  // namespace tutti
