// The table of a member's part of a command, cell by cell; also how tasks and commands wait for each other.
#include "coordinator/decide/member_work.hpp"

#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <vector>

#include "tests/common/death.hpp"

namespace tutti::test {
namespace {

using Part = MemberWork::Part;

constexpr std::array kParts{Part::none, Part::owed, Part::told};

MemberWork work_in(Part part) {
  MemberWork work;
  if (part == Part::none) return work;
  work.command(0);
  if (part == Part::told) work.tell();
  return work;
}

Part part_of(const MemberWork& work) {
  if (work.owes()) return Part::owed;
  return work.told() ? Part::told : Part::none;
}

TEST_CASE("a decision that does not fit the part of a member is a failed check") {
  const auto allowed_in = [](const std::function<void(MemberWork&)>& event) {
    std::vector<Part> allowed;
    for (const Part part : kParts)
      if (end_of([&] {
            MemberWork work = work_in(part);
            event(work);
          }).signal == 0)
        allowed.push_back(part);
    return allowed;
  };
  CHECK(allowed_in([](MemberWork& work) { work.command(0); }) == std::vector{Part::none});
  CHECK(allowed_in([](MemberWork& work) { work.tell(); }) == std::vector{Part::owed});
  CHECK(allowed_in([](MemberWork& work) { work.answer(); }) == std::vector{Part::told});
  MemberWork told = work_in(Part::told);
  CHECK(failed_check([&] { told.tell(); }).ends_with("a member is told its part only once"));
}

TEST_CASE("an order of tasks that no worker could keep is a failed check") {
  MemberWork work;
  work.begin_training();
  work.tasks.add(3);
  CHECK(failed_check([&] { work.tasks.add(3); }).ends_with("a task is pending only once"));
  CHECK(failed_check([&] { work.tasks.suspect(4); }).ends_with("a task that is suspect is tried again"));
  CHECK(failed_check([&] { work.hand_out(0, false, true); }).ends_with("only training makes checkpoints"));
  work.hand_out(0, true, false);
  CHECK(failed_check([&] { work.tasks.add(3); }) == "!is_in_flight(segment)");
  CHECK(failed_check([&] { work.begin_training(); }).ends_with("after the tasks that came before it"));
  work.command(4);
  CHECK(failed_check([&] { work.tell(); }).ends_with("about the state after the tasks that came before it"));
  work.tasks.add(2);
  CHECK(failed_check([&] { work.hand_out(0, true, false); }).ends_with("a worker is trained in order"));
  CHECK(failed_check([&] { work.check_invariants(); }).ends_with("is handed out and answered in its order"));
  work.tasks.answer(0, true);
  CHECK(failed_check([&] { work.hand_out(0, true, false); }).ends_with("nothing is trained on twice from one state"));
}

TEST_CASE("a member whose worker is gone owes its part of the command again") {
  const auto after_loss = [](Part part) {
    MemberWork work = work_in(part);
    work.lose(0);
    return part_of(work);
  };
  CHECK(after_loss(Part::none) == Part::none);
  CHECK(after_loss(Part::owed) == Part::owed);
  CHECK(after_loss(Part::told) == Part::owed);
}

TEST_CASE("a member that leaves owes nothing and has no tasks") {
  for (const Part part : kParts) {
    MemberWork work = work_in(part);
    work.tasks.add(7);
    work.leave("it died", 5);
    CHECK(part_of(work) == Part::none);
    CHECK(!work.tasks.any_open());
    CHECK(work.absent());
    CHECK(work.absent_reason() == "it died");
    CHECK(work.absent_from() == SegmentId(5));
  }
}

TEST_CASE("a command waits for the tasks before it and holds those after it back") {
  MemberWork work;
  work.tasks.add(3);
  work.command(4);
  work.tasks.add(4);
  CHECK(!work.may_be_told());
  CHECK(work.next() == SegmentId(3));
  work.hand_out(0, false, false);
  CHECK(!work.may_be_told());
  CHECK(work.next() == std::nullopt);
  work.tasks.answer(0, false);
  CHECK(work.may_be_told());
  work.tell();
  CHECK(work.next() == std::nullopt);
  work.answer();
  CHECK(work.next() == SegmentId(4));
}

}  // namespace
}  // namespace tutti::test
