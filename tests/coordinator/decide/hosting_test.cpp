// Which workers host which member: the tables, a member that moves, and replicas.
#include "coordinator/decide/hosting.hpp"

#include <doctest/doctest.h>

#include "tests/common/death.hpp"

namespace tutti::test {
namespace {

using Ranks = std::vector<Rank>;

TEST_CASE("without anything said each member has a worker") {
  const Hosting hosting = Hosting::one_each(3);
  CHECK(hosting.workers() == 3);
  CHECK(hosting.only_worker_of(2) == WorkerId(2));
  CHECK(hosting.seat_of(2) == Seat(0));
  CHECK_FALSE(hosting.shared(2));
}

TEST_CASE("members of a unit sit in one worker in the order of the unit") {
  const Hosting hosting(ByWorker<Ranks>{{1}, {2, 0}});
  CHECK(hosting.members() == 3);
  CHECK(hosting.only_worker_of(0) == WorkerId(1));
  CHECK(hosting.seat_of(0) == Seat(1));
  CHECK(hosting.members_of(1) == Ranks{2, 0});
  CHECK(hosting.shared(1));
}

TEST_CASE("a member that moves gets the last worker and the others close up") {
  const Hosting hosting = Hosting(ByWorker<Ranks>{{1}, {2, 0, 3}}).with_own_worker(0);
  CHECK(hosting.workers() == 3);
  CHECK(hosting.only_worker_of(0) == WorkerId(2));
  CHECK(hosting.seat_of(0) == Seat(0));
  CHECK(hosting.members_of(1) == Ranks{2, 3});
  CHECK(hosting.seat_of(3) == Seat(1));
}

TEST_CASE("a further member is the last and its worker is, too") {
  const Hosting hosting = Hosting(ByWorker<Ranks>{{1}, {2, 0}}).with_member();
  CHECK(hosting.members() == 4);
  CHECK(hosting.workers() == 3);
  CHECK(hosting.only_worker_of(3) == WorkerId(2));
  CHECK(hosting.members_of(2) == Ranks{3});
  CHECK(hosting.members_of(1) == Ranks{2, 0});
}

TEST_CASE("workers with the same unit are replicas") {
  const Hosting hosting(ByWorker<Ranks>{{1, 0}, {2}, {1, 0}});
  CHECK(hosting.members() == 3);
  CHECK(hosting.workers_of(0) == std::vector<WorkerId>{0, 2});
  CHECK(hosting.workers_of(2) == std::vector<WorkerId>{1});
  CHECK(hosting.replicas_of(2) == std::vector<WorkerId>{0, 2});
  CHECK(hosting.seat_of(0) == Seat(1));
  CHECK(hosting.replicated(0));
  CHECK_FALSE(hosting.replicated(1));
  CHECK(end_of([&] { (void)hosting.only_worker_of(0); }).signal == SIGABRT);
}

TEST_CASE("tables that make no sense are a failed check") {
  CHECK(end_of([] { Hosting(ByWorker<Ranks>{{0, 0}}); }).signal == SIGABRT);
  CHECK(end_of([] { Hosting(ByWorker<Ranks>{{0, 1}, {1, 0}}); }).signal == SIGABRT);
  CHECK(end_of([] { Hosting(ByWorker<Ranks>{{0, 1}, {1}}); }).signal == SIGABRT);
  CHECK(end_of([] { Hosting(ByWorker<Ranks>{{0}, {}}); }).signal == SIGABRT);
  CHECK(end_of([] { Hosting(ByWorker<Ranks>{{0}, {2}}); }).signal == SIGABRT);
  CHECK(end_of([] { Hosting::one_each(2).with_own_worker(0); }).signal == SIGABRT);
}

}  // namespace
}  // namespace tutti::test
