#include "coordinator/program/hosting.hpp"

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "config/rules.hpp"

namespace tutti::program {
namespace {

/// The same model with other weights.
config::ModelSpec with_weights(config::ModelSpec model, const std::filesystem::path& weights) {
  if (std::holds_alternative<TorchScriptModel>(model.kind))
    throw Error(ErrorKind::usage, fmt::format("{} cannot be given to a torchscript model", weights.string()),
                "its file holds its own weights", "name the kind of the merged model with 'base'");
  model.weights = weights;
  return model;
}

void add_model(Hosting& hosting, const std::string& role, config::ModelSpec model) {
  for (const config::MemberSpec& member : hosting.described.members)
    if (member.name == role)
      throw Error(ErrorKind::usage,
                  fmt::format("a member is called '{}', as the {} model beside the members is", role, role), {},
                  "rename the member");
  config::MemberSpec beside = hosting.described.members.front();
  beside.name = role;
  beside.model = std::move(model);
  beside.seed = hosting.described.seed;
  hosting.hosted.members.push_back(std::move(beside));
  hosting.models.push_back({role, role});
}

}  // namespace

Hosting host_models(config::EnsembleSpec spec, const std::filesystem::path& merged) {
  Hosting hosting{spec, std::move(spec), {}};
  hosting.hosted.combine.rule = CombineRule::none;
  if (!hosting.described.tasks.empty()) hosting.hosted.input = hosting.described.tasks.front().input;
  for (const config::MemberSpec& member : hosting.described.members) hosting.models.push_back({member.name, "member"});
  const std::optional<config::ModelSpec>& base = hosting.described.base;
  if (base) add_model(hosting, "base", *base);
  if (!merged.empty())
    add_model(hosting, "merged", with_weights(base ? *base : hosting.described.members.front().model, merged));
  return hosting;
}

EvaluationForm form_of(const Hosting& hosting, const std::string& rules) {
  const config::EnsembleSpec& spec = hosting.described;
  EvaluationForm form{spec.combine.over, spec.members.size(), {}, {}};
  for (const config::MemberSpec& member : spec.members) form.weights.push_back(static_cast<float>(member.weight));
  if (!rules.empty())
    form.rules = config::read_rules(rules, spec);
  else if (spec.combine.rule != CombineRule::none)
    form.rules.push_back(spec.combine);
  return form;
}

}  // namespace tutti::program
