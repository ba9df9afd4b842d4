#include "coordinator/pool/batch_trial.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <tuple>

#include "common/check.hpp"
#include "common/counted.hpp"
#include "common/log.hpp"
#include "coordinator/pool/made_up_rounds.hpp"

namespace tutti {
namespace {

using Clock = std::chrono::steady_clock;

/// Values by rank from values by group; a stage has that of its member.
template <class Value, class OfGroup>
ByRank<Value> by_rank(const Groups& groups, const Plan& plan, OfGroup of_group) {
  const Chains chains = plan.chains();
  ByRank<Value> values(plan.members.size());
  std::size_t given = 0;
  for (std::size_t group = 0; group < groups.size(); ++group)
    for (const Rank member : groups[group])
      for (const Rank stage : chains.chain_of(member)) {
        values[stage] = of_group(group);
        ++given;
      }
  TUTTI_CHECK(given == plan.members.size(), "every member is in one group");
  return values;
}

/// By group, the longest time of a member.
BatchSearch::Times by_group(const Groups& groups, const MadeUpRounds::Times& times) {
  BatchSearch::Times longest{times.wall, {}};
  for (const auto& ranks : groups) {
    BatchSearch::Seconds& most = longest.busy.emplace_back();
    for (const Rank rank : ranks) most = std::max(most, times.busy[rank]);
  }
  return longest;
}

void drive(Pool& pool, BatchSearch& search, const Groups& groups) {
  const bool tries_sizes = pool.plan().batches == Batches::to_measure;
  MadeUpRounds rounds(pool);
  while (const auto round = search.next()) {
    if (tries_sizes)
      pool.try_batches(
          by_rank<std::uint32_t>(groups, pool.plan(), [&](std::size_t group) { return round->batches[group]; }));
    rounds.run(round->images);
    if (rounds.disturbed())
      search.skip();
    else
      search.add(by_group(groups, rounds.times()));
  }
}

BatchSearch search_of(const Plan& plan, const Groups& groups) {
  const Chains chains = plan.chains();
  std::vector<std::uint32_t> most;
  for (const auto& ranks : groups) {
    std::uint32_t& least = most.emplace_back(plan.members[ranks.front().value()].most_batch_images);
    for (const Rank stage : chains.chain_of(ranks.front()))
      least = std::min(least, plan.members[stage.value()].most_batch_images);
  }
  return {plan.arena.images, most};
}

}  // namespace

Groups batch_groups(const Plan& plan) {
  const Chains chains = plan.chains();
  const auto alike = [&](Rank one, Rank other) {
    const auto key = [&](Rank rank) {
      const MemberRequest& request = plan.request_of(rank);
      return std::tie(request.model, plan.host_of(rank).device, request.threads, request.output, request.copy_input,
                      request.takes, request.views, request.steps);
    };
    return std::ranges::equal(chains.chain_of(one), chains.chain_of(other),
                              [&](Rank a, Rank b) { return key(a) == key(b); });
  };
  Groups groups;
  for (const Rank rank : IdRange<Rank>(plan.combined())) {
    const auto same =
        std::find_if(groups.begin(), groups.end(), [&](const auto& group) { return alike(group.front(), rank); });
    if (same == groups.end())
      groups.push_back({rank});
    else
      same->push_back(rank);
  }
  return groups;
}

std::string batch_text(const Plan& plan, const std::vector<Rank>& ranks, const BatchChoice& choice) {
  const auto name = [&](Rank rank) { return plan.members[rank.value()].member(); };
  std::string names = name(ranks.front());
  if (ranks.size() > 2 && ranks.back().value() - ranks.front().value() + 1 == ranks.size())
    names += fmt::format("..{}", name(ranks.back()));
  else
    for (std::size_t i = 1; i < ranks.size(); ++i) names += fmt::format(", {}", name(ranks[i]));
  std::string speeds;
  for (const BatchSpeed& speed : choice.speeds)
    speeds += fmt::format("{}{}: {:.0f}/s", speeds.empty() ? "" : ", ", speed.batch_images, speed.images_per_second);
  return fmt::format("{}: batches of {} ({})", names, counted(choice.batch_images, "image"),
                     speeds.empty() ? "there was nothing to measure" : fmt::format("measured: {}", speeds));
}

ByRank<BatchChoice> measured_speeds(Pool& pool, BatchSearch::Seconds each) {
  const Plan& plan = pool.plan();
  const Groups groups = batch_groups(plan);
  std::uint32_t only = plan.members.front().request.batch_images;
  std::optional<BatchSearch> sizes;
  if (plan.batches == Batches::to_measure) {
    sizes = search_of(plan, groups);
    only = sizes->choice(0);
  }
  const bool several = sizes && sizes->next();  // else a search has nothing to measure
  BatchSearch search = several ? *sizes : BatchSearch::of_one(plan.arena.images, only, groups.size(), each);
  drive(pool, search, groups);
  return by_rank<BatchChoice>(groups, plan, [&](std::size_t group) {
    return BatchChoice{search.choice(group), search.speeds(group)};
  });
}

void measure_batches(Pool& pool) {
  const Clock::time_point begin = Clock::now();
  const Plan& plan = pool.plan();
  TUTTI_CHECK(plan.batches == Batches::to_measure);
  const Groups groups = batch_groups(plan);
  BatchSearch search = search_of(plan, groups);
  drive(pool, search, groups);
  const auto choice = [&](std::size_t group) { return BatchChoice{search.choice(group), search.speeds(group)}; };
  pool.settle_batches(by_rank<BatchChoice>(groups, plan, choice), BatchSearch::Seconds(Clock::now() - begin).count());
  for (std::size_t group = 0; group < groups.size(); ++group)
    log::info("{}", batch_text(plan, groups[group], choice(group)));
}

}  // namespace tutti
