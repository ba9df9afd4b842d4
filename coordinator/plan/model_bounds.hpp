// The part of memory_bounds.hpp about the model of a member: what a worker holds of it, and of what it computes on.
// Pure, except that it reads the sizes of the models' files.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "coordinator/plan/plan.hpp"

namespace tutti {

/// The width that is assumed of models that only tell it once loaded.
inline constexpr std::uint32_t kAssumedWidth = 1000;

/// Values per image of what a part of a tower hands on to the next: its tokens. 0: it is no such part, or its folder
/// cannot be read.
std::uint64_t handed_on(const ModelKind& kind);

/// The terms of one copy of the member in a process. Their names begin with `whose`, such as "spare ".
std::vector<Bound> model_bounds(const Plan& plan, const MemberPlan& member, std::string_view whose);

}  // namespace tutti
