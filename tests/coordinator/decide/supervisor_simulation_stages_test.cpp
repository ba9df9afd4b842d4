// The simulation of supervisor_simulation_test.cpp, with members that are chains of stages.
#include "tests/coordinator/decide/simulation.hpp"

namespace tutti::test {
namespace {

/// Each member gets up to two stages before its last one, in workers of their own.
void chain_up(WorldSetting& setting) {
  std::uint64_t drawn = 0;
  SupervisorSetting& supervisor = setting.supervisor;
  const std::size_t members = supervisor.names.size();
  ByRank<std::optional<Rank>> fed_by(members);
  for (const Rank rank : IdRange<Rank>(members)) {
    std::uint64_t before = random_at(setting.seed ^ 0xc4a1, drawn++) % 3;
    if (rank == Rank(0)) before = std::max<std::uint64_t>(before, 1);
    std::optional<Rank> last;
    for (; before > 0; --before) {
      fed_by.push_back(last);
      last = Rank(fed_by.size() - 1);
      supervisor.names.push_back(fmt::format("m{}/{}", rank.value(), before));
      supervisor.devices.push_back("cpu");
    }
    fed_by[rank] = last;
  }
  supervisor.chains = Chains(std::move(fed_by));
  setting.chained = true;
  setting.trains = false;
}

TEST_CASE("stages answer every segment once whichever of them die") {
  const Sum sum = live_through(210'000, [](WorldSetting& setting) {
    chain_up(setting);
    setting.stuck = setting.seed % 3 == 0;
    setting.nan = setting.seed % 5 == 0;
    if (setting.nan) setting.supervisor.policy.on_nan = OnNan::degrade;
    setting.may_fail_with = {"no slot is left for a segment"};
  });
  CHECK(sum.counts.deaths > kSeeds);
  CHECK(sum.counts.hangs > 0);
  CHECK(sum.counts.violations > 0);
  CHECK(sum.counts.not_finite_dropped > 0);
  CHECK(sum.counts.handed_out_again > kSeeds);
  CHECK(sum.finished > kSeeds);
}

TEST_CASE("replicas of stages answer every segment once whichever of them die or are late") {
  const Sum sum = live_through(
      220'000,
      [](WorldSetting& setting) {
        chain_up(setting);
        replicate(setting);
        setting.stuck = setting.seed % 3 == 0;
        setting.nan = setting.seed % 5 == 0;
        if (setting.nan) setting.supervisor.policy.on_nan = OnNan::degrade;
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

}  // namespace
}  // namespace tutti::test
