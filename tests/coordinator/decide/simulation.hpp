// Many made-up pools of one kind, each with its own seed, and what happened in them together. For tests only.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/random.hpp"
#include "tests/common/sanitized.hpp"
#include "tests/common/seed_of_crash.hpp"
#include "tests/coordinator/decide/supervisor_world.hpp"

namespace tutti::test {

// Sanitizers look for other faults than the simulation does, and are ten times as slow: they get a quarter.
constexpr std::uint64_t kSeeds = kSanitized ? 500 : 2000;        // of each kind
constexpr std::uint64_t kReplicaSeeds = kSanitized ? 100 : 400;  // of each kind with replicas: larger worlds

/// A pool of random size in which every member can live.
inline WorldSetting living(std::uint64_t seed) {
  std::uint64_t drawn = 0;
  const auto draw = [&](std::uint64_t below) {
    return static_cast<std::uint32_t>(random_at(seed ^ 0x5eed, drawn++) % below);
  };
  WorldSetting setting;
  setting.seed = seed;
  SupervisorSetting& supervisor = setting.supervisor;
  const std::uint32_t members = 1 + draw(4);
  for (std::uint32_t rank = 0; rank < members; ++rank) supervisor.names.push_back(fmt::format("m{}", rank));
  supervisor.devices = ByWorker<std::string>(members, "cpu");
  supervisor.slots = 1 + draw(5);
  supervisor.segment_images = 5;
  supervisor.checkpoint_segments = supervisor.slots == 1 ? 1 : 1 + draw(supervisor.slots - 1);
  supervisor.policy.restart_limit.reset();
  supervisor.policy.poison_limit.reset();
  supervisor.policy.back_off = draw(2) == 0 ? 0 : 0.1;
  supervisor.policy.progress = config::FailureSpec::Deadline::fixed;
  setting.faults = 1 + draw(15);
  setting.steps = 100 + draw(300);
  return setting;
}

/// A pool of 2 to 6 members, of which some share a worker. None is trained.
inline void share_workers(WorldSetting& setting) {
  std::uint64_t drawn = 0;
  const auto draw = [&](std::uint64_t below) {
    return static_cast<std::uint32_t>(random_at(setting.seed ^ 0x5a4e, drawn++) % below);
  };
  SupervisorSetting& supervisor = setting.supervisor;
  supervisor.names = {};
  ByWorker<std::vector<Rank>> units;
  const std::uint32_t members = 2 + draw(5);
  for (std::uint32_t rank = 0; rank < members; ++rank) {
    supervisor.names.push_back(fmt::format("m{}", rank));
    if (const std::uint32_t unit = draw(3); unit < units.size())
      units[WorkerId(unit)].emplace_back(rank);
    else
      units.push_back({Rank(rank)});
  }
  for (std::size_t unit = 0; unit < units.size(); ++unit)
    supervisor.modes.push_back(draw(2) == 0 ? UnitMode::loop : UnitMode::threads);
  supervisor.devices = ByWorker<std::string>(units.size(), "cpu");
  supervisor.hosting = Hosting(std::move(units));
  setting.shared = true;
  setting.trains = false;
}

/// Each unit, of one member or several, gets up to three workers.
inline void replicate(WorldSetting& setting) {
  std::uint64_t drawn = 0;
  const auto draw = [&](std::uint64_t below) {
    return static_cast<std::uint32_t>(random_at(setting.seed ^ 0x4e91, drawn++) % below);
  };
  SupervisorSetting& supervisor = setting.supervisor;
  const Hosting alone = supervisor.hosting.value_or(Hosting::one_each(supervisor.names.size()));
  supervisor.modes.resize(alone.workers());
  ByWorker<std::vector<Rank>> units;
  std::vector<UnitMode> modes;
  for (std::uint32_t round = 0; round < 3; ++round)
    for (const WorkerId worker : alone.worker_ids()) {
      if (round > 0 && draw(3) == 0) continue;
      units.push_back(alone.members_of(worker));
      modes.push_back(supervisor.modes[worker.value()]);
    }
  supervisor.modes = std::move(modes);
  supervisor.devices = ByWorker<std::string>(units.size(), "cpu");
  supervisor.hosting = Hosting(std::move(units));
  setting.trains = false;
}

/// What happened in the worlds of one kind: a simulation in which nothing happens proves nothing.
struct Sum {
  FaultCounts counts;
  std::uint64_t finished = 0;
  std::uint64_t repeated = 0;
  std::uint64_t checkpoints_used = 0;
  std::uint64_t failed = 0;
  std::uint64_t moved = 0;
  std::uint64_t refused = 0;
  std::uint64_t retired = 0;
  std::uint64_t called_off = 0;
  std::uint64_t came = 0;
  std::uint64_t went = 0;
  std::uint64_t rounds = 0;
  std::uint64_t neighbours_lost = 0;  ///< members other than the first that are absent at the end

  void add(const World& world) {
    counts.deaths += world.counts().deaths;
    counts.hangs += world.counts().hangs;
    counts.violations += world.counts().violations;
    counts.handed_out_again += world.counts().handed_out_again;
    counts.not_waited_for += world.counts().not_waited_for;
    counts.taken_over += world.counts().taken_over;
    counts.stale_dropped += world.counts().stale_dropped;
    counts.set_aside += world.counts().set_aside;
    counts.not_finite_dropped += world.counts().not_finite_dropped;
    finished += world.finished();
    repeated += world.repeated();
    checkpoints_used += world.checkpoints_used();
    failed += world.failed() ? 1 : 0;
    moved += world.moved();
    refused += world.refused();
    retired += world.retired();
    called_off += world.called_off();
    came += world.came();
    went += world.went();
    rounds += world.rounds();
    for (std::uint32_t rank = 1; rank < world.members(); ++rank) neighbours_lost += world.absent(Rank(rank)) ? 1 : 0;
  }
};

/// Each seventh ensemble loses members that use up their restarts; the others replace them without limit.
inline void some_leave(WorldSetting& setting) {
  setting.supervisor.policy.on_worker_failure =
      setting.seed % 7 == 0 ? OnWorkerFailure::degrade : OnWorkerFailure::restart;
  if (setting.seed % 7 == 0) setting.supervisor.policy.restart_limit = 2;
  setting.may_fail_with = {"no slot is left for a segment", "no member is left"};
}

/// Members that use up their restarts leave, and segments that seem to kill are set aside: twice as much goes wrong.
inline void lose_members(WorldSetting& setting, std::uint64_t fewest_restarts) {
  setting.supervisor.policy.on_worker_failure = OnWorkerFailure::degrade;
  setting.supervisor.policy.restart_limit = static_cast<std::uint32_t>(fewest_restarts + setting.seed % 4);
  setting.supervisor.policy.poison_limit = 1 + setting.seed % 3;
  setting.faults *= 2;
  setting.may_fail_with = {"no member is left", "that computed nothing else",
                           "it died on each of the last 3 segments that it was given"};
}

/// In each `every`-th ensemble members predict NaN, which is left out.
inline void drop_nan(WorldSetting& setting, std::uint64_t every) {
  setting.nan = setting.seed % every == 0;
  if (setting.nan) setting.supervisor.policy.on_nan = OnNan::degrade;
}

/// Members come and go, for longer.
inline void come_and_go(WorldSetting& setting) {
  setting.trains = false;
  setting.comes = true;
  setting.calls = 6;
  setting.steps *= 2;
  some_leave(setting);
}

template <class Change>
Sum live_through(std::uint64_t first_seed, Change change, std::uint64_t seeds = kSeeds) {
  Sum sum;
  for (std::uint64_t seed = first_seed; seed < first_seed + seeds; ++seed) {
    WorldSetting setting = living(seed);
    change(setting);
    const SeedOfCrash seed_of_crash(seed);
    World world(setting);
    try {
      world.run();
    } catch (const Broken& broken) {
      FAIL_CHECK(std::string(broken.what()));
      break;
    }
    sum.add(world);
  }
  MESSAGE(
      fmt::format("{} segments, {} deaths, {} hangs, {} violations, {} handed out again, {} repeated, {} restored, "
                  "{} stale, {} set aside, {} pools failed",
                  sum.finished, sum.counts.deaths, sum.counts.hangs, sum.counts.violations, sum.counts.handed_out_again,
                  sum.repeated, sum.checkpoints_used, sum.counts.stale_dropped, sum.counts.set_aside, sum.failed));
  return sum;
}

}  // namespace tutti::test
