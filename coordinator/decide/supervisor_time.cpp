// The supervisor's half that decides what time alone decides.
#include <fmt/format.h>

#include <algorithm>

#include "coordinator/decide/later.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {
namespace {

// With `automatic`: a batch may take so many times as long as the slowest so far.
constexpr double kTimesSlowest = 20;

}  // namespace

void Supervisor::progress(std::size_t rank, std::uint64_t batches, Time now) {
  Member& member = members_[rank];
  if (failed_ || member.phase != Phase::running) return;
  member.clock.look(batches, !member.tasks.in_flight().empty(), now);
}

void Supervisor::tick(Time now) {
  for (std::size_t rank = 0; rank < members_.size() && !failed_; ++rank) {
    Member& member = members_[rank];
    member.clock.confirm();
    const auto due = member.phase == Phase::running ? progress_deadline(member) : member.deadline;
    if (!due || now < *due) continue;
    switch (member.phase) {
      case Phase::waiting:
        spawn_again(rank, now);
        break;
      case Phase::starting:
      case Phase::preparing:
        start_is_late(rank, now);
        break;
      case Phase::running:
        hangs(rank, now);
        break;
      case Phase::ending:
        abandon(rank, now);
        break;
      case Phase::absent:
        break;
    }
  }
}

/// The back-off is over.
void Supervisor::spawn_again(std::size_t rank, Time now) {
  ++members_[rank].generation;
  ++counts_.restarts;
  spawn(rank, now);
}

void Supervisor::start_is_late(std::size_t rank, Time now) {
  const double seconds = setting_.start_deadline.count();
  if (all_ran_) {
    Fault fault;
    fault.kind = Fault::Kind::late;
    fault.seconds = seconds;
    return kill(rank, std::move(fault), now);
  }
  std::string late;
  for (std::size_t other = 0; other < members_.size(); ++other)
    if (members_[other].phase != Phase::running && members_[other].phase != Phase::absent)
      late += (late.empty() ? "" : ", ") + setting_.places[other];
  fail(Error(ErrorKind::failed, fmt::format("not ready within {} s: {}", seconds, late), {},
             "raise 'start_deadline_s' if loading and warm-up take that long"));
}

void Supervisor::hangs(std::size_t rank, Time now) {
  Fault fault;
  fault.kind = Fault::Kind::hung;
  fault.seconds = std::chrono::duration<double>(now - members_[rank].clock.since()).count();
  ++counts_.hangs;
  kill(rank, std::move(fault), now);
}

std::optional<Supervisor::Time> Supervisor::progress_deadline(const Member& member) const {
  using Deadline = config::FailureSpec::Deadline;
  const config::FailureSpec& policy = setting_.policy;
  if (!setting_.deadlines || policy.progress == Deadline::off) return std::nullopt;
  if (member.part == Part::told) return later(member.clock.since(), setting_.start_deadline);
  if (member.tasks.in_flight().empty()) return std::nullopt;
  std::chrono::duration<double> deadline(policy.progress_deadline);
  if (policy.progress == Deadline::automatic) deadline = std::max(deadline, kTimesSlowest * member.clock.slowest());
  return later(member.clock.since(), deadline);
}

void Supervisor::stalled(Time now) {
  if (failed_) return;
  for (Member& member : members_) {
    member.clock.stalled(now);
    if (!member.deadline) continue;
    if (member.phase == Phase::starting || member.phase == Phase::preparing) member.deadline = start_deadline(now);
    if (member.phase == Phase::ending) member.deadline = later(now, setting_.kill_deadline);
  }
}

std::optional<Supervisor::Time> Supervisor::next_wake() const {
  std::optional<Time> earliest;
  for (const Member& member : members_) {
    const auto due = member.phase == Phase::running ? progress_deadline(member) : member.deadline;
    if (due && !failed_) earliest = std::min(earliest.value_or(*due), *due);
  }
  return earliest;
}

}  // namespace tutti
