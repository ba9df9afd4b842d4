#include "coordinator/pool/batch_trial.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <tuple>

#include "common/check.hpp"
#include "common/counted.hpp"
#include "common/log.hpp"
#include "common/tensor_values.hpp"
#include "coordinator/decide/batch_search.hpp"
#include "coordinator/pool/exchange.hpp"

namespace tutti {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = BatchSearch::Seconds;
using Groups = std::vector<std::vector<Rank>>;

/// Runs one segment of made-up images after the other, each as a separate stream, and measures its time.
class Rounds final : public Work {
 public:
  /// `number` is that of a sample: the made-up ones are all called so.
  Rounds(const Groups& groups, const ArenaLayout& arena, std::uint64_t number)
      : groups_(groups), number_(number), written_(arena.slots, std::vector<std::size_t>(arena.arrays.size())) {}

  void prepare(std::uint32_t images) {
    images_ = images;
    filled_ = false;
  }
  bool has_more() const override { return !filled_; }

  std::uint32_t fill(std::byte* arena, const ArenaLayout& layout, SlotId slot) override {
    for (std::size_t array = 0; array < layout.arrays.size(); ++array) {
      const auto view = slot_view(arena, layout, slot, images_, array);
      const std::size_t value_bytes = size_of(view.dtype);
      std::size_t& written = written_[slot][array];
      for (; written * value_bytes < view.bytes.size(); ++written)
        write_value(&view.bytes[written * value_bytes], view.dtype, made_up_value(view.dtype, 0, written));
    }
    std::ranges::fill(slot_view(arena, layout, slot, images_).numbers, number_);
    filled_ = true;
    begin_ = Clock::now();
    return images_;
  }

  void deliver(const FinishedSegment& finished) override {
    TUTTI_CHECK(finished.segment.images == images_, "a round is one segment");
    times_ = {Clock::now() - begin_, {}};
    disturbed_ = finished.segment.set_aside;
    for (const auto& ranks : groups_) {
      Seconds longest{};
      for (const Rank rank : ranks) {
        const Ledger::Row& row = finished.segment.rows[rank];
        disturbed_ = disturbed_ || row.times > 1;
        if (row.present)
          longest = std::max<Seconds>(longest, std::chrono::nanoseconds(row.completion.busy_nanoseconds));
      }
      times_.busy.push_back(longest);
    }
  }

  const BatchSearch::Times& times() const { return times_; }
  /// A worker died: the others had more cores, or waited.
  bool disturbed() const { return disturbed_; }

 private:
  const Groups& groups_;
  const std::uint64_t number_;
  BySlot<std::vector<std::size_t>> written_;  // by array: values that are there from earlier rounds
  std::uint32_t images_ = 0;
  bool filled_ = false;
  Clock::time_point begin_;
  BatchSearch::Times times_;
  bool disturbed_ = false;
};

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
  Rounds rounds(groups, pool.plan().arena, pool.plan().input.first);
  while (const auto round = search.next()) {
    pool.try_batches(by_rank<std::uint32_t>(groups, members, [&](std::size_t group) { return round->batches[group]; }));
    rounds.prepare(round->images);
    pool.exchange().drive(std::make_shared<Stream>(rounds, TaskKind::predict, ByRank<bool>(members, true)));
    if (rounds.disturbed())
      search.skip();
    else
      search.add(rounds.times());
  }
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

void measure_batches(Pool& pool) {
  const Clock::time_point begin = Clock::now();
  const Plan& plan = pool.plan();
  TUTTI_CHECK(plan.batches == Batches::to_measure);
  const Groups groups = batch_groups(plan);
  std::vector<std::uint32_t> most;
  for (const auto& ranks : groups) most.push_back(plan.members[ranks.front().value()].most_batch_images);
  BatchSearch search(plan.arena.images, most);
  drive(pool, search, groups);
  const auto choice = [&](std::size_t group) { return BatchChoice{search.choice(group), search.speeds(group)}; };
  pool.settle_batches(by_rank<BatchChoice>(groups, plan.members.size(), choice), Seconds(Clock::now() - begin).count());
  for (std::size_t group = 0; group < groups.size(); ++group)
    log::info("{}", batch_text(plan, groups[group], choice(group)));
}

}  // namespace tutti
