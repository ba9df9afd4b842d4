// What is told about members, from two statuses in a row, and the thread that tells it; and whether an ensemble is
// healthy.
#include "coordinator/observe/events.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <stdexcept>

#include "coordinator/api/health.hpp"

namespace tutti::test {
namespace {

using Kind = Event::Kind;

MemberStatus member(const std::string& name, WorkerState state = WorkerState::running, std::uint64_t deaths = 0,
                    std::uint32_t generation = 0) {
  MemberStatus status;
  status.name = name;
  status.state = state;
  status.deaths = deaths;
  status.generation = generation;
  if (state == WorkerState::absent) status.absent_reason = "it died too often";
  return status;
}

std::vector<Event> between(const std::vector<MemberStatus>& before, const std::vector<MemberStatus>& now,
                           bool whole = true) {
  return events_between(before, now, whole);
}

TEST_CASE("a death and a replacement and that all is well again are told one after the other") {
  bool whole = true;
  const std::vector<MemberStatus> calm{member("a"), member("b")};
  const std::vector<MemberStatus> dead{member("a"), member("b", WorkerState::waiting, 1)};
  const std::vector<MemberStatus> starting{member("a"), member("b", WorkerState::starting, 1, 1)};
  const std::vector<MemberStatus> back{member("a"), member("b", WorkerState::running, 1, 1)};
  CHECK(events_between(calm, calm, whole).empty());
  CHECK(events_between(calm, dead, whole) == std::vector<Event>{{Kind::died, "b", {}}});
  CHECK_FALSE(whole);
  CHECK(events_between(dead, starting, whole).empty());
  CHECK(events_between(starting, back, whole) ==
        std::vector<Event>{{Kind::replaced, "b", {}}, {Kind::restored, {}, {}}});
  CHECK(whole);
}

TEST_CASE("a member that comes or goes is told and has no past and leaves none behind") {
  const std::vector<MemberStatus> two{member("a"), member("b", WorkerState::running, 3, 3)};
  const std::vector<MemberStatus> one{member("a"), member("", WorkerState::absent)};
  const std::vector<MemberStatus> again{member("a"), member("c")};
  const std::vector<MemberStatus> three{member("a"), member("c"), member("d", WorkerState::starting)};
  const Event b_left{Kind::left, "b", {}};
  const Event c_joined{Kind::joined, "c", {}};
  CHECK(between(two, one) == std::vector<Event>{b_left});
  CHECK(between(one, one).empty());
  CHECK(between(one, again) == std::vector<Event>{c_joined});
  CHECK(between(two, again) == std::vector<Event>{b_left, c_joined});
  bool whole = true;
  CHECK(events_between(again, three, whole) == std::vector<Event>{{Kind::joined, "d", {}}});
  CHECK_FALSE(whole);
  const std::vector<MemberStatus> dead{member("a"), member("c"), member("d", WorkerState::waiting, 1)};
  CHECK(between(three, dead, false) == std::vector<Event>{{Kind::died, "d", {}}});
  // With it goes what kept the ensemble from being whole.
  const std::vector<MemberStatus> without{member("a"), member("c"), member("", WorkerState::absent)};
  CHECK(between(dead, without, false) == std::vector<Event>{{Kind::left, "d", {}}, {Kind::restored, {}, {}}});
}

TEST_CASE("what happens to a stage is told by its name and that a member leaves by its own") {
  const auto chain = [](MemberStatus first, MemberStatus last) {
    MemberStatus whole = member("a", last.state, first.deaths + last.deaths, first.generation + last.generation);
    whole.stages = {std::move(first), std::move(last)};
    return std::vector{whole};
  };
  const auto calm = chain(member("a/0"), member("a/1"));
  CHECK(between(calm, chain(member("a/0", WorkerState::waiting, 1), member("a/1"))) ==
        std::vector<Event>{{Kind::died, "a/0", {}}});
  CHECK(between(calm, chain(member("a/0", WorkerState::running, 1, 1), member("a/1"))) ==
        std::vector<Event>{{Kind::died, "a/0", {}}, {Kind::replaced, "a/0", {}}, {Kind::restored, {}, {}}});
  const auto left = chain(member("a/0", WorkerState::absent, 1), member("a/1", WorkerState::absent));
  CHECK(between(calm, left) == std::vector<Event>{{Kind::died, "a/0", {}},
                                                  {Kind::degraded, "a", "it died too often"},
                                                  {Kind::restored, {}, {}}});
  Status status;
  status.state = PoolState::ready;
  status.members = chain(member("a/0", WorkerState::waiting, 1), member("a/1", WorkerState::waiting));
  CHECK(health_of(status, {}, Accumulator({}, {1})).problems ==
        std::vector<std::string>{"a/0 is being replaced", "a/1 is being replaced"});
}

TEST_CASE("what happened between two looks is told at once") {
  CHECK(between({member("a")}, {member("a", WorkerState::running, 1, 1)}) ==
        std::vector<Event>{{Kind::died, "a", {}}, {Kind::replaced, "a", {}}, {Kind::restored, {}, {}}});
}

TEST_CASE("a member that is left out is told with the reason and the rest is whole without it") {
  CHECK(between({member("a"), member("b", WorkerState::waiting, 1)}, {member("a"), member("b", WorkerState::absent, 2)},
                false) == std::vector<Event>{{Kind::died, "b", {}},
                                             {Kind::degraded, "b", "it died too often"},
                                             {Kind::restored, {}, {}}});
}

TEST_CASE("a member with replicas is whole when all of them run") {
  const auto with = [](WorkerState second, std::uint64_t deaths, std::uint32_t generation) {
    MemberStatus status = member("a", WorkerState::running, deaths, generation);
    status.replicas.resize(2);
    status.replicas[0].state = WorkerState::running;
    status.replicas[1].state = second;
    return std::vector<MemberStatus>{status};
  };
  bool whole = true;
  CHECK(events_between(with(WorkerState::running, 0, 0), with(WorkerState::starting, 1, 1), whole) ==
        std::vector<Event>{{Kind::died, "a", {}}});
  CHECK(events_between(with(WorkerState::starting, 1, 1), with(WorkerState::running, 1, 1), whole) ==
        std::vector<Event>{{Kind::replaced, "a", {}}, {Kind::restored, {}, {}}});
}

TEST_CASE("a replica that is given up is not replaced") {
  const auto with = [](WorkerState second, std::uint64_t deaths) {
    MemberStatus status = member("a", WorkerState::running, deaths, 1);
    status.replicas.resize(2);
    status.replicas[0].state = WorkerState::running;
    status.replicas[1].state = second;
    return std::vector<MemberStatus>{status};
  };
  bool whole = true;
  CHECK(events_between(with(WorkerState::running, 0), with(WorkerState::ending, 0), whole).empty());
  CHECK(events_between(with(WorkerState::ending, 0), with(WorkerState::absent, 1), whole) ==
        std::vector<Event>{{Kind::died, "a", {}}, {Kind::restored, {}, {}}});
}

TEST_CASE("events are called one at a time on another thread and not after closing") {
  std::vector<Event> got;
  std::promise<void> second;
  const auto here = std::this_thread::get_id();
  Events events([&](const Event& event) {
    CHECK(std::this_thread::get_id() != here);
    got.push_back(event);
    if (got.size() == 2) second.set_value();
    throw std::runtime_error("tired");
  });
  events.look({member("a")});
  events.open();
  events.look({member("a", WorkerState::waiting, 1)});
  events.look({member("a", WorkerState::absent, 2)});
  second.get_future().get();
  events.close();
  events.look({member("a", WorkerState::absent, 3)});
  CHECK(got[0] == Event{Kind::died, "a", {}});
  CHECK(got[1].kind == Kind::died);
}

TEST_CASE("without a callback nothing is looked at") {
  Events events({});
  CHECK_FALSE(events.wanted());
  events.look({member("a")});
}

TEST_CASE("an ensemble is healthy if every member that is left runs or enough for the quorum do") {
  const Accumulator mean({}, {1, 1, 1});
  Status status;
  status.state = PoolState::ready;
  status.members = {member("a"), member("b"), member("c")};
  CHECK(health_of(status, {}, mean).ready);
  CHECK(health_of(status, {}, mean).problems.empty());
  status.members[1] = member("b", WorkerState::absent);
  CHECK(health_of(status, {}, mean).ready);
  CHECK(health_of(status, {}, mean).problems == std::vector<std::string>{"b is left out: it died too often"});
  status.members[2] = member("c", WorkerState::starting);
  CHECK_FALSE(health_of(status, {}, mean).ready);
  CHECK(health_of(status, {}, mean).problems.back() == "c is being replaced");
  CHECK(health_of(status, config::QuorumSpec{1, {}}, mean).ready);
  CHECK_FALSE(health_of(status, config::QuorumSpec{2, {}}, mean).ready);
  Status nobody = status;
  nobody.members = {member("b", WorkerState::absent)};  // while one that was removed finishes what it has
  CHECK_FALSE(health_of(nobody, {}, Accumulator({}, {1})).ready);
  CHECK(health_of(status, config::QuorumSpec{1, {}}, mean, true).problems ==
        std::vector<std::string>{"the ensemble is draining"});
  status.state = PoolState::failed;
  CHECK_FALSE(health_of(status, {}, mean).ready);
  CHECK(health_of(status, {}, mean).problems == std::vector<std::string>{"the ensemble is failed"});
}

TEST_CASE("an ensemble is not healthy if the rule cannot combine those that are left") {
  config::CombineSpec weighted;
  weighted.rule = CombineRule::weighted;
  const Accumulator accumulator(weighted, {1, 1, -1});
  Status status;
  status.state = PoolState::ready;
  status.members = {member("a"), member("b"), member("c")};
  CHECK(health_of(status, {}, accumulator).ready);
  status.members[1] = member("b", WorkerState::waiting);  // it comes back
  CHECK(health_of(status, {}, accumulator).problems == std::vector<std::string>{"b is being replaced"});
  status.members[1] = member("b", WorkerState::absent);
  CHECK_FALSE(health_of(status, {}, accumulator).ready);
  CHECK(health_of(status, {}, accumulator).problems.back() ==
        "rule weighted cannot continue: the weights of the members that are left sum to 0");
}

}  // namespace
}  // namespace tutti::test
