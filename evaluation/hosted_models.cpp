#include "evaluation/hosted_models.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include <tutti/error.hpp>

#include "config/rules.hpp"

namespace tutti {
namespace {

/// The same model with other weights.
config::ModelSpec with_weights(config::ModelSpec model, const std::filesystem::path& weights) {
  if (!takes_weights(facts_of(model.kind)))
    throw Error(ErrorKind::usage,
                fmt::format("{} cannot be given to a model of kind {}", weights.string(), kind_name(model.kind)),
                "its file holds its own weights", "name the kind of the merged model with 'base'");
  std::string* const folder = folder_of(model.kind);
  if (folder != nullptr && std::filesystem::is_directory(weights)) {
    *folder = weights.string();
    model.weights.clear();
  } else {
    model.weights = weights;
  }
  return model;
}

/// The `model` of some kinds says what they output, and here they must output the same as the members. Their worker
/// would reject a difference, but could not explain it.
void check_answer(const HostedModels& hosting, const std::string& role, const config::ModelSpec& model) {
  const KindFacts facts = facts_of(model.kind);
  const OutputKind wanted = hosting.described.members.front().output;
  if (!facts.output || facts.output->chosen_by.empty() || facts.output->kind == wanted) return;
  throw Error(
      ErrorKind::usage,
      fmt::format("the {} model outputs {}, but the members {}", role, to_name(facts.output->kind), to_name(wanted)),
      fmt::format("'base' is a {} with 'output: {}'", facts.name, facts.output->chosen_by),
      wanted == OutputKind::logits ? fmt::format("add {} to 'base', as the members have them", facts.output->for_logits)
                                   : fmt::format("let 'base' output {} like the members", to_name(wanted)));
}

void check_name(const HostedModels& hosting, const std::string& name, const std::string& role) {
  for (const EvaluatedModel& other : hosting.models) {
    if (other.name != name) continue;
    if (other.role == role)
      throw Error(ErrorKind::usage, fmt::format("two merged models are called '{}'", name), {},
                  "name each: --merged one=FILE --merged other=FILE");
    throw Error(ErrorKind::usage, fmt::format("two models are called '{}': a {} and a {} one", name, other.role, role),
                {},
                other.role == "base" ? "give the merged model another name: --merged soup=FILE"
                : role == "base"     ? "rename the member"
                                     : "rename the member, or name the merged model: --merged soup=FILE");
  }
}

/// The member whose device and input the other models share: the first merged member, or the first of all.
const config::MemberSpec& leading(const config::EnsembleSpec& spec) {
  return spec.merge ? spec.members[spec.merge->over.front()] : spec.members.front();
}

void add_model(HostedModels& hosting, const std::string& name, const std::string& role, config::ModelSpec model) {
  check_name(hosting, name, role);
  check_answer(hosting, role, model);
  config::MemberSpec beside = leading(hosting.described);
  beside.name = name;
  beside.model = std::move(model);
  beside.before.clear();
  beside.last = {};
  beside.seed = hosting.described.seed;
  hosting.hosted.members.push_back(std::move(beside));
  hosting.models.push_back({name, role});
}

void add_merged(HostedModels& hosting, const std::string& option) {
  // A path may contain a '=' too, but only after a '/', and a name cannot contain a '/'.
  const std::size_t equals = std::min(option.find('='), option.find('/'));
  const bool named = equals != std::string::npos && option[equals] == '=';
  const std::string name = named ? option.substr(0, equals) : "merged";
  const std::string file = named ? option.substr(equals + 1) : option;
  if (name.empty() || file.empty() || name.front() == '.')
    throw Error(ErrorKind::usage, fmt::format("--merged {} is neither FILE nor NAME=FILE", option), {},
                "for example --merged soup=runs/soup/merged.safetensors");
  const config::EnsembleSpec& spec = hosting.described;
  add_model(hosting, name, "merged", with_weights(spec.base ? *spec.base : leading(spec).model, file));
}

}  // namespace

HostedModels host_models(config::EnsembleSpec spec, const std::vector<std::string>& merged) {
  HostedModels hosting{spec, std::move(spec), {}};
  hosting.hosted.combine.rule = CombineRule::none;
  // Every rule is over all members and all images.
  hosting.hosted.ask_all();
  if (!hosting.described.tasks.empty()) hosting.hosted.input = hosting.described.tasks.front().input;
  for (const config::MemberSpec& member : hosting.described.members) hosting.models.push_back({member.name, "member"});
  if (hosting.described.base) add_model(hosting, "base", "base", *hosting.described.base);
  for (const std::string& option : merged) add_merged(hosting, option);
  return hosting;
}

HostedModels with_files(HostedModels hosting) {
  for (std::size_t rank = hosting.described.members.size(); rank < hosting.models.size(); ++rank) {
    const std::string file = hosting.hosted.members[rank].model.weights.string();
    if (file.empty() || ::access(file.c_str(), R_OK) == 0) continue;
    const EvaluatedModel& model = hosting.models[rank];
    const bool merged = model.role == "merged";
    throw Error(ErrorKind::usage, fmt::format("{}: there is no readable file '{}'", model.name, file),
                fmt::format("named by {}; relative paths start at the current folder",
                            merged ? "--merged" : "the 'weights' of 'base'"),
                merged ? "'tutti merge' writes one, such as runs/0001/merged.safetensors, and says where" : "");
  }
  return hosting;
}

HostedModels without_saved(HostedModels hosting) {
  const auto& members = hosting.described.members;
  const auto saved = std::ranges::find_if(
      members, [](const config::MemberSpec& member) { return is_saved(facts_of(member.model.kind)); });
  if (saved == members.end() || hosting.described.tasks.empty()) return hosting;
  throw Error(ErrorKind::usage,
              fmt::format("{}{}member '{}' has saved predictions, and each of the 'tasks' has other images",
                          saved->model.file_place.text, saved->model.file_place.text.empty() ? "" : ": ", saved->name),
              "its file has one row for each sample of 'input'",
              "leave 'tasks' out to evaluate over 'input', or leave the member out");
}

EvaluationForm form_of(const HostedModels& hosting, const std::string& rules) {
  return evaluation_form(hosting.described, rules);
}

}  // namespace tutti
