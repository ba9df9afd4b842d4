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

/// Throws Error(usage) if that member, which is `old` so far, has the rank `there` in the pool of the plan `running`,
/// and is as the plan `next` has it at `place`, does not fit into the pool.
void check_new_version(const Plan& running, Rank there, const config::MemberSpec& old, const Plan& next, Rank place);

}  // namespace tutti
