// Which samples an ensemble can take.
#pragma once

#include <tutti/images.hpp>

#include "coordinator/plan/input.hpp"
#include "coordinator/plan/plan.hpp"

namespace tutti {

/// The source's samples as the members get them. Throws Error(usage) where an ensemble of this plan cannot take them.
FittedSource fitted(Source& source, const Plan& plan);

/// Samples that a program hands over are in no data set. Throws Error(usage) if a member of the plan can predict only
/// those of one.
void refuse_saved(const Plan& plan);

}  // namespace tutti
