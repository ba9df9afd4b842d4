#include "coordinator/decide/member_work.hpp"

#include <array>
#include <utility>

#include "common/check.hpp"

namespace tutti {
namespace {

/// The part after an event; nothing if the event is a bug.
std::optional<MemberWork::Part> part_after(MemberWork::Part part, MemberWork::Event event) {
  using enum MemberWork::Part;
  using Next = std::optional<MemberWork::Part>;
  constexpr Next bug = std::nullopt;
  // clang-format off
  static constexpr std::array<std::array<Next, 5>, 3> kTable{{
      // command tell  answer lose  leave
      {owed,     bug,  bug,   none, none},  // none
      {bug,      told, bug,   owed, none},  // owed
      {bug,      bug,  none,  owed, none},  // told
  }};
  // clang-format on
  return kTable.at(static_cast<std::size_t>(part)).at(static_cast<std::size_t>(event));
}

constexpr std::array<const char*, 5> kPartBug{
    "a command is given only after the last one was answered",
    "a member is told its part only once",
    "a member answers the part that it was told",
    "a worker can be lost at any time",
    "a member can leave at any time",
};

}  // namespace

void MemberWork::step(Event event) {
  const std::optional<Part> next = part_after(part_, event);
  TUTTI_CHECK(next.has_value(), kPartBug[static_cast<std::size_t>(event)]);
  part_ = *next;
}

void MemberWork::command(SegmentId before) {
  step(Event::command);
  command_before_ = before;
}

bool MemberWork::may_be_told() const {
  const auto& pending = tasks.pending();
  return owes() && !tasks.any_in_flight() && (pending.empty() || *pending.begin() >= command_before_);
}

void MemberWork::tell() {
  TUTTI_CHECK(!tasks.any_in_flight(), "a command is about the state after the tasks that came before it");
  step(Event::tell);
}

std::vector<SegmentId> MemberWork::begin_training() {
  training_ = true;
  return tasks.begin_training();
}

std::optional<SegmentId> MemberWork::next() const {
  const auto& pending = tasks.pending();
  if (pending.empty() || (commanded() && *pending.begin() >= command_before_)) return std::nullopt;
  return *pending.begin();
}

std::uint32_t MemberWork::hand_out(WorkerId worker, bool train, bool checkpoint) {
  TUTTI_CHECK(next().has_value());
  return tasks.hand_out(worker, train, checkpoint);
}

void MemberWork::lose(WorkerId worker) {
  step(Event::lose);
  tasks.lose(worker);
}

void MemberWork::leave(std::string reason, SegmentId from) {
  TUTTI_CHECK(!absent(), "a member leaves only once");
  step(Event::leave);
  absent_reason_ = std::move(reason);
  absent_from_ = from;
  tasks.forget_all();
}

void MemberWork::leave_with_others(std::string reason, SegmentId from) {
  TUTTI_CHECK(!absent(), "a member leaves only once");
  TUTTI_CHECK(tasks.pending().empty(), "nobody waits for what is not handed out");
  step(Event::leave);
  absent_reason_ = std::move(reason);
  absent_from_ = from;
}

void MemberWork::missing_from(SegmentId segment) {
  TUTTI_CHECK(absent());
  absent_from_ = segment;
}

void MemberWork::check_invariants() const {
  tasks.check_invariants();
  const auto latest = tasks.latest_in_flight();
  TUTTI_CHECK(!commanded() || !latest || *latest < command_before_,
              "no task that came after a command is handed out before it");
  TUTTI_CHECK(!absent() || !(commanded() || !tasks.pending().empty()), "nothing is expected of a member that left");
}

}  // namespace tutti
