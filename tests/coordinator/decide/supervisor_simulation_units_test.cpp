// The simulation of supervisor_simulation_test.cpp, with members that share workers, have several, or are asked in
// rounds.
#include "tests/coordinator/decide/simulation.hpp"

namespace tutti::test {
namespace {

/// Members are asked in up to three rounds. Ensembles that train have none.
void ask_in_rounds(WorldSetting& setting) {
  setting.trains = false;
  std::uint64_t drawn = 0;
  const std::size_t members = setting.supervisor.names.size();
  setting.rounds = ByRank<Round>(members);
  for (const Rank rank : setting.rounds.ids())
    setting.rounds[rank] = Round(random_at(setting.seed ^ 0xca5c, drawn++) % 3);
  setting.rounds[Rank(random_at(setting.seed ^ 0xca5c, drawn++) % members)] = Round{};
}

TEST_CASE("members that share workers are answered as those that have their own") {
  const Sum sum = live_through(90'000, [](WorldSetting& setting) {
    share_workers(setting);
    setting.stuck = setting.seed % 3 == 0;
    drop_nan(setting, 5);
    setting.may_fail_with = {"no slot is left for a segment"};
  });
  CHECK(sum.counts.deaths > kSeeds);
  CHECK(sum.counts.hangs > 0);
  CHECK(sum.counts.violations > 0);
  CHECK(sum.counts.handed_out_again > kSeeds);
  CHECK(sum.finished > kSeeds);
}

TEST_CASE("members that share workers are trained as those that have their own") {
  const Sum sum = live_through(
      240'000,
      [](WorldSetting& setting) {
        share_workers(setting);
        setting.trains = true;
        setting.stuck = setting.seed % 3 == 0;
        drop_nan(setting, 5);
        setting.may_fail_with = {"no slot is left for a segment"};
      },
      2 * kReplicaSeeds);
  CHECK(sum.counts.deaths > kReplicaSeeds);
  CHECK(sum.counts.violations > 0);
  CHECK(sum.repeated > kReplicaSeeds / 2);
  CHECK(sum.checkpoints_used > kReplicaSeeds);
  CHECK(sum.finished > kReplicaSeeds);
}

TEST_CASE("members in training that get workers of their own or leave do not cost their neighbours a segment") {
  const Sum sum = live_through(
      250'000,
      [](WorldSetting& setting) {
        share_workers(setting);
        setting.trains = true;
        lose_members(setting, 1);
      },
      2 * kReplicaSeeds);
  CHECK(sum.moved > kReplicaSeeds / 4);
  CHECK(sum.checkpoints_used > kReplicaSeeds);
  CHECK(sum.failed < kReplicaSeeds);
}

TEST_CASE("segments that seem to kill shared workers first cost a member its place there") {
  const Sum sum = live_through(100'000, [](WorldSetting& setting) {
    share_workers(setting);
    lose_members(setting, 1);
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
        drop_nan(setting, 5);
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

TEST_CASE("units that get new versions answer every segment once and each version takes over in the end") {
  const Sum sum = live_through(
      200'000,
      [](WorldSetting& setting) {
        if (setting.seed % 2 == 0) share_workers(setting);
        if (setting.seed % 4 >= 2) replicate(setting);
        if (setting.seed % 5 == 0) ask_in_rounds(setting);
        setting.trains = false;
        setting.renews = true;
        setting.stuck = setting.seed % 3 == 0;
        some_leave(setting);
      },
      kReplicaSeeds);
  CHECK(sum.retired > kReplicaSeeds);
  CHECK(sum.called_off > 0);
  CHECK(sum.counts.deaths > kReplicaSeeds);
  CHECK(sum.finished > kReplicaSeeds);
}

TEST_CASE("members come and go while every call is answered by those with which it began") {
  const Sum sum = live_through(
      210'000,
      [](WorldSetting& setting) {
        come_and_go(setting);
        setting.renews = setting.seed % 4 == 0;
        setting.stuck = setting.seed % 3 == 0;
        drop_nan(setting, 5);
      },
      kReplicaSeeds);
  CHECK(sum.came > 2 * kReplicaSeeds);
  CHECK(sum.went > kReplicaSeeds);
  CHECK(sum.counts.deaths > kReplicaSeeds);
  CHECK(sum.counts.violations > 0);
  CHECK(sum.counts.handed_out_again > kReplicaSeeds / 2);
  CHECK(sum.finished > 2 * kReplicaSeeds);
}

TEST_CASE("members that share workers or have several go and others come") {
  const Sum sum = live_through(
      230'000,
      [](WorldSetting& setting) {
        share_workers(setting);
        if (setting.seed % 3 == 0) replicate(setting);
        come_and_go(setting);
        setting.renews = setting.seed % 4 == 0;
        setting.stuck = setting.seed % 5 == 0;
        drop_nan(setting, 6);
      },
      kReplicaSeeds);
  CHECK(sum.came > 2 * kReplicaSeeds);
  CHECK(sum.went > kReplicaSeeds);
  CHECK(sum.moved > 0);
  CHECK(sum.counts.deaths > kReplicaSeeds);
  CHECK(sum.counts.handed_out_again > kReplicaSeeds / 2);
  CHECK(sum.finished > 2 * kReplicaSeeds);
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

TEST_CASE("members that are asked in rounds answer what they are asked and each segment is finished once") {
  const Sum sum = live_through(
      160'000,
      [](WorldSetting& setting) {
        if (setting.seed % 3 != 0) share_workers(setting);
        if (setting.seed % 3 == 2) replicate(setting);
        ask_in_rounds(setting);
        setting.stuck = setting.seed % 4 == 0;
        drop_nan(setting, 5);
        setting.may_fail_with = {"no slot is left for a segment"};
      },
      kReplicaSeeds);
  CHECK(sum.counts.deaths > kReplicaSeeds);
  CHECK(sum.counts.violations > 0);
  CHECK(sum.counts.handed_out_again > kReplicaSeeds / 2);
  CHECK(sum.rounds > kReplicaSeeds);
  CHECK(sum.finished > kReplicaSeeds);
}

TEST_CASE("rounds go on without members that leave and end for segments that are set aside") {
  const Sum sum = live_through(
      170'000,
      [](WorldSetting& setting) {
        if (setting.seed % 3 != 0) share_workers(setting);
        if (setting.seed % 3 == 2) replicate(setting);
        ask_in_rounds(setting);
        lose_members(setting, 0);
      },
      kReplicaSeeds);
  CHECK(sum.counts.set_aside > 0);
  CHECK(sum.rounds > kReplicaSeeds / 2);
  CHECK(sum.failed < kReplicaSeeds);
}

TEST_CASE("a segment that does not wait for all members is finished once and its slot is free in the end") {
  const Sum sum = live_through(
      180'000,
      [](WorldSetting& setting) {
        if (setting.seed % 3 != 0) share_workers(setting);
        if (setting.seed % 3 == 2) replicate(setting);
        setting.trains = false;
        const std::size_t members = setting.supervisor.names.size();
        setting.supervisor.quorum = config::QuorumSpec{};
        if (setting.seed % 2 == 0) setting.supervisor.quorum->members = 1 + setting.seed % members;
        if (setting.seed % 4 != 0)
          setting.supervisor.quorum->deadline = 0.1 * static_cast<double>(1 + setting.seed % 7);
        setting.stuck = setting.seed % 4 == 1;
        drop_nan(setting, 5);
        if (setting.seed % 3 == 1) setting.supervisor.policy.poison_limit = 1 + setting.seed % 2;
        setting.may_fail_with = {"no slot is left for a segment", "that computed nothing else",
                                 "it died on each of the last 3 segments that it was given"};
      },
      kReplicaSeeds);
  CHECK(sum.counts.deaths > kReplicaSeeds);
  CHECK(sum.counts.not_waited_for > kReplicaSeeds);
  CHECK(sum.finished > kReplicaSeeds);
}

}  // namespace
}  // namespace tutti::test
