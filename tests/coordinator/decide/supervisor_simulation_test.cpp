// The supervisor in a made-up pool with thousands of seeds: whatever happens, and in whatever order, every segment is
// finished exactly once, every answer counts exactly once, no slot is used too early, training gives the
// same result as without faults, and everything ends. A failure prints its seed.
#include "tests/coordinator/decide/simulation.hpp"

namespace tutti::test {
namespace {

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
