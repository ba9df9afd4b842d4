// Which members may come to a running ensemble, and which may go. Decides; changes nothing.
#pragma once

#include <string_view>

#include "config/spec.hpp"
#include "coordinator/plan/plan.hpp"

namespace tutti {

/// Throws Error(usage) if members of this ensemble, which runs as `plan` says, can neither come nor go.
void check_members_may_change(const config::EnsembleSpec& spec, const Plan& plan);

/// The description with a further member, the last. Throws Error(usage) that lists every violation with the name of its
/// field, `members[3].weight`; also if the member is of a sort that cannot come later.
config::EnsembleSpec with_member(const config::EnsembleSpec& now, const config::MemberSpec& member);

/// Throws Error(usage) if that member, as the plan `next` has it at this place, does not fit into the pool of the plan
/// `running`.
void check_newcomer(const Plan& running, const Plan& next, Rank place);

/// The place of the member that is called `name`. Throws Error(usage) if there is none, or no other.
std::size_t leaving_member(const config::EnsembleSpec& now, std::string_view name);

/// The description without that member. Throws Error(usage) if the others do not make an ensemble, or need it.
config::EnsembleSpec without_member(const config::EnsembleSpec& now, std::size_t place);

/// Throws Error(usage) if nobody would predict without that member, because the others are left out.
void check_some_stay(const Status& now, std::size_t place);

}  // namespace tutti
