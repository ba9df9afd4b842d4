#include "config/candidates.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "config/shorthand.hpp"

namespace tutti::config {
namespace {

constexpr std::size_t kMostFiles = 16;

/// The models that a file may be; none if it cannot be one of several.
std::vector<ModelKind> candidates_in(const std::string& file) {
  const std::string_view kind = kind_of_file(file);
  if (kind == "torchscript") return {TorchScriptModel{.path = file}};
  if (kind == "aoti") return {AotiModel{.paths = {file}}};
  if (kind == "onnx") return {OnnxFileModel{.path = file}, OpenVinoModel{.path = file}};
  if (kind == "openvino") return {OpenVinoModel{.path = file}};
  return {};
}

void read_file(const Tree& item, ModelSpec& model, Violations& violations) {
  if (item.kind != Tree::Kind::scalar || item.scalar.empty())
    return violations.add(item.position, fmt::format("each item of 'files' must be a file, not {}", describe(item)));
  const std::vector<std::string> before = files_of_candidates(model);
  if (std::ranges::find(before, item.scalar) != before.end())
    return violations.add(item.position, fmt::format("'files' names '{}' twice", one_line(item.scalar)));
  std::vector<ModelKind> more = candidates_in(item.scalar);
  if (more.empty())
    violations.add(
        item.position,
        fmt::format("the ending of '{}' is not that of an exported model; 'files' takes .pt, .pt2, .onnx, .xml, "
                    ".tflite, .pb and .pdmodel",
                    one_line(item.scalar)));
  for (ModelKind& candidate : more) model.candidates.push_back(std::move(candidate));
}

/// One more form; those that are not at `place` have the reason.
void add_form(Tried& tried, std::string name, std::size_t place, std::string_view reason) {
  const bool chosen = tried.forms.size() == place;
  tried.forms.push_back({.model = std::move(name)});
  if (!chosen) tried.forms.back().reason = reason;
}

}  // namespace

bool leaves_choice(const EnsembleSpec& spec) {
  return std::ranges::any_of(spec.members, [](const MemberSpec& member) { return !member.model.candidates.empty(); }) ||
         std::ranges::any_of(spec.workers, [](const UnitSpec& unit) { return !unit.modes.empty(); });
}

void read_candidates(Fields& fields, ModelSpec& model, Violations& violations) {
  std::string output;
  fields.text("output", output);
  const Tree* const files = fields.require("files", "the files of one model: [m.pt, m.onnx]");
  if (files == nullptr) return;
  model.file_place.text = files->position.text();
  if (files->kind != Tree::Kind::list || files->items.empty() || files->items.size() > kMostFiles)
    return violations.add(files->position,
                          fmt::format("'files' must be a list of 1 to {} files, not {}", kMostFiles,
                                      files->kind == Tree::Kind::list ? fmt::format("one of {}", files->items.size())
                                                                      : describe(*files)));
  for (const Tree& item : files->items) read_file(item, model, violations);
  for (ModelKind& candidate : model.candidates)
    for_each_field(candidate, [&]<class Value, class Form>(std::string_view, Value& value, const Form&) {
      if constexpr (std::is_same_v<Form, form::Texts>)
        if (!output.empty()) value = {output};
    });
  if (!model.candidates.empty()) model.kind = model.candidates.front();
}

std::vector<std::string> backend_words() {
  std::vector<std::string> words;
  for (const auto& entry : enum_names(ComputedBy{})) words.emplace_back(entry.name);
  words.emplace_back(kAutoKind);
  return words;
}

void read_backends(Fields& fields, ModelSpec& model) {
  const Tree* const backend = fields.find("backend");
  if (backend == nullptr || !backend->is_word(kAutoKind)) return;
  for (const auto& entry : enum_names(ComputedBy{})) {
    model.candidates.push_back(model.kind);
    *backend_of(model.candidates.back()) = entry.value;
  }
}

std::vector<std::string> files_of_candidates(const ModelSpec& model) {
  std::vector<std::string> files;
  for (const ModelKind& candidate : model.candidates)
    for (const NamedPath& named : paths_of(candidate))
      if (std::ranges::find(files, named.path) == files.end()) files.push_back(named.path);
  return files;
}

void take_candidate(ModelSpec& model, std::size_t place, std::string_view reason) {
  model.tried = {};
  for (const ModelKind& one : model.candidates) add_form(model.tried, candidate_name(one), place, reason);
  model.kind = model.candidates[place];
  model.candidates.clear();
}

void take_mode(UnitSpec& unit, std::size_t place, std::string_view reason) {
  unit.tried = {};
  for (const UnitMode mode : unit.modes) add_form(unit.tried, std::string(to_name(mode)), place, reason);
  unit.mode = unit.modes[place];
  unit.modes.clear();
}

std::string candidate_name(const ModelKind& candidate) {
  std::string name(kind_name(candidate));
  for (const NamedPath& named : paths_of(candidate)) name += " " + named.path;
  if (const ComputedBy* const backend = backend_of(candidate)) name += fmt::format(" by {}", to_name(*backend));
  return name;
}

}  // namespace tutti::config
