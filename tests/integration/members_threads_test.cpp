// Members that come to an ensemble and go from it by several threads at the same time, while workers die.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <stop_token>
#include <thread>

#include "tests/integration/members.hpp"

namespace tutti::test {
namespace {

constexpr std::size_t kChanging = 3;
config::MemberSpec member_of_thread(std::size_t thread) { return further("x" + std::to_string(thread), 41 + thread); }

/// What every order of some further members predicts with those of `spec`.
std::vector<std::vector<float>> allowed_predictions(const config::EnsembleSpec& spec,
                                                    const std::vector<float>& images) {
  std::vector<std::vector<float>> allowed{naive_mean(spec, images)};
  std::array<std::size_t, kChanging> order{0, 1, 2};
  do {
    config::EnsembleSpec more = spec;
    for (const std::size_t thread : order) {
      more = with(more, member_of_thread(thread));
      allowed.push_back(naive_mean(more, images));
    }
  } while (std::ranges::next_permutation(order).found);
  return allowed;
}

/// Adds and removes a member, some of them after it was killed; sometimes it is given up on its way.
void change(Ensemble& ensemble, std::size_t thread, std::atomic<int>& came) {
  const config::MemberSpec member = member_of_thread(thread);
  for (int round = 0; round < 6; ++round) {
    std::stop_source stop;
    if (round % 3 == 2) stop.request_stop();
    if (const auto error = error_of([&] { ensemble.add_member(member, stop.get_token()); })) {
      CHECK(error->kind() == ErrorKind::interrupted);
      continue;
    }
    ++came;
    const Status status = ensemble.status();
    const auto found = std::ranges::find(status.members, member.name, &MemberStatus::name);
    REQUIRE(found != status.members.end());
    if (round % 2 == 0 && found->pid > 0) ::kill(found->pid, SIGKILL);
    ensemble.remove_member(member.name);
  }
}

TEST_CASE("members that share workers or have replicas go and others come") {
  const NothingLeft census;
  auto spec = tough(4);
  spec.workers = {{.members = {0, 1, 2}}, {.members = {3}, .replicas = 2}};
  spec.slots = 8;
  const auto images = random_images(30);
  Ensemble ensemble(published(spec), with_worker());
  const auto answers_like = [&](const config::EnsembleSpec& now) {
    CHECK(ensemble.predict(view(images)).values == naive_mean(now, images));
    CHECK(names_of(ensemble.status()) == names_of(Ensemble(ensemble.spec(), with_worker()).status()));
    CHECK(ensemble.health().ready);
  };
  const auto pids = [&] {
    std::vector<int> found;
    for (const MemberStatus& member : ensemble.status().members) found.push_back(member.pid);
    return found;
  };
  const int shared = pids()[0];
  ensemble.remove_member("m1");
  spec = without(spec, 1);
  answers_like(spec);
  CHECK(pids()[1] == shared);  // it stays for m0 and m2
  ensemble.add_member(further("x"));
  spec = with(spec, further("x"));
  answers_like(spec);
  // A process of the two that are left takes the place of the one of three.
  ::kill(shared, SIGKILL);
  CHECK(happens([&] { return pids()[0] != shared && pids()[0] != 0; }));
  answers_like(spec);
  CHECK(pids()[0] == pids()[1]);
  const std::vector<ReplicaStatus> replicas = ensemble.status().members[2].replicas;
  REQUIRE(replicas.size() == 2);
  ensemble.remove_member("m3");
  spec = without(spec, 2);
  answers_like(spec);
  for (const ReplicaStatus& replica : replicas) CHECK(happens([&] { return !is_there(replica.pid); }));
  const int last = pids()[0];
  ensemble.remove_member("m0");
  ensemble.remove_member("m2");
  spec = without(without(spec, 0), 0);
  answers_like(spec);
  CHECK(happens([&] { return !is_there(last); }));
  ensemble.add_member(further("y", 5));
  answers_like(with(spec, further("y", 5)));
  CHECK(ensemble.spec().checked().workers.empty());
}

TEST_CASE("threads that change members at the same time lose no call and leave the others") {
  const NothingLeft census;
  const auto spec = tough(2);
  const auto images = random_images(20);
  const auto allowed = allowed_predictions(spec, images);
  Options options = with_worker();
  std::atomic<int> events = 0;
  options.on_event = [&](const Event&) { ++events; };
  Ensemble ensemble(published(spec), options);
  std::atomic<bool> stopped = false;
  std::atomic<int> wrong = 0;
  std::atomic<int> came = 0;
  std::thread calling([&] {
    while (!stopped) {
      std::future<Predictions> future = ensemble.submit(view(images));
      for (const std::vector<float>& values : {ensemble.predict(view(images)).values, future.get().values})
        wrong += std::ranges::find(allowed, values) == allowed.end() ? 1 : 0;
    }
  });
  std::thread looking([&] {
    while (!stopped) {
      const Names names = names_of(ensemble.status());
      CHECK(std::ranges::find(names, "") == names.end());
      CHECK(names.size() <= 2 + kChanging);
      CHECK(ensemble.spec().checked().members.size() <= 2 + kChanging);
      static_cast<void>(ensemble.health());
    }
  });
  std::vector<std::thread> changing;
  for (std::size_t thread = 0; thread < kChanging; ++thread)
    changing.emplace_back([&, thread] { change(ensemble, thread, came); });
  for (std::thread& thread : changing) thread.join();
  stopped = true;
  calling.join();
  looking.join();
  CHECK(wrong == 0);
  CHECK(came >= 12);
  CHECK(names_of(ensemble.status()) == Names{"m0", "m1"});
  CHECK(ensemble.predict(view(images)).values == allowed.front());
  CHECK(happens([] { return children_of(::getpid()).size() == 2; }));
}

TEST_CASE("a member that was removed is replaced if it dies while a call needs it") {
  const NothingLeft census;
  SlowCall call;
  CHECK(happens([&] { return call.ensemble.status().members[1].segments_handed_out > 0; }));
  call.ensemble.remove_member("m1");
  REQUIRE(::kill(call.pid, SIGKILL) == 0);
  std::future<Predictions> later = call.ensemble.submit(view(call.images));
  CHECK(call.running.get().values == naive_mean(call.spec, call.images));
  CHECK(later.get().values == naive_mean(without(call.spec, 1), call.images));
  CHECK(happens([] { return children_of(::getpid()).size() == 1; }));
  CHECK(call.ensemble.status().faults.deaths == 1);
}

TEST_CASE("an ensemble is closed while threads change its members") {
  const NothingLeft census;
  const auto images = random_images(20);
  for (int round = 0; round < 5; ++round) {
    std::vector<std::thread> changing;
    std::atomic<std::size_t> begun = 0;
    {
      Ensemble ensemble(published(tough(2)), with_worker());
      // All are inside a call when it ends: a load that takes for ever is what they wait for.
      for (std::size_t thread = 0; thread < kChanging; ++thread)
        changing.emplace_back([&, thread] {
          auto member = member_of_thread(thread);
          fake_of(member).load_delay_ms = 3'000'000;
          ++begun;
          const auto error = error_of([&] { ensemble.add_member(member); });
          CHECK((error && error->kind() == ErrorKind::interrupted));
        });
      std::future<Predictions> running = ensemble.submit(view(images));
      CHECK(happens([&] { return begun == kChanging && children_of(::getpid()).size() > 2; }));
      running.get();
      ensemble.interrupt();
      for (std::thread& thread : changing) thread.join();
    }
  }
}

}  // namespace
}  // namespace tutti::test
