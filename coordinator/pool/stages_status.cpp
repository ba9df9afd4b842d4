#include "coordinator/pool/stages_status.hpp"

#include <algorithm>
#include <utility>

namespace tutti {
namespace {

/// `stages`: two or more, first one first.
MemberStatus whole_of(const std::string& name, std::vector<MemberStatus> stages) {
  MemberStatus whole = stages.back();
  whole.name = name;
  for (std::size_t s = 0; s + 1 < stages.size(); ++s) {
    const MemberStatus& stage = stages[s];
    whole.alive = whole.alive && stage.alive;
    if (whole.state == WorkerState::running) whole.state = stage.state;
    whole.generation += stage.generation;
    whole.deaths += stage.deaths;
    whole.parameters += stage.parameters;
    whole.load_seconds += stage.load_seconds;
    whole.warm_up_seconds += stage.warm_up_seconds;
    whole.busy_seconds += stage.busy_seconds;
    whole.same_bits = whole.same_bits && stage.same_bits;
    if (stage.pss_bytes) whole.pss_bytes = whole.pss_bytes.value_or(0) + *stage.pss_bytes;
  }
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
    else
      members.push_back(whole_of(plan.members[rank.value()].stage_of, std::move(stages)));
  }
  return members;
}

}  // namespace tutti
