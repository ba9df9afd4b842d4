// The models that an evaluation hosts in addition to the members: the base model and merged ones. It opens no file.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/spec.hpp"
#include "evaluation/evaluation.hpp"
#include "evaluation/evaluation_report.hpp"

namespace tutti {

struct HostedModels {
  config::EnsembleSpec described;  ///< what the user wrote
  config::EnsembleSpec hosted;     ///< what the pool runs: all models, not combined, on the images of the first task
  std::vector<EvaluatedModel> models;  ///< in the order of their ranks: members, base, merged ones
};

/// The base model and merged ones use the device, the input and the kind of output of the first member. Each of
/// `merged` is "NAME=FILE" or "FILE" (then its name is "merged"): weights for a model like the base, or like the first
/// member if there is no base. Throws Error(usage) if two models have the same name, if the weights of a model cannot
/// be replaced, or if a tower outputs something else than the members.
HostedModels host_models(config::EnsembleSpec spec, const std::vector<std::string>& merged);

/// The same. Throws Error(usage) if the weights of the base or of a merged model do not exist.
HostedModels with_files(HostedModels hosting);

/// The same. Throws Error(usage) if a member has saved predictions, which are those of one input, and there are tasks.
HostedModels without_saved(HostedModels hosting);

/// How to evaluate these models: under the rules of the list, or, if it is empty, under the rule of the description.
/// Throws Error(usage).
EvaluationForm form_of(const HostedModels& hosting, const std::string& rules);

}  // namespace tutti
