// What submit() may be told: deadlines, stops, priorities, callbacks, and how many calls may wait.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

using Clock = std::chrono::steady_clock;

/// One member that needs 5 ms for a batch of 3, in segments of 3.
config::EnsembleSpec slow_spec() {
  auto spec = fake_spec(1);
  fake_model(spec, 0).delay_us = 5000;
  spec.segment_images = 3;
  return spec;
}

/// Whether the thread of this process waits for something.
bool sleeps(int thread) {
  std::ifstream file(fmt::format("/proc/self/task/{}/stat", thread));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name_end = text.rfind(')');
  return name_end != text.npos && text.substr(name_end).starts_with(") S");
}

TEST_CASE("a prediction that is not ready at its deadline is given up and others go on") {
  const NothingLeft census;
  const auto spec = slow_spec();
  Ensemble ensemble(published(spec), with_worker());
  const auto many = random_images(3000);
  const auto few = random_images(30);
  SubmitOptions soon;
  soon.deadline = Clock::now() + std::chrono::milliseconds(60);
  auto late = ensemble.submit(view(many), soon);
  auto other = ensemble.submit(view(few));
  CHECK(message_of([&] { late.get(); }) == "the prediction was not ready at its deadline");
  CHECK(other.get().values == naive_mean(spec, few));
  SubmitOptions in_time;
  in_time.deadline = Clock::now() + std::chrono::hours(1);
  CHECK(ensemble.submit(view(few), in_time).get().values == naive_mean(spec, few));
  SubmitOptions passed;
  passed.deadline = Clock::now() - std::chrono::seconds(1);
  CHECK(error_of([&] { ensemble.submit(view(few), passed).get(); })->kind() == ErrorKind::interrupted);
}

TEST_CASE("a deadline wakes up even if no worker answers any more") {
  const NothingLeft census;
  auto spec = slow_spec();
  spec.failure.progress = config::FailureSpec::Deadline::off;
  spec.stop_deadline = 0.2;
  Ensemble ensemble(published(spec), with_worker());
  REQUIRE(::kill(ensemble.status().members[0].pid, SIGSTOP) == 0);
  const auto images = random_images(30);
  SubmitOptions options;
  options.deadline = Clock::now() + std::chrono::milliseconds(50);
  CHECK(message_of([&] { ensemble.submit(view(images), options).get(); }) ==
        "the prediction was not ready at its deadline");
}

TEST_CASE("a caller that requests a stop gets its future at once") {
  const NothingLeft census;
  const auto spec = slow_spec();
  Ensemble ensemble(published(spec), with_worker());
  const auto many = random_images(3000);
  std::stop_source source;
  SubmitOptions options;
  options.stop = source.get_token();
  auto future = ensemble.submit(view(many), options);
  CHECK(happens([&] { return ensemble.status().members[0].images > 0; }));
  source.request_stop();
  CHECK(message_of([&] { future.get(); }) == "the prediction was given up: its caller requested a stop");
  const auto few = random_images(30);
  CHECK(ensemble.predict(view(few)).values == naive_mean(spec, few));
  // A stop that was requested before, and one that comes too late.
  CHECK(error_of([&] { ensemble.submit(view(few), options).get(); }).has_value());
  std::stop_source later;
  SubmitOptions in_time;
  in_time.stop = later.get_token();
  auto done = ensemble.submit(view(few), in_time);
  CHECK(done.get().values == naive_mean(spec, few));
  later.request_stop();
}

TEST_CASE("calls of a higher priority are computed before those that wait") {
  const NothingLeft census;
  const auto spec = slow_spec();
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(150);
  std::atomic<int> finished = 0;
  int low_place = 0;
  int high_place = 0;
  SubmitOptions high;
  high.priority = 1;
  std::promise<void> both;
  const auto note = [&](int& place) {
    return [&](std::future<Predictions> future) {
      CHECK(future.get().values == naive_mean(spec, images));
      place = ++finished;
      if (finished == 2) both.set_value();
    };
  };
  ensemble.submit(view(images), note(low_place));
  ensemble.submit(view(images), note(high_place), high);
  both.get_future().get();
  CHECK(high_place == 1);
  CHECK(low_place == 2);
}

TEST_CASE("calls of the same priority take turns") {
  const NothingLeft census;
  const auto spec = slow_spec();
  Ensemble ensemble(published(spec), with_worker());
  const auto many = random_images(600);
  const auto few = random_images(3);
  auto large = ensemble.submit(view(many));
  CHECK(happens([&] { return ensemble.status().members[0].images > 0; }));
  CHECK(ensemble.submit(view(few)).get().values == naive_mean(spec, few));
  CHECK(large.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  large.get();
}

TEST_CASE("a callback gets what the future would have and what it throws is logged") {
  const NothingLeft census;
  const Lines lines;
  auto spec = fake_spec(2);
  ScriptedFault fault{FaultKind::nan, FaultPhase::predict, 0};
  fault.at_value = 7.5F;
  fake_model(spec, 1).faults = {fault};
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(20);
  auto bad = images;
  bad[0] = 7.5F;
  std::promise<Predictions> right;
  ensemble.submit(view(images), [&](std::future<Predictions> future) { right.set_value(future.get()); });
  CHECK(right.get_future().get().values == naive_mean(spec, images));
  std::promise<std::string> wrong;
  ensemble.submit(view(bad), [&](std::future<Predictions> future) {
    wrong.set_value(message_of([&] { future.get(); }));
    throw std::runtime_error("tired");
  });
  CHECK(wrong.get_future().get() == "m1 on cpu predicted NaN or infinity on segment 0");
  CHECK(happens([&] { return lines.with("a callback of submit() threw: tired").size() == 1; }));
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  CHECK(message_of([&] { ensemble.submit(view(images), SubmitDone{}); }) == "submit() was given an empty callback");
}

TEST_CASE("an output that is not finite ends its call and no other") {
  const NothingLeft census;
  auto spec = fake_spec(2);
  ScriptedFault fault{FaultKind::nan, FaultPhase::predict, 0};
  fault.at_value = 7.5F;
  fake_model(spec, 1).faults = {fault};
  spec.slots = 4;
  Ensemble ensemble(published(spec), with_worker());
  const auto good = random_images(80);
  auto bad = random_images(80, 2);
  bad[35 * kShape.elements()] = 7.5F;
  std::vector<std::future<Predictions>> goods;
  std::vector<std::future<Predictions>> bads;
  for (int call = 0; call < 8; ++call) {
    goods.push_back(ensemble.submit(view(good)));
    bads.push_back(ensemble.submit(view(bad)));
  }
  const auto expected = naive_mean(spec, good);
  for (auto& call : goods) CHECK(call.get().values == expected);
  for (auto& call : bads) {
    const auto error = error_of([&] { call.get(); });
    REQUIRE(error);
    CHECK(error->message() == "m1 on cpu predicted NaN or infinity on segment 4");
    CHECK(error->detail() == "first in image 3 of the segment");
  }
  CHECK(ensemble.predict(view(good)).values == expected);
  CHECK(ensemble.status().faults.deaths == 0);
}

TEST_CASE("a full queue refuses or waits as the caller chooses") {
  const NothingLeft census;
  const auto spec = slow_spec();
  Options options = with_worker();
  options.most_submissions = 2;
  Ensemble ensemble(published(spec), options);
  const auto images = random_images(60);
  SubmitOptions refuse;
  refuse.when_full = WhenFull::refuse;
  std::vector<std::future<Predictions>> futures;
  futures.push_back(ensemble.submit(view(images), refuse));
  futures.push_back(ensemble.submit(view(images), refuse));
  CHECK_THROWS_AS(ensemble.submit(view(images), refuse), QueueFull);
  CHECK(message_of([&] { ensemble.submit(view(images), refuse); }) == "2 submissions are waiting already");
  futures.push_back(ensemble.submit(view(images)));  // waits for one of the others
  CHECK((futures[0].wait_for(std::chrono::seconds(0)) == std::future_status::ready ||
         futures[1].wait_for(std::chrono::seconds(0)) == std::future_status::ready));
  for (auto& future : futures) CHECK(future.get().values == naive_mean(spec, images));
}

TEST_CASE("a call that waits for room ends at its deadline and when the ensemble is closed") {
  const NothingLeft census;
  const auto spec = slow_spec();
  Options options = with_worker();
  options.most_submissions = 1;
  const auto many = random_images(3000);
  const auto few = random_images(3);
  auto ensemble = std::make_unique<Ensemble>(published(spec), options);
  auto first = ensemble->submit(view(many));
  SubmitOptions soon;
  soon.deadline = Clock::now() + std::chrono::milliseconds(30);
  CHECK(message_of([&] { ensemble->submit(view(few), soon); }) == "the prediction was not ready at its deadline");
  std::stop_source source;
  SubmitOptions stoppable;
  stoppable.stop = source.get_token();
  std::thread stopper([&] { source.request_stop(); });
  CHECK(message_of([&] { ensemble->submit(view(few), stoppable); }) ==
        "the prediction was given up: its caller requested a stop");
  stopper.join();
  std::string waiting;
  std::atomic<int> waits = 0;
  Ensemble* const raw = ensemble.get();
  std::thread waiter([&] {
    waits = ::gettid();
    waiting = message_of([&] { raw->submit(view(few)).get(); });
  });
  CHECK(happens([&] { return waits != 0 && sleeps(waits); }));
  ensemble.reset();
  waiter.join();
  CHECK(waiting == "the ensemble was closed before this call finished");
  CHECK(error_of([&] { first.get(); })->kind() == ErrorKind::interrupted);
}

TEST_CASE("an ensemble closes though each callback submits again") {
  const NothingLeft census;
  const Lines lines;
  const auto spec = fake_spec(1);
  const auto images = random_images(20);
  std::atomic<int> calls = 0;
  {
    auto ensemble = std::make_unique<Ensemble>(published(spec), with_worker());
    Ensemble* const raw = ensemble.get();
    SubmitDone next;
    next = [&](const std::future<Predictions>&) {
      ++calls;
      raw->submit(view(images), next);
    };
    raw->submit(view(images), next);
    CHECK(happens([&] { return calls > 10; }));
    ensemble.reset();
  }
  CHECK(lines.with("the ensemble was closed before this call finished").size() == 1);
}

TEST_CASE("a call whose segments all kill ends and costs no other call anything") {
  const NothingLeft census;
  auto spec = fake_spec(2);
  ScriptedFault fault{FaultKind::kill, FaultPhase::predict, 0};
  fault.at_value = 7.5F;
  fake_model(spec, 1).faults = {fault};
  spec.failure.on_poison = OnPoison::fail;
  spec.failure.poison_limit = 1;
  spec.failure.back_off = 0.001;
  spec.failure.restart_limit = 50;
  Ensemble ensemble(published(spec), with_worker());
  const auto good = random_images(80);
  auto bad = random_images(80, 2);
  for (std::size_t image = 0; image < 80; ++image) bad[image * kShape.elements()] = 7.5F;
  for (int call = 0; call < 3; ++call) {
    auto wrong = ensemble.submit(view(bad));
    auto right = ensemble.submit(view(good));
    CHECK(contains(message_of([&] { wrong.get(); }), "m1 on cpu died on segment 0"));
    CHECK(right.get().values == naive_mean(spec, good));
  }
  // Each call costs its first segment's deaths, and those of what was computed when it ended.
  CHECK(ensemble.status().faults.deaths <= 15);
}

TEST_CASE("a drained ensemble is not ready and one with a quorum or a cascade is not trained") {
  const NothingLeft census;
  auto spec = fake_spec(2);
  spec.quorum = config::QuorumSpec{1, {}};
  Ensemble ensemble(published(spec), with_worker());
  ListSource source(random_images(8), std::vector<std::int64_t>(8, 0));
  CHECK(message_of([&] { ensemble.train(source, "nowhere"); }) ==
        "an ensemble with a 'cascade' or a 'quorum' cannot be trained");
  ensemble.drain();
  CHECK_FALSE(ensemble.health().ready);
  CHECK(ensemble.health().problems == std::vector<std::string>{"the ensemble is draining"});
  Options options = with_worker();
  options.training = true;
  const Ensemble trains(published(spec), options);
  CHECK(trains.health().ready);
}

TEST_CASE("a callback may submit the next prediction") {
  const NothingLeft census;
  const auto spec = fake_spec(1);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(20);
  std::promise<int> done;
  int calls = 0;
  SubmitDone next;
  next = [&](std::future<Predictions> future) {
    future.get();
    if (++calls == 5) return done.set_value(calls);
    ensemble.submit(view(images), next);
  };
  ensemble.submit(view(images), next);
  CHECK(done.get_future().get() == 5);
}

TEST_CASE("a program is told what happens to the members and asks whether the ensemble is ready") {
  const NothingLeft census;
  Mutex mutex;
  std::vector<Event> events;
  Options options = with_worker();
  options.on_event = [&](const Event& event) {
    const MutexLock lock(mutex);
    events.push_back(event);
  };
  auto spec = fake_spec(2);
  spec.failure.on_worker_failure = OnWorkerFailure::degrade;
  spec.failure.restart_limit = 1;
  spec.failure.back_off = 0;
  const auto seen = [&] {
    const MutexLock lock(mutex);
    return events;
  };
  Ensemble ensemble(published(spec), options);
  CHECK(ensemble.health().ready);
  REQUIRE(::kill(ensemble.status().members[1].pid, SIGKILL) == 0);
  CHECK(happens([&] { return seen().size() == 3; }));
  CHECK(seen() == std::vector<Event>{{Event::Kind::died, "m1", {}},
                                     {Event::Kind::replaced, "m1", {}},
                                     {Event::Kind::restored, {}, {}}});
  CHECK(ensemble.health().ready);
  REQUIRE(::kill(ensemble.status().members[1].pid, SIGKILL) == 0);
  CHECK(happens([&] { return seen().size() == 6; }));
  CHECK(seen()[4].kind == Event::Kind::degraded);
  CHECK(contains(seen()[4].text, "m1 on cpu died"));
  CHECK(ensemble.health().ready);
  CHECK(ensemble.health().problems.size() == 1);
  REQUIRE(::kill(ensemble.status().members[0].pid, SIGKILL) == 0);
  CHECK(happens([&] { return ensemble.status().faults.deaths == 3; }));
}

TEST_CASE("closing an ensemble settles every future and calls every callback") {
  const NothingLeft census;
  const auto spec = slow_spec();
  const auto images = random_images(3000);
  std::vector<std::future<Predictions>> futures;
  std::atomic<int> called = 0;
  {
    Ensemble ensemble(published(spec), with_worker());
    for (int call = 0; call < 3; ++call) {
      futures.push_back(ensemble.submit(view(images)));
      ensemble.submit(view(images), [&](std::future<Predictions> future) {
        CHECK(error_of([&] { future.get(); })->kind() == ErrorKind::interrupted);
        ++called;
      });
    }
  }
  CHECK(called == 3);
  for (auto& future : futures) CHECK(error_of([&] { future.get(); })->kind() == ErrorKind::interrupted);
}

}  // namespace
}  // namespace tutti::test
