// What a new version of a member may change. Decides; changes nothing.
#pragma once

#include <string_view>

#include "common/ids.hpp"
#include "config/spec.hpp"
#include "coordinator/plan/plan.hpp"

namespace tutti {

/// The rank of the member that is called `name`, which differs between the descriptions `now` and `next`. Throws
/// Error(usage) if there is none, or if they differ in more than what the member computes.
Rank changed_member(const config::EnsembleSpec& now, const config::EnsembleSpec& next, std::string_view name);

/// Throws Error(usage) if that member, which is `old` so far and as the plan `next` has it, does not fit into the pool
/// of the plan `running`.
void check_new_version(const Plan& running, const config::MemberSpec& old, const Plan& next, Rank rank);

}  // namespace tutti
