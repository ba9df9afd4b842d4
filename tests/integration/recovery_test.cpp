// Workers that die, hang, are stopped or write nonsense while there is work: the outputs stay the same to the last bit,
// the counts say what happened, and nothing is left behind.
#include <doctest/doctest.h>
#include <signal.h>

#include <cmath>
#include <cstring>

#include "common/log.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

/// Three members, of which m1 misbehaves in every generation.
config::EnsembleSpec with_fault(const ScriptedFault& fault) {
  auto spec = fake_spec(3);
  fake_model(spec, 1).faults = {fault};
  spec.failure.back_off = 0.001;
  return spec;
}

bool same_bytes(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST_CASE("a member whose workers die again and again loses nothing and changes no bit") {
  const auto images = random_images(80);
  for (const FaultKind kind : {FaultKind::exit, FaultKind::abort, FaultKind::segfault, FaultKind::kill}) {
    CAPTURE(to_name(kind));
    const NothingLeft census;
    // Ten segments of three batches: each worker dies in the middle of its third segment.
    const auto spec = with_fault({kind, FaultPhase::predict, 7});
    Ensemble ensemble(published(spec), with_worker());
    CHECK(same_bytes(ensemble.predict(view(images)).values, naive_mean(spec, images)));
    const Status status = ensemble.status();
    CHECK(status.state == PoolState::ready);
    CHECK(status.faults.deaths >= 3);
    CHECK(status.faults.restarts == status.faults.deaths);
    CHECK(status.faults.handed_out_again >= status.faults.deaths);
    CHECK(status.faults.set_aside == 0);
    CHECK(status.faults.missed_wake_ups == 0);
    CHECK(status.members[1].generation == status.faults.deaths);
    CHECK(status.members[0].generation == 0);
    for (const MemberStatus& member : status.members) CHECK(member.segments_answered == 10);
  }
}

TEST_CASE("a death is one line with member and cause and segment and what follows") {
  const Lines lines;
  auto spec = with_fault({FaultKind::kill, FaultPhase::predict, 7});
  spec.failure.restart_limit = 1;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(32);  // the replacement has six batches left
  ensemble.predict(view(images));
  REQUIRE(lines.all().size() == 1);
  const std::string line = lines.all().front();
  CHECK(line.starts_with("m1 on cpu died: killed by SIGKILL on segment 2; replacement started, "));
  CHECK(line.ends_with(" handed out again"));
}

TEST_CASE("a worker that is killed while it is idle is replaced before it is missed") {
  const NothingLeft census;
  const auto spec = fake_spec(2);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(20);
  for (int round = 0; round < 3; ++round) {
    const int pid = ensemble.status().members[0].pid;
    ::kill(pid, SIGKILL);
    CHECK(happens([&] {
      const MemberStatus member = ensemble.status().members[0];
      return member.pid != 0 && member.pid != pid;
    }));
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  }
  CHECK(ensemble.status().faults.restarts == 3);
}

TEST_CASE("a worker that hangs is killed after its deadline and replaced") {
  const NothingLeft census;
  auto spec = with_fault({FaultKind::hang, FaultPhase::predict, 7});
  spec.failure.progress = config::FailureSpec::Deadline::fixed;
  spec.failure.progress_deadline = 0.5;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(32);
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  CHECK(ensemble.status().faults.hangs == 1);
  CHECK(ensemble.status().faults.deaths == 1);
}

TEST_CASE("a worker that was stopped by a signal counts as hanging") {
  const NothingLeft census;
  auto spec = fake_spec(2);
  fake_model(spec, 0).delay_us = 2000;
  spec.failure.progress = config::FailureSpec::Deadline::fixed;
  spec.failure.progress_deadline = 0.5;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(400);
  auto answer = ensemble.submit(view(images));
  REQUIRE(happens([&] { return ensemble.status().members[0].segments_answered > 0; }));
  ::kill(ensemble.status().members[0].pid, SIGSTOP);
  CHECK(answer.get().values == naive_mean(spec, images));
  CHECK(ensemble.status().faults.hangs == 1);
}

TEST_CASE("without a deadline a worker may be slow") {
  auto spec = fake_spec(1);
  spec.failure.progress = config::FailureSpec::Deadline::off;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(20);
  const int pid = ensemble.status().members[0].pid;
  ::kill(pid, SIGSTOP);
  auto answer = ensemble.submit(view(images));
  CHECK(answer.wait_for(std::chrono::milliseconds(1500)) == std::future_status::timeout);
  ::kill(pid, SIGCONT);
  CHECK(answer.get().values == naive_mean(spec, images));
  CHECK(ensemble.status().faults.deaths == 0);
}

TEST_CASE("an image that kills its workers is set aside with its segment and the rest is answered") {
  const NothingLeft census;
  auto images = random_images(80);
  images[35 * kShape.elements()] = 7.5F;  // in segment 4, images 32 to 39
  ScriptedFault fault{FaultKind::segfault, FaultPhase::predict, 0};
  fault.at_value = 7.5F;
  const auto spec = with_fault(fault);
  const Lines lines;
  Ensemble ensemble(published(spec), with_worker());
  const Predictions answer = ensemble.predict(view(images));
  const auto whole = naive_mean(spec, images);
  for (std::size_t image = 0; image < 80; ++image) {
    const bool aside = image / 8 == 4;
    CHECK((answer.predicted[image] == -1) == aside);
    for (std::size_t c = 0; c < 4; ++c) {
      const float value = answer.values[image * 4 + c];
      CHECK((aside ? std::isnan(value) : value == whole[image * 4 + c]));
    }
  }
  CHECK(answer.incomplete == std::vector{IncompleteSegment{32, 8, 2, {1}, true}});
  const Status status = ensemble.status();
  CHECK(status.faults.set_aside == 1);
  CHECK(status.faults.deaths == 4);  // once with other tasks, three times by itself
  bool told = false;
  for (const std::string& line : lines.all()) told = told || (contains(line, "set aside") && contains(line, "32"));
  CHECK(told);
  // The pool works as before.
  images[35 * kShape.elements()] = 0.5F;
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
}

TEST_CASE("an image that kills its workers ends its call if that is set") {
  const NothingLeft census;
  auto images = random_images(80);
  images[35 * kShape.elements()] = 7.5F;
  ScriptedFault fault{FaultKind::kill, FaultPhase::predict, 0};
  fault.at_value = 7.5F;
  auto spec = with_fault(fault);
  spec.failure.on_poison = OnPoison::fail;
  Ensemble ensemble(published(spec), with_worker());
  const auto error = error_of([&] { ensemble.predict(view(images)); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(contains(error->message(), "m1 on cpu"));
  CHECK(contains(error->message(), "segment 4"));
  // Only that call ends.
  images[35 * kShape.elements()] = 0.5F;
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
}

TEST_CASE("when the restart budget is spent the run ends with the last death") {
  const NothingLeft census;
  auto spec = with_fault({FaultKind::kill, FaultPhase::predict, 1});
  spec.failure.restart_limit = 2;
  spec.failure.poison_limit.reset();
  // The second batch of each life: with limit off, deaths of a segment that is retried alone do not count.
  spec.segment_images = 3;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(80);
  const auto error = error_of([&] { ensemble.predict(view(images)); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message().starts_with("m1 on cpu died on segment "));
  CHECK(contains(error->message(), "it was killed by SIGKILL"));
  CHECK(contains(error->hint(), "restarts"));
  CHECK(ensemble.status().faults.restarts == 2);
}

TEST_CASE("a member that dies too often is left out if that is set and the result says so") {
  const NothingLeft census;
  auto spec = with_fault({FaultKind::kill, FaultPhase::predict, 1});
  spec.failure.restart_limit = 2;
  spec.failure.on_worker_failure = OnWorkerFailure::degrade;
  spec.segment_images = 3;
  spec.combine.rule = CombineRule::weighted;
  spec.members[2].weight = 3;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(81);
  const Predictions answer = ensemble.predict(view(images));
  REQUIRE_FALSE(answer.incomplete.empty());
  // In the segments without it, only the weights of the others count.
  const auto first = naive_answer(spec, 0, images);
  const auto third = naive_answer(spec, 2, images);
  const auto begin = answer.incomplete.front().first;
  CHECK(begin > 0);
  for (std::size_t i = begin * 4; i < answer.values.size(); ++i)
    CHECK(answer.values[i] == (first[i] + 3 * third[i]) / 4);
  for (const IncompleteSegment& segment : answer.incomplete) {
    CHECK(segment.members_present == 2);
    CHECK(segment.absent == std::vector<std::size_t>{1});
    CHECK_FALSE(segment.set_aside);
  }
  const Status status = ensemble.status();
  CHECK(status.members[1].state == WorkerState::absent);
  CHECK(contains(status.members[1].absent_reason, "killed by SIGKILL"));
  CHECK(status.members[1].absent_from_segment);
  CHECK(status.state == PoolState::ready);
  // Later runs are without it from the first image on.
  const Predictions later = ensemble.predict(view(images));
  CHECK(later.incomplete.size() == 27);
}

TEST_CASE("an output that is not finite is left out of its segment if that is set") {
  auto spec = with_fault({FaultKind::nan, FaultPhase::predict, 4});
  spec.failure.on_nan = OnNan::degrade;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(80);
  const Predictions answer = ensemble.predict(view(images));
  CHECK(answer.incomplete == std::vector{IncompleteSegment{8, 8, 2, {1}, false}});
  CHECK(ensemble.status().faults.not_finite_dropped == 1);
  CHECK(ensemble.status().faults.deaths == 0);
  for (const float value : answer.values) CHECK(std::isfinite(value));
}

TEST_CASE("spares take over and are replaced themselves") {
  for (const Spares spares : {Spares::process, Spares::member}) {
    CAPTURE(to_name(spares));
    const NothingLeft census;
    auto spec = fake_spec(2);
    spec.failure.spares = spares;
    spec.failure.restart_limit.reset();
    Ensemble ensemble(published(spec), with_worker());
    const auto images = random_images(20);
    for (int round = 0; round < 3; ++round) {
      CHECK(happens([] { return children_of(::getpid()).size() == 4; }));
      const int pid = ensemble.status().members[1].pid;
      ::kill(pid, SIGKILL);
      CHECK(happens([&] {
        const MemberStatus member = ensemble.status().members[1];
        return member.pid != 0 && member.pid != pid;
      }));
      CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
    }
  }
}

TEST_CASE("a spare that is still loading takes over and is told to load once") {
  const NothingLeft census;
  auto spec = fake_spec(1);
  fake_model(spec, 0).load_delay_ms = 500;
  spec.failure.spares = Spares::member;
  Ensemble ensemble(published(spec), with_worker());
  REQUIRE(happens([] { return children_of(::getpid()).size() == 2; }));
  const auto images = random_images(80);
  ensemble.predict(view(images));  // by now the spare has said hello
  ::kill(ensemble.status().members[0].pid, SIGKILL);
  CHECK(happens([&] { return ensemble.status().faults.deaths > 0; }));
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  CHECK(ensemble.status().faults.deaths == 1);
}

TEST_CASE("a member that was given up keeps no spare") {
  for (const Spares spares : {Spares::process, Spares::member}) {
    CAPTURE(to_name(spares));
    const NothingLeft census;
    const Lines lines;
    auto spec = with_fault({FaultKind::kill, FaultPhase::predict, 1});
    spec.failure.restart_limit = 1;
    spec.failure.on_worker_failure = OnWorkerFailure::degrade;
    spec.failure.spares = spares;
    spec.segment_images = 3;
    Ensemble ensemble(published(spec), with_worker());
    const auto images = random_images(81);
    REQUIRE_FALSE(ensemble.predict(view(images)).incomplete.empty());
    CHECK(ensemble.status().members[1].state == WorkerState::absent);
    // Two workers and their spares.
    CHECK(happens([] { return children_of(::getpid()).size() == 4; }));
    for (const std::string& line : lines.all()) CHECK_FALSE(contains(line, "spare"));
  }
}

TEST_CASE("the death of a spare is logged and does no harm") {
  const NothingLeft census;
  const Lines lines;
  auto spec = fake_spec(1);
  spec.failure.spares = Spares::member;
  Ensemble ensemble(published(spec), with_worker());
  REQUIRE(happens([] { return children_of(::getpid()).size() == 2; }));
  const int worker = ensemble.status().members[0].pid;
  for (const int child : children_of(::getpid()))
    if (child != worker) ::kill(child, SIGKILL);
  CHECK(happens([&] { return !lines.all().empty(); }));
  CHECK(lines.all().front().starts_with("the spare worker of m0 on cpu was killed by SIGKILL"));
  const auto images = random_images(20);
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  CHECK(ensemble.status().faults.deaths == 0);
}

}  // namespace
}  // namespace tutti::test
