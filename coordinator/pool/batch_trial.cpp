#include "coordinator/pool/batch_trial.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <tuple>

#include "common/check.hpp"
#include "common/counted.hpp"
#include "common/log.hpp"
#include "coordinator/decide/batch_search.hpp"

namespace tutti {
namespace {

using Clock = std::chrono::steady_clock;

/// Values by rank from values by group.
template <class Value, class OfGroup>
ByRank<Value> by_rank(const Groups& groups, std::size_t members, OfGroup of_group) {
  ByRank<Value> values(members);
  std::size_t given = 0;
  for (std::size_t group = 0; group < groups.size(); ++group)
    for (const Rank rank : groups[group]) {
      values[rank] = of_group(group);
      ++given;
    }
  TUTTI_CHECK(given == members, "every member is in one group");
  return values;
}

void drive(Pool& pool, BatchSearch& search, const Groups& groups) {
  const std::size_t members = pool.plan().members.size();
  const bool tries_sizes = pool.plan().batches == Batches::to_measure;
  MadeUpRounds rounds(pool, groups);
  while (const auto round = search.next()) {
    if (tries_sizes)
      pool.try_batches(
          by_rank<std::uint32_t>(groups, members, [&](std::size_t group) { return round->batches[group]; }));
    rounds.run(round->images);
    if (rounds.disturbed())
      search.skip();
    else
      search.add(rounds.times());
  }
}

BatchSearch search_of(const Plan& plan, const Groups& groups) {
  std::vector<std::uint32_t> most;
  for (const auto& ranks : groups) most.push_back(plan.members[ranks.front().value()].most_batch_images);
  return {plan.arena.images, most};
}

}  // namespace

Groups batch_groups(const Plan& plan) {
  const Hosting hosting = plan.hosting();
  const auto key = [&](Rank rank) {
    const MemberRequest& request = plan.request_of(rank);
    return std::tie(request.model, plan.host_of(rank).device, request.threads, request.output, request.copy_input,
                    request.takes, request.views);
  };
  Groups groups;
  for (const Rank rank : IdRange<Rank>(plan.members.size())) {
    const auto same =
        std::find_if(groups.begin(), groups.end(), [&](const auto& group) { return key(group.front()) == key(rank); });
    if (same == groups.end())
      groups.push_back({rank});
    else
      same->push_back(rank);
  }
  return groups;
}

std::string batch_text(const Plan& plan, const std::vector<Rank>& ranks, const BatchChoice& choice) {
  const auto name = [&](Rank rank) { return plan.members[rank.value()].request.name; };
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
  return by_rank<BatchChoice>(groups, plan.members.size(), [&](std::size_t group) {
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
  pool.settle_batches(by_rank<BatchChoice>(groups, plan.members.size(), choice),
                      BatchSearch::Seconds(Clock::now() - begin).count());
  for (std::size_t group = 0; group < groups.size(); ++group)
    log::info("{}", batch_text(plan, groups[group], choice(group)));
}

}  // namespace tutti
