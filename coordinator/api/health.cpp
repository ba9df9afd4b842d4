#include "coordinator/api/health.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <tutti/error.hpp>

namespace tutti {

namespace {

/// The member, or the stages of it that do not run.
void add_replaced(const MemberStatus& member, std::vector<std::string>& problems) {
  if (member.stages.empty()) problems.push_back(fmt::format("{} is being replaced", member.name));
  for (const MemberStatus& stage : member.stages)
    if (stage.state != WorkerState::running) add_replaced(stage, problems);
}

/// Whether the rule can combine the members that are left; if not, why.
bool can_combine(const Status& status, const Accumulator& accumulator, std::vector<std::string>& problems) {
  std::vector<bool> present;
  for (const MemberStatus& member : status.members) present.push_back(member.state != WorkerState::absent);
  try {
    accumulator.check_present(present);
    return true;
  } catch (const Error& error) {
    problems.push_back(error.message());
    return false;
  }
}

}  // namespace

Health health_of(const Status& status, const std::optional<config::QuorumSpec>& quorum, const Accumulator& accumulator,
                 bool draining) {
  if (status.state != PoolState::ready) return {false, {fmt::format("the ensemble is {}", to_text(status.state))}};
  if (draining) return {false, {"the ensemble is draining"}};
  Health health;
  std::size_t running = 0;
  std::size_t waited_for = 0;
  for (const MemberStatus& member : status.members) {
    const bool absent = member.state == WorkerState::absent;
    running += member.state == WorkerState::running ? 1 : 0;
    waited_for += absent ? 0 : 1;
    if (absent)
      health.problems.push_back(fmt::format("{} is left out: {}", member.name, member.absent_reason));
    else if (member.state != WorkerState::running)
      add_replaced(member, health.problems);
  }
  if (quorum) waited_for = std::min<std::size_t>(waited_for, quorum->members.value_or(1));
  health.ready = running > 0 && can_combine(status, accumulator, health.problems) && running >= waited_for;
  return health;
}

}  // namespace tutti
