// A member that gets a new version while the ensemble predicts: what answers when, and what stays if it cannot.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <thread>

#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

/// Member `rank` answers differently.
config::EnsembleSpec changed(config::EnsembleSpec spec, std::size_t rank) {
  spec.members[rank].seed += 1000;
  return spec;
}

config::EnsembleSpec slow_enough(std::size_t members) {
  auto spec = fake_spec(members);
  spec.failure.back_off = 0.001;
  spec.failure.restart_limit.reset();
  for (std::size_t rank = 0; rank < members; ++rank) fake_model(spec, rank).delay_us = 300;
  return spec;
}

bool lives(int pid) { return ::kill(pid, 0) == 0; }

/// Predicts the images of one segment again and again on a thread of its own until stop(); each answer is that of the
/// old description or of the new one, and no old one comes after a new one.
class Caller {
 public:
  Caller(Ensemble& ensemble, const config::EnsembleSpec& old, const config::EnsembleSpec& next)
      : old_(naive_mean(old, images_)),
        next_(naive_mean(next, images_)),
        thread_([this, &ensemble] { run(ensemble); }) {}
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
  ~Caller() { stop(); }
  void stop() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int old_answers() const { return old_answers_; }
  int new_answers() const { return new_answers_; }
  int wrong_answers() const { return wrong_answers_; }

 private:
  void run(Ensemble& ensemble) {
    while (!stopped_) {
      const std::vector<float> values = ensemble.predict(view(images_)).values;
      if (values == next_)
        ++new_answers_;
      else if (values == old_ && new_answers_ == 0)
        ++old_answers_;
      else
        ++wrong_answers_;
    }
  }

  const std::vector<float> images_ = random_images(8);
  const std::vector<float> old_;
  const std::vector<float> next_;
  std::atomic<bool> stopped_ = false;
  std::atomic<int> old_answers_ = 0;
  std::atomic<int> new_answers_ = 0;
  std::atomic<int> wrong_answers_ = 0;
  std::thread thread_;
};

/// Replaces member m1 while a caller predicts, and looks at what was and what is.
void check_replaced_under_load(const config::EnsembleSpec& spec) {
  const NothingLeft census;
  const auto next = changed(spec, 1);
  Ensemble ensemble(published(spec), with_worker());
  const Status before = ensemble.status();
  Caller caller(ensemble, spec, next);
  CHECK(happens([&] { return caller.old_answers() > 3; }));
  ensemble.replace_member("m1", published(next));
  const auto images = random_images(50);
  CHECK(ensemble.predict(view(images)).values == naive_mean(next, images));
  CHECK(happens([&] { return caller.new_answers() > 3; }));
  caller.stop();
  CHECK(caller.wrong_answers() == 0);
  const Status after = ensemble.status();
  CHECK(after.members[1].pid != before.members[1].pid);
  CHECK(happens([&] { return !lives(before.members[1].pid); }));
  for (const ReplicaStatus& replica : before.members[1].replicas) CHECK(happens([&] { return !lives(replica.pid); }));
  CHECK(after.faults.deaths == 0);
  CHECK(after.faults.restarts == 0);
  CHECK(ensemble.health().ready);
}

TEST_CASE("a member is replaced while predictions go on and the old version never answers after the new one") {
  check_replaced_under_load(slow_enough(3));
}

TEST_CASE("a member that shares a worker or has replicas or a spare is replaced in all its workers") {
  auto shared = slow_enough(3);
  shared.workers = {{.members = {0, 1}, .mode = UnitMode::threads}};
  check_replaced_under_load(shared);
  auto replicated = slow_enough(2);
  replicated.workers = {{.members = {1}, .replicas = 3}};
  replicated.slots = 8;
  check_replaced_under_load(replicated);
  auto spared = slow_enough(2);
  spared.failure.spares = Spares::member;
  check_replaced_under_load(spared);
}

TEST_CASE("a member is replaced again and again and by its former version") {
  const NothingLeft census;
  const auto spec = fake_spec(2);
  const auto next = changed(spec, 0);
  const auto images = random_images(20);
  Options options = with_worker();
  std::atomic<int> replaced = 0;
  options.on_event = [&](const Event& event) { replaced += event.kind == Event::Kind::replaced ? 1 : 0; };
  Ensemble ensemble(published(spec), options);
  for (int round = 0; round < 4; ++round) {
    ensemble.replace_member("m0", published(round % 2 == 0 ? next : spec));
    CHECK(ensemble.predict(view(images)).values == naive_mean(round % 2 == 0 ? next : spec, images));
    CHECK(ensemble.status().members[0].generation == static_cast<std::uint32_t>(round + 1));
  }
  CHECK(happens([&] { return replaced == 4; }));
}

TEST_CASE("a new version that dies later is replaced by its like") {
  const NothingLeft census;
  auto spec = slow_enough(2);
  const auto next = changed(spec, 1);
  const auto images = random_images(20);
  Ensemble ensemble(published(spec), with_worker());
  ensemble.replace_member("m1", published(next));
  for (int round = 0; round < 3; ++round) {
    REQUIRE(::kill(ensemble.status().members[1].pid, SIGKILL) == 0);
    CHECK(ensemble.predict(view(images)).values == naive_mean(next, images));
    CHECK(happens([&] { return ensemble.health().ready && ensemble.health().problems.empty(); }));
  }
  CHECK(ensemble.status().faults.deaths == 3);
}

TEST_CASE("a worker that dies while the new version is loaded is replaced by its like until that takes over") {
  const NothingLeft census;
  const auto spec = slow_enough(2);
  auto next = changed(spec, 1);
  fake_model(next, 1).load_delay_ms = 700;
  const auto images = random_images(20);
  Ensemble ensemble(published(spec), with_worker());
  const int old = ensemble.status().members[1].pid;
  std::thread replacing([&] { ensemble.replace_member("m1", published(next)); });
  REQUIRE(::kill(old, SIGKILL) == 0);
  const std::vector<float> values = ensemble.predict(view(images)).values;
  const bool either = values == naive_mean(spec, images) || values == naive_mean(next, images);
  CHECK(either);
  replacing.join();
  CHECK(ensemble.predict(view(images)).values == naive_mean(next, images));
  CHECK(ensemble.status().faults.deaths == 1);
}

TEST_CASE("a new version that cannot start changes nothing and the error says why") {
  const NothingLeft census;
  const auto spec = fake_spec(2);
  const auto images = random_images(20);
  Ensemble ensemble(published(spec), with_worker());
  const int pid = ensemble.status().members[0].pid;
  const auto refused = [&](auto change) {
    auto next = changed(spec, 0);
    change(fake_model(next, 0));
    const auto error = error_of([&] { ensemble.replace_member("m0", published(next)); });
    REQUIRE(error.has_value());
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
    CHECK(ensemble.status().members[0].pid == pid);
    return *error;
  };
  const auto fails = [](FaultKind kind, FaultPhase phase) {
    return [kind, phase](FakeModel& model) { model.faults = {{kind, phase, 0}}; };
  };
  CHECK(contains(refused(fails(FaultKind::exception, FaultPhase::load)).message(),
                 "the new version of m0 cannot take over: "));
  CHECK(contains(refused(fails(FaultKind::kill, FaultPhase::load)).message(), "its worker was killed by SIGKILL"));
  const Error wider = refused([](FakeModel& model) { model.classes = 5; });
  CHECK(wider.kind() == ErrorKind::usage);
  CHECK(contains(wider.message(), "it outputs 5 values per image, and the ensemble was built for the 4"));
  CHECK(ensemble.status().faults.deaths == 0);
  ensemble.replace_member("m0", published(changed(spec, 0)));
  CHECK(ensemble.predict(view(images)).values == naive_mean(changed(spec, 0), images));
}

TEST_CASE("a new version that dies while the old one still answers changes nothing") {
  const NothingLeft census;
  auto spec = slow_enough(2);
  spec.failure.spares = Spares::member;
  fake_model(spec, 1).delay_us = 400'000;
  auto next = changed(spec, 1);
  fake_model(next, 1).delay_us = 300;
  const auto images = random_images(20);
  Ensemble ensemble(published(spec), with_worker());
  const auto children_before = children_of(::getpid());
  std::future<Predictions> running = ensemble.submit(view(images));
  std::optional<Error> error;
  std::thread replacing([&] { error = error_of([&] { ensemble.replace_member("m1", published(next)); }); });
  int successor = 0;
  CHECK(happens([&] {
    for (const int pid : children_of(::getpid()))
      if (std::ranges::find(children_before, pid) == children_before.end()) successor = pid;
    return successor != 0;
  }));
  // It may be loading, or ready: then its place is not free before the old one has answered.
  REQUIRE(::kill(successor, SIGKILL) == 0);
  replacing.join();
  CHECK(running.get().values == naive_mean(spec, images));
  if (error) {
    CHECK(contains(error->message(), "the new version of m1 cannot take over: its worker was killed by SIGKILL"));
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
    CHECK(ensemble.status().faults.deaths == 0);
  }
}

TEST_CASE("closing an ensemble ends a replacement that a callback waits for") {
  const NothingLeft census;
  auto spec = slow_enough(1);
  auto endless = changed(spec, 0);
  fake_model(endless, 0).load_delay_ms = 3'000'000;
  Options options = with_worker();
  std::atomic<Ensemble*> shared = nullptr;
  std::atomic<bool> begun = false;
  options.on_event = [&](const Event& event) {
    if (event.kind != Event::Kind::died) return;
    begun = true;
    CHECK(error_of([&] { shared.load()->replace_member("m0", published(endless)); })->kind() == ErrorKind::interrupted);
  };
  Ensemble ensemble(published(spec), options);
  shared = &ensemble;
  REQUIRE(::kill(ensemble.status().members[0].pid, SIGKILL) == 0);
  CHECK(happens([&] { return begun.load(); }));
}

TEST_CASE("a new version that is not ready in time changes nothing") {
  const NothingLeft census;
  auto spec = fake_spec(1);
  spec.start_deadline = 5;
  Ensemble ensemble(published(spec), with_worker());
  auto next = changed(spec, 0);
  fake_model(next, 0).load_delay_ms = 3'000'000;
  CHECK(contains(message_of([&] { ensemble.replace_member("m0", published(next)); }), "it was not ready within 5 s"));
  const auto images = random_images(3);
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
}

TEST_CASE("a new version is given up when a stop is requested and the old one stays") {
  const NothingLeft census;
  const auto spec = fake_spec(2);
  auto endless = changed(spec, 0);
  fake_model(endless, 0).load_delay_ms = 3'000'000;
  Ensemble ensemble(published(spec), with_worker());
  std::stop_source stop;
  std::optional<Error> error;
  std::thread replacing(
      [&] { error = error_of([&] { ensemble.replace_member("m0", published(endless), stop.get_token()); }); });
  CHECK(happens([] { return children_of(::getpid()).size() > 2; }));
  stop.request_stop();
  replacing.join();
  REQUIRE(error.has_value());
  CHECK(error->kind() == ErrorKind::interrupted);
  CHECK(error->message() == "the new version of m0 was given up before it took over");
  CHECK(happens([] { return children_of(::getpid()).size() == 2; }));
  const auto images = random_images(3);
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  const auto next = changed(spec, 0);
  CHECK(error_of([&] { ensemble.replace_member("m0", published(next), stop.get_token()); })->kind() ==
        ErrorKind::interrupted);
  ensemble.replace_member("m0", published(next));
  CHECK(ensemble.predict(view(images)).values == naive_mean(next, images));
}

TEST_CASE("a start is given up when a stop is requested") {
  const NothingLeft census;
  auto spec = fake_spec(2);
  fake_model(spec, 1).load_delay_ms = 3'000'000;
  Options options = with_worker();
  std::stop_source stop;
  options.stop = stop.get_token();
  std::thread stopping([&] {
    CHECK(happens([] { return children_of(::getpid()).size() == 2; }));
    stop.request_stop();
  });
  const auto error = error_of([&] { const Ensemble ensemble(published(spec), options); });
  stopping.join();
  REQUIRE(error.has_value());
  CHECK(error->kind() == ErrorKind::interrupted);
  CHECK(error->message() == "the ensemble was given up while it started");
}

TEST_CASE("a stop that comes as a start completes gives it up or comes too late for it") {
  const NothingLeft census;
  const auto spec = fake_spec(1);
  const auto images = random_images(3);
  for (int spins = 0; spins < 40; ++spins) {
    Options options = with_worker();
    std::stop_source stop;
    options.stop = stop.get_token();
    std::thread stopping([&] {
      CHECK(happens([] { return children_of(::getpid()).size() == 1; }));
      std::this_thread::sleep_for(std::chrono::microseconds(500) * spins);
      stop.request_stop();
    });
    std::optional<Ensemble> ensemble;
    const auto error = error_of([&] { ensemble.emplace(published(spec), options); });
    stopping.join();
    if (error)
      CHECK(error->message() == "the ensemble was given up while it started");
    else
      CHECK(ensemble->predict(view(images)).values == naive_mean(spec, images));
  }
}

TEST_CASE("a description that changes more than the member is refused") {
  const NothingLeft census;
  const auto spec = fake_spec(2);
  Ensemble ensemble(published(spec), with_worker());
  const auto refused = [&](auto change, const char* name = "m1") {
    auto next = changed(spec, 1);
    change(next);
    const auto error = error_of([&] { ensemble.replace_member(name, published(next)); });
    REQUIRE(error.has_value());
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(!error->hint().empty());
    return error->message();
  };
  CHECK(refused([](auto&) {}, "m7") == "there is no member 'm7' to replace");
  CHECK(refused([](auto&) {}, "m0") == "the new description differs in more than the member m0");
  CHECK(refused([](auto& next) { next.segment_images = 4; }) ==
        "the new description differs in more than the member m1");
  CHECK(refused([](auto& next) { next.members[1].name = "other"; }) == "the new description has other members");
  CHECK(refused([](auto& next) { next.members[1].weight = 2; }) == "m1 cannot change its weight while it runs");
  CHECK(refused([](auto& next) { next.members[1].device = config::CpuDevice{{0}}; }) ==
        "m1 cannot change its device while it runs");
}

TEST_CASE("an ensemble that has trained or is closed replaces no member") {
  const NothingLeft census;
  const auto spec = fake_spec(1);
  const auto next = published(changed(spec, 0));
  {
    Ensemble ensemble(published(spec), with_worker());
    ListSource source(random_images(16), std::vector<std::int64_t>(16, 1));
    const TemporaryFolder folder;
    ensemble.train(source, folder.path());
    CHECK(message_of([&] { ensemble.replace_member("m0", next); }) ==
          "a member cannot be replaced in an ensemble that has trained its members");
  }
  {
    Options options = with_worker();
    options.training = true;
    Ensemble ensemble(published(spec), options);
    CHECK(contains(message_of([&] { ensemble.replace_member("m0", next); }), "was made to train"));
  }
  {
    Ensemble ensemble(published(spec), with_worker());
    ensemble.interrupt();
    CHECK(error_of([&] { ensemble.replace_member("m0", next); })->kind() == ErrorKind::interrupted);
  }
  auto endless = changed(spec, 0);
  fake_model(endless, 0).load_delay_ms = 3'000'000;
  std::thread replacing;
  {
    Ensemble ensemble(published(spec), with_worker());
    std::atomic<bool> begun = false;
    replacing = std::thread([&ensemble, &endless, &begun] {
      begun = true;
      CHECK(error_of([&] { ensemble.replace_member("m0", published(endless)); })->kind() == ErrorKind::interrupted);
    });
    while (!begun) std::this_thread::yield();
    CHECK(happens([] { return children_of(::getpid()).size() > 1; }));
  }
  replacing.join();
}

}  // namespace
}  // namespace tutti::test
