// Which models an evaluation hosts beside the members: the base model and merged ones. It opens nothing.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/spec.hpp"
#include "program/evaluate/evaluation.hpp"
#include "program/evaluate/evaluation_report.hpp"

namespace tutti::program {

struct Hosting {
  config::EnsembleSpec described;  ///< what the user wrote
  config::EnsembleSpec hosted;     ///< what the pool runs: all models, not combined, on the images of the first task
  std::vector<EvaluatedModel> models;  ///< in the order of their ranks: members, base, merged ones
};

/// The base model and merged ones stand on the device of the first member, and get its input and its kind of output.
/// Each of `merged` is "NAME=FILE" or "FILE" (then it is called merged): weights for a model of the base's kind, or of
/// the first member's. Throws Error(usage) where two models have one name, a model's weights cannot be
/// replaced, or a tower answers otherwise than the members.
Hosting host_models(config::EnsembleSpec spec, const std::vector<std::string>& merged);

/// The same. Throws Error(usage) where the weights of the base or of a merged model are not there.
Hosting with_files(Hosting hosting);

/// What is evaluated of them: under the rules of the list, or, where that is empty, under that of the description.
/// Throws Error(usage).
EvaluationForm form_of(const Hosting& hosting, const std::string& rules);

}  // namespace tutti::program
