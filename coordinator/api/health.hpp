// Whether an ensemble can predict now, from its status. Pure.
#pragma once

#include <optional>

#include <tutti/status.hpp>

#include "config/spec.hpp"

namespace tutti {

/// As Ensemble::health(). `draining`: no further call is taken.
Health health_of(const Status& status, const std::optional<config::QuorumSpec>& quorum, bool draining = false);

}  // namespace tutti
