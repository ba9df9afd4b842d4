// The status of members with stages, from that of their stages.
#pragma once

#include <cstddef>
#include <vector>

#include <tutti/status.hpp>

#include "coordinator/plan/plan.hpp"

namespace tutti {

/// `rows`: by rank of the plan, and behind those the members that came later. The members, by rank without those of
/// stages before the last; those with stages with the status of each of these. A row without a name is a vacant place.
std::vector<MemberStatus> with_stages(const Plan& plan, std::vector<MemberStatus> rows);
/// Where the member of this rank is among them.
std::size_t place_in_status(const Plan& plan, Rank rank);

}  // namespace tutti
