// Whether an ensemble can predict now, from its status. Pure.
#pragma once

#include <optional>

#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "coordinator/decide/accumulator.hpp"

namespace tutti {

/// As Ensemble::health(). `accumulator`: of the members of the status. `draining`: no further call is taken.
Health health_of(const Status& status, const std::optional<config::QuorumSpec>& quorum, const Accumulator& accumulator,
                 bool draining = false);

}  // namespace tutti
