// Nothing is left behind, in whatever way pool, program or worker end; and an idle pool does nothing.
#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

TEST_CASE("after a pool no process and no descriptor and no memory and no thread is left") {
  const auto images = random_images(30);
  for (int round = 0; round < 3; ++round) {
    const NothingLeft census;
    Ensemble ensemble(published(fake_spec(3)), with_worker());
    ensemble.predict(view(images));
    ensemble.submit(view(images)).get();
    CHECK(children_of(::getpid()).size() == 3);
  }
}

TEST_CASE("after a pool that never worked nothing is left") {
  const NothingLeft census;
  const Ensemble ensemble(published(fake_spec(2)), with_worker());
}

/// A process that is the coordinator of an ensemble of three, as a child of the test.
class Host {
 public:
  template <class Life>
  explicit Host(Life life) {
    adopt_orphans();
    pid_ = ::fork();
    if (pid_ == 0) {
      life();
      ::_exit(0);
    }
    CHECK(happens([&] {
      workers_ = children_of(pid_);
      return workers_.size() == 3;
    }));
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host() {
    ::kill(pid_, SIGKILL);
    for (const int worker : workers_) ::kill(worker, SIGKILL);  // they have ended already, unless the test has failed
    while (::waitpid(-1, nullptr, 0) > 0) {                     // the host and the workers that the test has adopted
    }
  }
  int pid() const { return pid_; }
  const std::vector<int>& workers() const { return workers_; }

 private:
  int pid_ = 0;
  std::vector<int> workers_;
};

void check_that_workers_follow(const Host& host) {
  using namespace std::chrono_literals;
  REQUIRE(host.workers().size() == 3);
  for (const int worker : host.workers()) CHECK_FALSE(ends(worker, 0ms));
  ::kill(host.pid(), SIGKILL);
  for (const int worker : host.workers()) CHECK(ends(worker, 1s));
}

TEST_CASE("workers end with a coordinator that is killed while they load") {
  const Host host([] {
    auto spec = fake_spec(3);
    for (std::size_t rank = 0; rank < 3; ++rank) fake_model(spec, rank).load_delay_ms = 3'600'000;
    const Ensemble ensemble(published(spec), with_worker());
  });
  check_that_workers_follow(host);
}

TEST_CASE("workers end with a coordinator that is killed while they compute") {
  auto spec = fake_spec(3);
  fake_model(spec, 1).faults = {{FaultKind::hang, FaultPhase::predict, 5}};
  const Host host([&] {
    Ensemble ensemble(published(spec), with_worker());
    const auto images = random_images(80);
    ensemble.predict(view(images));
  });
  check_that_workers_follow(host);
}

TEST_CASE("workers end with a coordinator that is killed while they are idle") {
  const Host host([] {
    const Ensemble ensemble(published(fake_spec(3)), with_worker());
    for (;;) ::pause();
  });
  check_that_workers_follow(host);
}

TEST_CASE("workers end with a coordinator that exits without a message") {
  const Host host([] {
    const auto* const left_behind = new Ensemble(published(fake_spec(3)), with_worker());
    ::poll(nullptr, 0, left_behind->status().members.size() == 3 ? 200 : 0);  // long enough to be seen with workers
    ::_exit(0);
  });
  REQUIRE(host.workers().size() == 3);
  for (const int worker : host.workers()) CHECK(ends(worker));
}

TEST_CASE("an idle pool wakes no process up") {
  Ensemble ensemble(published(fake_spec(2)), with_worker());
  const auto images = random_images(30);
  ensemble.predict(view(images));
  ensemble.submit(view(images)).get();
  const auto wake_ups = [&] {
    std::vector<std::uint64_t> counts{voluntary_switches_of_thread("tutti-loop")};
    for (const MemberStatus& member : ensemble.status().members) counts.push_back(voluntary_switches(member.pid));
    return counts;
  };
  // The first windows may still see the last work; a pool that polls has no window without a wake-up.
  bool quiet = false;
  for (int window = 0; window < 20 && !quiet; ++window) {
    const auto before = wake_ups();
    const double cpu = ensemble.status().coordinator_cpu_seconds;
    ::poll(nullptr, 0, 300);
    quiet = wake_ups() == before && ensemble.status().coordinator_cpu_seconds == cpu;
  }
  CHECK(quiet);
  CHECK(wake_ups().front() > 0);
}

}  // namespace
}  // namespace tutti::test
