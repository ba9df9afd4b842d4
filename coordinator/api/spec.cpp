// A description as programs hold it.
#include <memory>
#include <set>

#include <tutti/ensemble.hpp>

#include "config/load.hpp"
#include "config/spec.hpp"
#include "config/stages.hpp"
#include "config/value.hpp"

namespace tutti {

Spec::Spec(const EnsembleSpec& value) : checked_(std::make_shared<EnsembleSpec>(config::checked_value(value))) {}

const std::string& Spec::yaml() const noexcept { return checked_->effective_yaml; }

namespace {

std::vector<std::string> names_of(const std::vector<ModelKind>& kinds) {
  std::set<std::string> names;
  for (const ModelKind& kind : kinds) {
    const Library library = facts_of(kind).library;
    if (library == Library::torch) names.insert("torch");
    if (library == Library::onnxruntime) names.insert("onnxruntime");
    if (library == Library::openvino) names.insert("openvino");
  }
  return {names.begin(), names.end()};
}

}  // namespace

std::vector<std::string> Spec::libraries() const {
  std::vector<ModelKind> kinds;
  for (const config::NamedModel& one : config::models_of(checked_->members))
    if (one.model.candidates.empty()) kinds.push_back(one.model.kind);
  return names_of(kinds);
}

std::vector<std::string> Spec::possible_libraries() const {
  std::vector<ModelKind> kinds;
  for (const config::MemberSpec& member : checked_->members)
    kinds.insert(kinds.end(), member.model.candidates.begin(), member.model.candidates.end());
  return names_of(kinds);
}

Spec load_spec(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  return Spec(std::make_shared<config::EnsembleSpec>(config::load_file(file, {overrides, {}})));
}

Spec parse_spec(std::string_view yaml, const std::vector<std::string>& overrides, const std::filesystem::path& folder) {
  return Spec(
      std::make_shared<config::EnsembleSpec>(config::load_text(yaml, "the given text", {overrides, {}}, folder)));
}

}  // namespace tutti
