// Equal small-cnns or mlps of one unit as one model, which computes all of them at once.
#pragma once

#include <memory>
#include <span>

#include "worker/model.hpp"

namespace tutti::worker {

/// Its prediction of a sample is {members, classes}: a row of each member, in the order of the requests. Throws
/// Error(usage) if the members are not small-cnns or mlps, are not equal but for seed and weights, or see other
/// samples; and what loading one of them throws.
std::unique_ptr<Model> make_fused_model(std::span<const MemberRequest> requests);

}  // namespace tutti::worker
