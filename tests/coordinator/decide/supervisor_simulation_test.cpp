// The supervisor in a made-up pool with thousands of seeds: whatever happens, and in whatever order, every segment is
// finished exactly once, every answer counts exactly once, no slot is used too early, training gives the
// same result as without faults, and everything ends. A failure prints its seed.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/random.hpp"
#include "tests/common/seed_of_crash.hpp"
#include "tests/coordinator/decide/supervisor_world.hpp"

namespace tutti::test {
namespace {

constexpr std::uint64_t kSeeds = 2000;        // of each kind
constexpr std::uint64_t kReplicaSeeds = 400;  // of each kind with replicas, whose worlds are larger

/// A pool of random size in which every member can live.
WorldSetting living(std::uint64_t seed) {
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

/// A pool of 2 to 6 members, of which some share a worker.
void share_workers(WorldSetting& setting) {
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
void replicate(WorldSetting& setting) {
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
  std::uint64_t neighbours_lost = 0;  ///< members other than the first that are absent at the end

  void add(const World& world) {
    counts.deaths += world.counts().deaths;
    counts.hangs += world.counts().hangs;
    counts.violations += world.counts().violations;
    counts.handed_out_again += world.counts().handed_out_again;
    counts.taken_over += world.counts().taken_over;
    counts.stale_dropped += world.counts().stale_dropped;
    counts.set_aside += world.counts().set_aside;
    counts.not_finite_dropped += world.counts().not_finite_dropped;
    finished += world.finished();
    repeated += world.repeated();
    checkpoints_used += world.checkpoints_used();
    failed += world.failed() ? 1 : 0;
    moved += world.moved();
    for (std::uint32_t rank = 1; rank < world.members(); ++rank) neighbours_lost += world.absent(Rank(rank)) ? 1 : 0;
  }
};

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

TEST_CASE("with workers that can live every call ends as without faults") {
  const Sum sum = live_through(0, [](WorldSetting&) {});
  CHECK(sum.counts.deaths > kSeeds);
  CHECK(sum.counts.hangs > 0);
  CHECK(sum.counts.violations > 0);
  CHECK(sum.counts.handed_out_again > kSeeds);
  CHECK(sum.counts.stale_dropped > 0);
  CHECK(sum.repeated > 0);
  CHECK(sum.checkpoints_used > 0);
  CHECK(sum.counts.set_aside == 0);
}

TEST_CASE("on a machine that is far too slow no worker is killed for it and every call ends as elsewhere") {
  const Sum sum = live_through(50'000, [](WorldSetting& setting) {
    setting.supervisor.policy.progress = config::FailureSpec::Deadline::automatic;
    setting.supervisor.start_deadline = std::chrono::hours(1000);
    setting.slow = true;
    setting.freezes = false;
  });
  CHECK(sum.counts.hangs == 0);
  CHECK(sum.counts.deaths > kSeeds);
  CHECK(sum.finished > kSeeds);
}

TEST_CASE("workers that only miss automatic deadlines never cost an answer") {
  const Sum sum = live_through(60'000, [](WorldSetting& setting) {
    setting.supervisor.policy.progress = config::FailureSpec::Deadline::automatic;
    setting.supervisor.policy.poison_limit = 1;
    setting.supervisor.start_deadline = std::chrono::hours(1000);
    setting.slow = setting.seed % 2 == 0;
    setting.kills = false;
    setting.faults *= 2;
    setting.may_fail_with = {"it missed its deadline 3 times in a row"};
  });
  CHECK(sum.counts.hangs > kSeeds / 2);
  CHECK(sum.counts.set_aside == 0);
  CHECK(sum.failed < kSeeds / 2);
}

TEST_CASE("processes that do not end keep their slots and the rest continues or says why not") {
  const Sum sum = live_through(10'000, [](WorldSetting& setting) {
    setting.stuck = true;
    setting.may_fail_with = {"no slot is left for a segment"};
  });
  CHECK(sum.finished > kSeeds);
  CHECK(sum.failed > 0);
  CHECK(sum.failed < kSeeds);
}

TEST_CASE("segments that seem to kill workers are set aside and the rest is answered") {
  const Sum sum = live_through(20'000, [](WorldSetting& setting) {
    setting.supervisor.policy.poison_limit = 1 + setting.seed % 3;
    setting.may_fail_with = {"that computed nothing else", "it died on each of the last 3 segments that it was given"};
    setting.faults *= 2;
  });
  CHECK(sum.counts.set_aside > 0);
  CHECK(sum.failed < kSeeds);
}

TEST_CASE("the ensemble continues without members that die too often") {
  const Sum sum = live_through(30'000, [](WorldSetting& setting) {
    setting.supervisor.policy.on_worker_failure = OnWorkerFailure::degrade;
    setting.supervisor.policy.restart_limit = static_cast<std::uint32_t>(setting.seed % 4);
    setting.supervisor.policy.on_nan = OnNan::degrade;
    setting.supervisor.policy.poison_limit = 3;
    setting.nan = true;
    setting.stuck = setting.seed % 2 == 0;
    setting.may_fail_with = {"no member is left", "no slot is left", "that computed nothing else",
                             "it died on each of the last 3 segments that it was given"};
  });
  CHECK(sum.counts.not_finite_dropped > 0);
  CHECK(sum.counts.set_aside > 0);
  CHECK(sum.failed < kSeeds);
}

TEST_CASE("no call waits for ever for a member whose workers never become ready again") {
  const Sum sum = live_through(70'000, [](WorldSetting& setting) {
    setting.supervisor.policy.on_worker_failure =
        setting.seed % 2 == 0 ? OnWorkerFailure::degrade : OnWorkerFailure::restart;
    setting.supervisor.policy.restart_limit = static_cast<std::uint32_t>(1 + setting.seed % 5);
    setting.never_ready = true;
    setting.may_fail_with = {"its restart budget is spent", "no member is left"};
  });
  CHECK(sum.failed > kSeeds / 4);
  CHECK(sum.finished > kSeeds);
}

TEST_CASE("a member that dies on every segment is left out or ends the pool and does not take the results with it") {
  const Sum sum = live_through(80'000, [](WorldSetting& setting) {
    setting.supervisor.policy.on_worker_failure =
        setting.seed % 2 == 0 ? OnWorkerFailure::degrade : OnWorkerFailure::restart;
    setting.supervisor.policy.poison_limit = 1 + setting.seed % 3;
    setting.cursed = true;
    setting.faults = 0;
    setting.may_fail_with = {"no member is left", "it died on each of the last 3 segments that it was given"};
  });
  // At most 3 segments, each with its first death and those of its poison limit.
  CHECK(sum.counts.deaths > kSeeds);
  CHECK(sum.counts.deaths < 12 * kSeeds);
  CHECK(sum.failed > 0);
  CHECK(sum.failed < kSeeds);
}

TEST_CASE("members that share workers are answered as those that have their own") {
  const Sum sum = live_through(90'000, [](WorldSetting& setting) {
    share_workers(setting);
    setting.stuck = setting.seed % 3 == 0;
    setting.nan = setting.seed % 5 == 0;
    if (setting.nan) setting.supervisor.policy.on_nan = OnNan::degrade;
    setting.may_fail_with = {"no slot is left for a segment"};
  });
  CHECK(sum.counts.deaths > kSeeds);
  CHECK(sum.counts.hangs > 0);
  CHECK(sum.counts.violations > 0);
  CHECK(sum.counts.handed_out_again > kSeeds);
  CHECK(sum.finished > kSeeds);
}

TEST_CASE("segments that seem to kill shared workers first cost a member its place there") {
  const Sum sum = live_through(100'000, [](WorldSetting& setting) {
    share_workers(setting);
    setting.supervisor.policy.on_worker_failure = OnWorkerFailure::degrade;
    setting.supervisor.policy.restart_limit = static_cast<std::uint32_t>(1 + setting.seed % 4);
    setting.supervisor.policy.poison_limit = 1 + setting.seed % 3;
    setting.faults *= 2;
    setting.may_fail_with = {"no member is left", "that computed nothing else",
                             "it died on each of the last 3 segments that it was given"};
  });
  CHECK(sum.moved > kSeeds / 4);
  CHECK(sum.counts.set_aside > 0);
  CHECK(sum.failed < kSeeds);
}

TEST_CASE("a member that dies on every segment does not take those with it that share its worker") {
  const Sum sum = live_through(110'000, [](WorldSetting& setting) {
    share_workers(setting);
    setting.supervisor.policy.on_worker_failure = OnWorkerFailure::degrade;
    setting.supervisor.policy.poison_limit = 1 + setting.seed % 3;
    setting.supervisor.policy.restart_limit = 5;
    setting.cursed = true;
    setting.faults = 0;
    setting.may_fail_with = {"no member is left"};
  });
  CHECK(sum.moved > kSeeds / 2);
  CHECK(sum.neighbours_lost == 0);
  CHECK(sum.failed == 0);
}

TEST_CASE("replicas answer every segment once whichever of them die or are late") {
  const Sum sum = live_through(
      120'000,
      [](WorldSetting& setting) {
        if (setting.seed % 2 == 0) share_workers(setting);
        replicate(setting);
        setting.stuck = setting.seed % 3 == 0;
        setting.nan = setting.seed % 5 == 0;
        if (setting.nan) setting.supervisor.policy.on_nan = OnNan::degrade;
        setting.may_fail_with = {"no slot is left for a segment"};
      },
      kReplicaSeeds);
  CHECK(sum.counts.deaths > kReplicaSeeds);
  CHECK(sum.counts.hangs > 0);
  CHECK(sum.counts.violations > 0);
  CHECK(sum.counts.handed_out_again > kReplicaSeeds / 2);
  CHECK(sum.counts.taken_over > kReplicaSeeds / 2);
  CHECK(sum.repeated > kReplicaSeeds / 10);
  CHECK(sum.finished > kReplicaSeeds);
}

TEST_CASE("segments that seem to kill replicas are set aside and the rest is answered") {
  const Sum sum = live_through(
      130'000,
      [](WorldSetting& setting) {
        if (setting.seed % 2 == 0) share_workers(setting);
        replicate(setting);
        setting.supervisor.policy.poison_limit = 1 + setting.seed % 3;
        setting.faults *= 2;
        setting.may_fail_with = {"that computed nothing else",
                                 "it died on each of the last 3 segments that it was given"};
      },
      kReplicaSeeds);
  CHECK(sum.counts.set_aside > 0);
  CHECK(sum.failed < kReplicaSeeds);
}

TEST_CASE("a member with replicas that dies on every segment does not take the results with it") {
  const Sum sum = live_through(
      150'000,
      [](WorldSetting& setting) {
        replicate(setting);
        setting.supervisor.policy.on_worker_failure = OnWorkerFailure::degrade;
        setting.supervisor.policy.poison_limit = 1 + setting.seed % 3;
        setting.cursed = true;
        setting.faults = 0;
        setting.may_fail_with = {"no member is left", "it died on each of the last 3 segments that it was given"};
      },
      kReplicaSeeds);
  CHECK(sum.counts.set_aside < 3 * kReplicaSeeds);
  CHECK(sum.neighbours_lost == 0);
  CHECK(sum.failed < kReplicaSeeds);
}

TEST_CASE("a replica that dies too often is left out and a member only with the last of its replicas") {
  const Sum sum = live_through(
      140'000,
      [](WorldSetting& setting) {
        replicate(setting);
        setting.supervisor.policy.on_worker_failure =
            setting.seed % 2 == 0 ? OnWorkerFailure::degrade : OnWorkerFailure::restart;
        setting.supervisor.policy.restart_limit = static_cast<std::uint32_t>(setting.seed % 4);
        setting.supervisor.policy.poison_limit = 3;
        setting.stuck = setting.seed % 2 == 0;
        setting.may_fail_with = {"no member is left", "no slot is left", "its restart budget is spent",
                                 "that computed nothing else",
                                 "it died on each of the last 3 segments that it was given"};
      },
      kReplicaSeeds);
  CHECK(sum.counts.deaths > kReplicaSeeds);
  CHECK(sum.failed < kReplicaSeeds);
}

TEST_CASE("a pool that fails says so once and does nothing more") {
  const Sum sum = live_through(40'000, [](WorldSetting& setting) {
    setting.supervisor.policy.on_worker_failure =
        setting.seed % 2 == 0 ? OnWorkerFailure::fail : OnWorkerFailure::restart;
    setting.supervisor.policy.restart_limit = 1;
    setting.may_fail_with = {"'on_worker_failure: restart' replaces", "its restart budget is spent (1 "};
  });
  CHECK(sum.failed > kSeeds / 2);
}

}  // namespace
}  // namespace tutti::test
