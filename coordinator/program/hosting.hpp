// Which models an evaluation hosts beside the members: the base model and the merged one. Pure values.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/spec.hpp"
#include "coordinator/program/evaluation.hpp"
#include "coordinator/program/evaluation_report.hpp"

namespace tutti::program {

struct Hosting {
  config::EnsembleSpec described;  ///< what the user wrote
  config::EnsembleSpec hosted;     ///< what the pool runs: all models, not combined, on the images of the first task
  std::vector<EvaluatedModel> models;  ///< in the order of their ranks: members, base, merged
};

/// The base model and the merged one, whose weights are `merged` unless that is empty, stand on the device of the first
/// member, and get its input and its kind of output. The merged one is of the base's kind, or of the first member's.
/// Throws Error(usage) where a member has their name, or a model's weights cannot be replaced.
Hosting host_models(config::EnsembleSpec spec, const std::filesystem::path& merged);

/// What is evaluated of them: under the rules of the list, or, where that is empty, under that of the description.
/// Throws Error(usage).
EvaluationForm form_of(const Hosting& hosting, const std::string& rules);

}  // namespace tutti::program
