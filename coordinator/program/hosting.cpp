#include "coordinator/program/hosting.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <tutti/error.hpp>

#include "config/rules.hpp"

namespace tutti::program {
namespace {

/// The same model with other weights.
config::ModelSpec with_weights(config::ModelSpec model, const std::filesystem::path& weights) {
  if (std::holds_alternative<TorchScriptModel>(model.kind) || std::holds_alternative<AotiModel>(model.kind))
    throw Error(ErrorKind::usage,
                fmt::format("{} cannot be given to a model of kind {}", weights.string(), kind_name(model.kind)),
                "its file holds its own weights", "name the kind of the merged model with 'base'");
  auto* const tower = std::get_if<ClipVitModel>(&model.kind);
  if (tower != nullptr && std::filesystem::is_directory(weights)) {
    tower->path = weights.string();  // a folder as Hugging Face writes it
    model.weights.clear();
  } else {
    model.weights = weights;
  }
  return model;
}

void add_model(Hosting& hosting, const std::string& name, const std::string& role, config::ModelSpec model) {
  for (const EvaluatedModel& other : hosting.models)
    if (other.name == name)
      throw Error(ErrorKind::usage,
                  fmt::format("two models are called '{}': a {} and a {} one", name, other.role, role), {},
                  "rename the member, or name the merged model: --merged soup=FILE");
  config::MemberSpec beside = hosting.described.members.front();
  beside.name = name;
  beside.model = std::move(model);
  beside.seed = hosting.described.seed;
  hosting.hosted.members.push_back(std::move(beside));
  hosting.models.push_back({name, role});
}

void add_merged(Hosting& hosting, const std::string& option) {
  // A path may hold a '=' as well, but behind a '/', which no name has.
  const std::size_t equals = std::min(option.find('='), option.find('/'));
  const bool named = equals != std::string::npos && option[equals] == '=';
  const std::string name = named ? option.substr(0, equals) : "merged";
  const std::string file = named ? option.substr(equals + 1) : option;
  if (name.empty() || file.empty() || name.front() == '.')
    throw Error(ErrorKind::usage, fmt::format("--merged {} is neither FILE nor NAME=FILE", option), {},
                "for example --merged soup=runs/soup/merged.safetensors");
  const config::EnsembleSpec& spec = hosting.described;
  add_model(hosting, name, "merged", with_weights(spec.base ? *spec.base : spec.members.front().model, file));
}

}  // namespace

Hosting host_models(config::EnsembleSpec spec, const std::vector<std::string>& merged) {
  Hosting hosting{spec, std::move(spec), {}};
  hosting.hosted.combine.rule = CombineRule::none;
  if (!hosting.described.tasks.empty()) hosting.hosted.input = hosting.described.tasks.front().input;
  for (const config::MemberSpec& member : hosting.described.members) hosting.models.push_back({member.name, "member"});
  if (hosting.described.base) add_model(hosting, "base", "base", *hosting.described.base);
  for (const std::string& option : merged) add_merged(hosting, option);
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
