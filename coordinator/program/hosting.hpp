// Which models an evaluation hosts beside the members: the base model and merged ones. Pure values.
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
  std::vector<EvaluatedModel> models;  ///< in the order of their ranks: members, base, merged ones
};

/// The base model and merged ones stand on the device of the first member, and get its input and its kind of output.
/// Each of `merged` is "NAME=FILE" or "FILE" (then it is called merged): weights for a model of the base's kind, or of
/// the first member's. Throws Error(usage) where two models have one name, or a model's weights cannot be replaced.
Hosting host_models(config::EnsembleSpec spec, const std::vector<std::string>& merged);

/// What is evaluated of them: under the rules of the list, or, where that is empty, under that of the description.
/// Throws Error(usage).
EvaluationForm form_of(const Hosting& hosting, const std::string& rules);

}  // namespace tutti::program
