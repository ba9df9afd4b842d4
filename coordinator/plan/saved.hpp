// Whether the files of members with saved predictions (`kind: saved`) fit the samples that an ensemble predicts. It
// reads these files; it starts nothing. Errors name the place in the description.
#pragma once

#include <optional>

#include "common/saved_rows.hpp"
#include "config/spec.hpp"
#include "coordinator/plan/plan.hpp"

namespace tutti {

/// The rows of the member's file; nothing if there is no readable file, which others report. Row i belongs to sample i
/// of the whole data set if there are as many rows, or to sample i of those that `skip` and `limit` leave. Throws
/// Error(usage) if the file is no array of predictions, or has another number of rows.
std::optional<SavedRows> find_saved(const config::MemberSpec& member, const InputForm& input);

/// Throws Error(usage) if saved predictions have another shape than those of a member that they are combined with, as
/// far as that is known before a model is loaded.
void check_saved_shapes(const config::EnsembleSpec& spec, const Plan& plan);

/// Reads all rows that will be used. Throws Error(usage) for the first sample whose values are not finite, with
/// `on_nan: error`; or are no probabilities of classes although they are combined as such.
void check_saved_values(const config::EnsembleSpec& spec, const Plan& plan);

}  // namespace tutti
