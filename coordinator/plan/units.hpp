// Which members share a worker, which have several, and where these run, from the description.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/spec.hpp"
#include "coordinator/plan/placement.hpp"
#include "coordinator/plan/plan.hpp"

namespace tutti {

/// What a rank of a plan stands for: a member, or one of its stages before the last.
struct Part {
  config::MemberSpec spec;
  std::optional<Rank> fed_by{};
  std::string stage_of{};
  bool feeds = false;
  std::uint32_t fed_rows = 0;  ///< the most rows of a sample that it is fed with; 0: one
};

/// The members, in rank order, and then the stages before the last of each.
std::vector<Part> parts_of(const config::EnsembleSpec& spec);

/// Throws Error(usage) if a member has stages, which are not trained.
void refuse_training_stages(const config::EnsembleSpec& spec);

/// The units that the description names, and one for each other part, in the order of their first members. Members that
/// learn have one worker, without replicas, and are not fused.
std::vector<config::UnitSpec> units_of(const config::EnsembleSpec& spec, bool training);

/// Adds the workers of a unit whose first member is `first`; its members were placed so, as far as the unit itself
/// names no devices. Adds to `problems` what cannot be placed.
void place_unit(Plan& plan, const config::UnitSpec& unit, const config::MemberSpec& first, const Placement& placed,
                const Machine& machine, std::vector<std::string>& problems);

/// A shard of an mlp that starts from its seed passes over the numbers of the layers before it: it is told how many
/// values the first of them takes, if the member begins with them.
void tell_first_widths(Plan& plan);

}  // namespace tutti
