// The status of members with stages, from that of their stages.
#pragma once

#include <vector>

#include <tutti/status.hpp>

#include "coordinator/plan/plan.hpp"

namespace tutti {

/// `rows`: by rank of the plan. The members, by rank, those with stages with the status of each of these.
std::vector<MemberStatus> with_stages(const Plan& plan, std::vector<MemberStatus> rows);

}  // namespace tutti
