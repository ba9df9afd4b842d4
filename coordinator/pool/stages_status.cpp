#include "coordinator/pool/stages_status.hpp"

#include <algorithm>
#include <utility>

namespace tutti {
namespace {

/// Adds a stage to the member, which begins as its last stage. Every field of a stage is named here, in the order of
/// MemberStatus: one that is added there does not compile before somebody has decided what it is of a whole member.
void add_stage(MemberStatus& whole, const MemberStatus& stage) {
  const auto& [name, kind, backend, note, device, cores, threads, batch_images, batch_images_measured, batch_speeds,
               forms, modes, replicas, same_bits, worker, pid, alive, state, generation, deaths, absent_reason,
               absent_from_segment, output, parts, steps, parameters, load_seconds, warm_up_seconds, busy_seconds,
               segments_handed_out, segments_answered, images, pss_bytes, stages] = stage;
  whole.alive = whole.alive && alive;
  if (whole.state == WorkerState::running) whole.state = state;
  whole.generation += generation;
  whole.deaths += deaths;
  whole.parameters += parameters;
  whole.load_seconds += load_seconds;
  whole.warm_up_seconds += warm_up_seconds;
  whole.busy_seconds += busy_seconds;
  whole.same_bits = whole.same_bits && same_bits;
  if (pss_bytes) whole.pss_bytes = whole.pss_bytes.value_or(0) + *pss_bytes;
}

/// `stages`: two or more, first one first.
MemberStatus whole_of(const std::string& name, std::vector<MemberStatus> stages) {
  MemberStatus whole = stages.back();
  whole.name = name;
  for (std::size_t s = 0; s + 1 < stages.size(); ++s) add_stage(whole, stages[s]);
  whole.stages = std::move(stages);
  return whole;
}

}  // namespace

std::vector<MemberStatus> with_stages(const Plan& plan, std::vector<MemberStatus> rows) {
  const std::size_t combined = plan.combined();
  if (plan.members.size() == combined) return rows;  // perhaps more than there were at the start
  const Chains chains = plan.chains();
  std::vector<MemberStatus> members;
  for (const Rank rank : IdRange<Rank>(combined)) {
    std::vector<MemberStatus> stages;
    for (const Rank stage : chains.chain_of(rank)) stages.push_back(std::move(rows[stage.value()]));
    if (stages.size() == 1)
      members.push_back(std::move(stages.front()));
    else if (stages.back().name.empty())
      members.push_back({});
    else
      members.push_back(whole_of(plan.members[rank.value()].stage_of, std::move(stages)));
  }
  for (std::size_t later = plan.members.size(); later < rows.size(); ++later) members.push_back(std::move(rows[later]));
  return members;
}

std::size_t place_in_status(const Plan& plan, Rank rank) {
  const std::size_t stages = plan.members.size() - plan.combined();  // before the last of their members
  return rank.value() < plan.combined() ? rank.value() : rank.value() - stages;
}

}  // namespace tutti
