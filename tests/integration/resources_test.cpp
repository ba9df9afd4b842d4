// Pools that run into a limit of the system, or sleep through a bell, while there is work.
#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "common/log.hpp"
#include "tests/common/limited_files.hpp"
#include "tests/common/small_disk.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

TEST_CASE("a replacement that lacks descriptors is reported with a hint and tried again") {
  const NothingLeft census;
  auto spec = fake_spec(2);
  spec.failure.restart_limit.reset();
  const auto images = random_images(800);
  const auto expected = naive_mean(spec, images);
  fake_model(spec, 0).delay_us = 1000;
  const Lines lines;
  Ensemble ensemble(published(spec), with_worker());
  // UBSan opens a pipe to look at an object whose class it has not seen yet; from here on it has seen all that count.
  CHECK(ensemble.submit(view(images)).get().values == expected);
  const std::uint64_t before = ensemble.status().members[1].segments_answered;
  auto answer = ensemble.submit(view(images));
  REQUIRE(happens([&] { return ensemble.status().members[1].segments_answered > before; }));
  {
    const NoMoreFiles limit;
    ::kill(ensemble.status().members[1].pid, SIGKILL);
    REQUIRE(happens([&] { return !lines.with("ulimit -n").empty(); }));
  }
  CHECK(answer.get().values == expected);
  const auto refused = lines.with("ulimit -n");
  CHECK(refused.front().starts_with("m1 on cpu: could not "));
  CHECK(contains(refused.front(), "(Too many open files); replacement in "));
  CHECK(refused.front().ends_with(" (too many open files: raise 'ulimit -n')"));
  REQUIRE(lines.with("m1 on cpu died").size() == 1);  // on a segment, or before one
  CHECK(contains(lines.with("m1 on cpu died").front(), ": killed by SIGKILL; "));
  const Status status = ensemble.status();
  CHECK(status.state == PoolState::ready);
  CHECK(status.members[1].generation == 1 + refused.size());
  CHECK(status.members[0].deaths == 0);
}

/// Runs in a child. Exit status: 0 on success, else what failed.
int train_on_small_disk(const std::filesystem::path& disk, const std::filesystem::path& weights) {
  if (!mount_small_disk(disk)) return kNoSmallDisk;
  ::setenv("TMPDIR", disk.c_str(), 1);
  auto spec = fake_spec(2);
  for (std::size_t rank = 0; rank < 2; ++rank) fake_model(spec, rank).classes = 1 << 16;  // 256 KiB of weights
  spec.checkpoint_segments = 1;
  ListSource source(random_images(24), std::vector<std::int64_t>(24, 1));
  Options options = with_worker();
  options.training = true;
  Ensemble ensemble(published(spec), options);
  const auto error = error_of([&] { ensemble.train(source, weights); });
  if (!error || error->kind() != ErrorKind::failed) return 1;
  if (!contains(error->message(), "could not write a checkpoint of 'm")) return 2;
  return contains(error->hint(), "free space in " + disk.string() + ":") ? 0 : 3;
}

TEST_CASE("a training whose checkpoints fill the disk ends with the name of the folder and writes no weights") {
  const TemporaryFolder disk;
  const TemporaryFolder weights;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(train_on_small_disk(disk.path(), weights.path()));
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNoSmallDisk) {
    std::puts("SKIPPED: a small disk cannot be mounted here");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(weights.names().empty());
}

/// One rogue member that answers zeros, and how often a side was found asleep with a full ring.
std::uint64_t missed_wake_ups(const std::string& how, std::size_t count) {
  ::setenv("TUTTI_ROGUE", how.c_str(), 1);
  const Lines lines;
  auto spec = fake_spec(1);
  const auto images = random_images(count);
  Ensemble ensemble(published(spec), with_worker(test::kRogueWorker));
  CHECK(ensemble.predict(view(images)).values == std::vector<float>(count * 4));
  const Status status = ensemble.status();
  CHECK(status.faults.deaths == 0);
  CHECK(lines.with("m0 on cpu: 1 missed wake-ups").size() == status.faults.missed_wake_ups);
  return status.faults.missed_wake_ups;
}

TEST_CASE("an answer without a bell is still found and counted") {
  const NothingLeft census;
  CHECK(missed_wake_ups("answers-in-silence", 8) == 1);
  CHECK(missed_wake_ups("answers-in-silence", 40) >= 3);  // five segments in two slots
}

TEST_CASE("a worker that slept through its bell is woken again and counted") {
  const NothingLeft census;
  // Twice if the task was there before it first went to sleep, so that no bell was needed.
  const std::uint64_t missed = missed_wake_ups("sleeps-through-the-bell", 8);
  CHECK(missed >= 1);
  CHECK(missed <= 2);
}

}  // namespace
}  // namespace tutti::test
