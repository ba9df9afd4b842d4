// The simulation of supervisor_simulation_test.cpp, with members that are chains of stages.
#include "tests/coordinator/decide/simulation.hpp"

namespace tutti::test {
namespace {

/// Each member that has a worker of its own gets up to two stages before its last one, in workers of their own.
void chain_up(WorldSetting& setting) {
  std::uint64_t drawn = 0;
  SupervisorSetting& supervisor = setting.supervisor;
  const std::size_t members = supervisor.names.size();
  const Hosting hosting = supervisor.hosting.value_or(Hosting::one_each(members));
  ByWorker<std::vector<Rank>> units;
  for (const WorkerId worker : hosting.worker_ids()) units.push_back(hosting.members_of(worker));
  supervisor.modes.resize(units.size());
  ByRank<std::optional<Rank>> fed_by(members);
  for (const Rank rank : IdRange<Rank>(members)) {
    std::uint64_t before = random_at(setting.seed ^ 0xc4a1, drawn++) % 3;
    if (rank == Rank(0)) before = std::max<std::uint64_t>(before, 1);
    if (hosting.shared(hosting.only_worker_of(rank))) before = 0;
    std::optional<Rank> last;
    for (; before > 0; --before) {
      fed_by.push_back(last);
      last = Rank(fed_by.size() - 1);
      supervisor.names.push_back(fmt::format("m{}/{}", rank.value(), before));
      supervisor.devices.push_back("cpu");
      supervisor.modes.push_back(UnitMode::loop);
      units.push_back({*last});
    }
    fed_by[rank] = last;
  }
  supervisor.hosting = Hosting(std::move(units));
  supervisor.chains = Chains(std::move(fed_by));
  setting.chained = true;
  setting.trains = false;
}

TEST_CASE("stages answer every segment once whichever of them die") {
  const Sum sum = live_through(210'000, [](WorldSetting& setting) {
    chain_up(setting);
    setting.stuck = setting.seed % 3 == 0;
    drop_nan(setting, 5);
    setting.may_fail_with = {"no slot is left for a segment"};
  });
  CHECK(sum.counts.deaths > kSeeds);
  CHECK(sum.counts.hangs > 0);
  CHECK(sum.counts.violations > 0);
  CHECK(sum.counts.not_finite_dropped > 0);
  CHECK(sum.counts.handed_out_again > kSeeds);
  CHECK(sum.finished > kSeeds);
}

TEST_CASE("new versions of members with stages take over between two segments") {
  const Sum sum = live_through(
      250'000,
      [](WorldSetting& setting) {
        chain_up(setting);
        if (setting.seed % 2 == 0) replicate(setting);
        setting.renews = true;
        setting.stuck = setting.seed % 3 == 0;
        drop_nan(setting, 5);
        some_leave(setting);
      },
      kReplicaSeeds);
  CHECK(sum.retired > kReplicaSeeds);
  CHECK(sum.called_off > 0);
  CHECK(sum.counts.deaths > kReplicaSeeds);
  CHECK(sum.finished > kReplicaSeeds);
}

TEST_CASE("members with stages go and others come") {
  const Sum sum = live_through(
      240'000,
      [](WorldSetting& setting) {
        chain_up(setting);
        if (setting.seed % 3 == 0) replicate(setting);
        come_and_go(setting);
        setting.stuck = setting.seed % 4 == 0;
        drop_nan(setting, 5);
      },
      kReplicaSeeds);
  CHECK(sum.came > kReplicaSeeds);
  CHECK(sum.went > kReplicaSeeds);
  CHECK(sum.counts.deaths > kReplicaSeeds);
  CHECK(sum.counts.handed_out_again > kReplicaSeeds / 2);
  CHECK(sum.finished > 2 * kReplicaSeeds);
}

TEST_CASE("replicas of stages answer every segment once whichever of them die or are late") {
  const Sum sum = live_through(
      220'000,
      [](WorldSetting& setting) {
        chain_up(setting);
        replicate(setting);
        setting.stuck = setting.seed % 3 == 0;
        drop_nan(setting, 5);
        setting.may_fail_with = {"no slot is left for a segment"};
      },
      kReplicaSeeds);
  CHECK(sum.counts.deaths > kReplicaSeeds);
  CHECK(sum.counts.taken_over > kReplicaSeeds / 4);
  CHECK(sum.finished > kReplicaSeeds);
}

TEST_CASE("a member leaves with all of its stages and the others go on") {
  const Sum sum = live_through(230'000, [](WorldSetting& setting) {
    chain_up(setting);
    if (setting.seed % 3 == 0) replicate(setting);
    setting.supervisor.policy.on_worker_failure = OnWorkerFailure::degrade;
    setting.supervisor.policy.restart_limit = static_cast<std::uint32_t>(setting.seed % 4);
    setting.supervisor.policy.poison_limit = 1 + setting.seed % 3;
    setting.stuck = setting.seed % 4 == 1;
    setting.faults *= 2;
    setting.may_fail_with = {"no member is left", "no slot is left for a segment", "that computed nothing else",
                             "it died on each of the last 3 segments that it was given"};
  });
  CHECK(sum.counts.deaths > kSeeds);
  CHECK(sum.counts.set_aside > 0);
  CHECK(sum.neighbours_lost > 0);
  CHECK(sum.failed < kSeeds);
}

TEST_CASE("segments that seem to kill are set aside for all stages and for members that share workers") {
  const Sum sum = live_through(
      260'000,
      [](WorldSetting& setting) {
        share_workers(setting);
        chain_up(setting);
        if (setting.seed % 3 == 0) replicate(setting);
        setting.supervisor.policy.on_worker_failure = OnWorkerFailure::degrade;
        setting.supervisor.policy.restart_limit = static_cast<std::uint32_t>(1 + setting.seed % 4);
        setting.supervisor.policy.poison_limit = 1 + setting.seed % 3;
        setting.stuck = setting.seed % 4 == 1;
        drop_nan(setting, 5);
        setting.faults *= 2;
        setting.may_fail_with = {"no member is left", "no slot is left for a segment", "that computed nothing else",
                                 "it died on each of the last 3 segments that it was given"};
      },
      kReplicaSeeds);
  CHECK(sum.moved > 0);
  CHECK(sum.counts.set_aside > 0);
  CHECK(sum.neighbours_lost > 0);
  CHECK(sum.failed < kReplicaSeeds);
}

TEST_CASE("stages of members that are asked in rounds answer what they are asked") {
  const Sum sum = live_through(
      240'000,
      [](WorldSetting& setting) {
        const std::size_t members = setting.supervisor.names.size();
        chain_up(setting);
        const Chains& chains = setting.supervisor.chains;
        setting.rounds = ByRank<Round>(setting.supervisor.names.size());
        for (std::uint32_t rank = 1; rank < members; ++rank)
          for (const Rank stage : chains.chain_of(Rank(rank)))
            setting.rounds[stage] = Round(random_at(setting.seed ^ 0xca5c, rank) % 3);
        setting.stuck = setting.seed % 4 == 0;
        setting.may_fail_with = {"no slot is left for a segment"};
      },
      kReplicaSeeds);
  CHECK(sum.counts.deaths > kReplicaSeeds / 2);
  CHECK(sum.rounds > kReplicaSeeds / 4);
  CHECK(sum.finished > kReplicaSeeds);
}

TEST_CASE("a segment that does not wait for members with stages is finished once and its slot is free in the end") {
  const Sum sum = live_through(
      250'000,
      [](WorldSetting& setting) {
        const std::size_t members = setting.supervisor.names.size();
        chain_up(setting);
        if (setting.seed % 3 == 2) replicate(setting);
        setting.supervisor.quorum = config::QuorumSpec{};
        if (setting.seed % 2 == 0) setting.supervisor.quorum->members = 1 + setting.seed % members;
        if (setting.seed % 4 != 0)
          setting.supervisor.quorum->deadline = 0.1 * static_cast<double>(1 + setting.seed % 7);
        setting.stuck = setting.seed % 4 == 1;
        drop_nan(setting, 5);
        if (setting.seed % 3 == 1) setting.supervisor.policy.poison_limit = 1 + setting.seed % 2;
        if (setting.seed % 7 == 0) setting.supervisor.policy.on_worker_failure = OnWorkerFailure::degrade;
        if (setting.seed % 7 == 0) setting.supervisor.policy.restart_limit = 2;
        setting.may_fail_with = {"no slot is left for a segment", "no member is left", "that computed nothing else",
                                 "it died on each of the last 3 segments that it was given"};
      },
      kReplicaSeeds);
  CHECK(sum.counts.deaths > kReplicaSeeds);
  CHECK(sum.counts.not_waited_for > kReplicaSeeds / 2);
  CHECK(sum.repeated > 0);
  CHECK(sum.finished > kReplicaSeeds);
}

/// Every stage behind another one reads its rows, and may find that their index is nonsense.
void count_rows(WorldSetting& setting) {
  const Chains chains = setting.supervisor.chains;
  ByRank<std::optional<Rank>> fed_by;
  ByRank<bool> reads_rows;
  for (const Rank rank : IdRange<Rank>(setting.supervisor.names.size())) {
    fed_by.push_back(chains.feeder_of(rank));
    reads_rows.push_back(fed_by[rank].has_value());
  }
  setting.supervisor.chains = Chains(std::move(fed_by), std::move(reads_rows));
  setting.nonsense = true;
}

TEST_CASE("stages whose readers find nonsense answer every segment once whichever of them die") {
  const Sum sum = live_through(270'000, [](WorldSetting& setting) {
    chain_up(setting);
    if (setting.seed % 2 == 0) replicate(setting);
    count_rows(setting);
    setting.stuck = setting.seed % 3 == 0;
    drop_nan(setting, 5);
    setting.may_fail_with = {"no slot is left for a segment"};
  });
  CHECK(sum.refused > kSeeds / 10);
  CHECK(sum.counts.violations > kSeeds / 2);
  CHECK(sum.repeated > 0);
  CHECK(sum.finished > kSeeds);
}

TEST_CASE("segments whose rows are nonsense again and again are set aside and members leave") {
  const Sum sum = live_through(
      280'000,
      [](WorldSetting& setting) {
        chain_up(setting);
        if (setting.seed % 3 == 0) replicate(setting);
        count_rows(setting);
        setting.supervisor.policy.on_worker_failure = OnWorkerFailure::degrade;
        setting.supervisor.policy.restart_limit = static_cast<std::uint32_t>(1 + setting.seed % 5);
        setting.supervisor.policy.poison_limit = 1 + setting.seed % 2;
        setting.stuck = setting.seed % 4 == 1;
        if (setting.seed % 7 == 0) setting.supervisor.quorum = config::QuorumSpec{.members = 1};
        setting.may_fail_with = {"no member is left", "no slot is left for a segment", "that computed nothing else",
                                 "it died on each of the last 3 segments that it was given"};
      },
      kReplicaSeeds);
  CHECK(sum.refused > 0);
  CHECK(sum.counts.set_aside > 0);
  CHECK(sum.neighbours_lost > 0);
}

}  // namespace
}  // namespace tutti::test
