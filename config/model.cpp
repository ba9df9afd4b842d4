// From YAML to the fields of a kind: one function per form that a field may have, and none per kind.
#include "config/model.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "config/arguments.hpp"
#include "config/candidates.hpp"
#include "config/reader.hpp"

namespace tutti::config {
namespace {

/// A key that only some kinds have: for the others it gets its own message instead of "unknown key".
struct KeyOfKinds {
  std::string_view key;
  std::vector<std::string> kinds;
};

const std::vector<KeyOfKinds>& keys_of_kinds() {
  static const std::vector<KeyOfKinds> all = [] {
    std::vector<KeyOfKinds> rows;
    for (const ModelKind& kind : every_kind())
      for (const std::string_view key : keys_of(kind)) {
        auto row = std::ranges::find(rows, key, &KeyOfKinds::key);
        if (row == rows.end()) row = rows.insert(row, {key, {}});
        row->kinds.emplace_back(kind_name(kind));
      }
    return rows;
  }();
  return all;
}

void refuse_keys_of_other_kinds(Fields& fields, std::string_view kind) {
  const std::optional<ModelKind> known = kind_called(kind);  // `auto` is none
  for (const KeyOfKinds& row : keys_of_kinds()) {
    if (std::ranges::find(row.kinds, kind) != row.kinds.end()) continue;
    if (!known && row.key == "output") continue;
    const bool in_file = known && row.key == kWeightsKey && facts_of(*known).weights == WeightsFrom::package;
    std::string_view remedy = in_file ? "; the model's file holds its own weights: name it with 'path'" : "";
    if (row.key == "precision" && kind == "onnx")
      remedy = "; ONNX Runtime computes on the CPU as the model's file says: convert the file";
    fields.refuse(row.key, fmt::format("'{}' belongs to {}, not to {}{}", row.key, one_of(row.kinds), kind, remedy));
  }
}

/// An image is found by its first value, not by when a worker gets it: the worker may get other images before it.
void read_at_value(Fields& fields, ScriptedFault& fault, Violations& violations) {
  const Tree* tree = fields.find("at_value");
  if (tree == nullptr) return;
  if (const auto value = read_number(*tree, "'at_value'", kFloat, violations); value)
    fault.at_value = static_cast<float>(*value);
  if (fields.find("at_batch") != nullptr)
    violations.add(tree->position, "'at_batch' and 'at_value' both say when the fault happens; give one of them");
  if (fault.phase == FaultPhase::load)
    violations.add(tree->position, "'at_value' has no meaning in phase load: no image has come yet");
}

ScriptedFault read_fault(const Tree& tree, Violations& violations) {
  ScriptedFault fault;
  Fields fields(tree, "a fault", violations);
  std::vector<std::string> kinds;
  for (const auto& entry : enum_names(FaultKind{}))
    if (entry.value != FaultKind::none) kinds.emplace_back(entry.name);
  if (fields.require("kind", one_of(kinds)) != nullptr)
    if (const auto word = fields.one_of_words("kind", kinds); word) fault.kind = *from_name<FaultKind>(*word);
  fields.choice("phase", fault.phase);
  fields.whole("at_batch", fault.at_batch, 0);
  read_at_value(fields, fault, violations);
  if (fault.phase == FaultPhase::load && fault.at_batch > 0)
    violations.add(fields.position_of("at_batch"), "'at_batch' has no meaning in phase load: no batch has come yet");
  if (fault.kind == FaultKind::nan && fault.phase == FaultPhase::load)
    violations.add(fields.position_of("kind"), "a nan has no meaning in phase load: nothing is computed yet");
  fields.finish();
  return fault;
}

bool is_name(std::string_view text) {
  const auto fits = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c < 0; };
  return !text.empty() && std::ranges::all_of(text, fits) && std::isdigit(static_cast<unsigned char>(text[0])) == 0;
}

/// What is wrong with "module:function", as the end of a sentence; empty if nothing is.
std::string factory_problem(std::string_view factory) {
  const std::size_t colon = factory.rfind(':');
  if (colon == factory.npos) return "; the function is missing";
  if (!is_name(factory.substr(colon + 1))) return "; what follows ':' is not the name of a function";
  std::string_view module = factory.substr(0, colon);
  if (module.ends_with(".py")) return {};
  if (module.find('/') != module.npos) return "; a file ends in .py";
  for (std::size_t dot = 0; dot != module.npos; module.remove_prefix(dot == module.npos ? 0 : dot + 1)) {
    dot = module.find('.');
    if (!is_name(module.substr(0, dot))) return "; what precedes ':' is not the name of a module";
  }
  return {};
}

/// Reads one field of a model, depending on its form.
struct FieldReader {
  Fields& fields;
  Violations& violations;

  void operator()(std::string_view key, std::uint32_t& value, const form::Whole& whole) const {
    fields.whole(key, value, whole.least, whole.most);
  }

  void operator()(std::string_view key, std::uint64_t& value, const form::Delay& delay) const {
    fields.whole(key, value, 0, delay.most);
    const std::string_view other = delay.in_thousands;
    if (other.empty()) return;
    std::uint64_t thousands = 0;
    fields.whole(other, thousands, 0, delay.most / 1000);
    if (fields.find(key) != nullptr && fields.find(other) != nullptr)
      violations.add(fields.position_of(other),
                     fmt::format("'{}' and '{}' are the same delay; give one of them", key, other));
    else if (thousands > 0)
      value = thousands * 1000;
  }

  void operator()(std::string_view key, bool& value, const form::Flag&) const { fields.boolean(key, value); }

  template <class Enum>
  void operator()(std::string_view key, Enum& value, const form::Choice&) const {
    fields.choice(key, value);
  }

  /// Also `auto`, which is read_backends().
  void operator()(std::string_view key, ComputedBy& value, const form::Choice&) const {
    if (const auto word = fields.one_of_words(key, backend_words()); word && *word != kAutoKind)
      value = *from_name<ComputedBy>(*word);
  }

  void operator()(std::string_view key, Precision& value, const form::Choice&) const {
    if (const Tree* tree = fields.find(key); tree != nullptr && (tree->is_word("int8") || tree->is_word("i8")))
      return fields.refuse(key, fmt::format("'{}' cannot be int8: a model computes in int8 if its file is quantised; "
                                            "leave '{}' out for such a file",
                                            key, key));
    fields.choice(key, value);
  }

  void operator()(std::string_view key, std::vector<std::string>& values, const form::Texts& texts) const {
    const Tree* tree = fields.find(key);
    if (tree == nullptr) return;
    if (tree->kind != Tree::Kind::list) {
      std::string one;
      fields.text(key, one);
      if (!one.empty()) values.push_back(one);
      return;
    }
    if (tree->items.empty() || tree->items.size() > texts.most)
      violations.add(tree->position, fmt::format("'{}' must be a name or a list of 1 to {} names", key, texts.most));
    for (const Tree& item : tree->items) {
      if (item.kind != Tree::Kind::scalar || item.scalar.empty())
        violations.add(item.position, fmt::format("each item of '{}' must be a name, not {}", key, describe(item)));
      else if (std::ranges::find(values, item.scalar) != values.end())
        violations.add(item.position, fmt::format("'{}' names '{}' twice", key, item.scalar));
      else
        values.push_back(item.scalar);
    }
  }

  void operator()(std::string_view key, std::string& value, const form::Factory& factory) const {
    fields.require(key, factory.needed);
    fields.text(key, value);
    if (value.empty()) return;
    if (const std::string problem = factory_problem(value); !problem.empty())
      violations.add(fields.position_of(key), fmt::format("'{}' must be {}, not '{}'{}", key,
                                                          "a module or a file, ':' and a function, such as "
                                                          "my_models:make or nets/forest.py:make",
                                                          one_line(value), problem));
  }

  void operator()(std::string_view key, Arguments& arguments, const form::Call&) const {
    if (const Tree* tree = fields.find(key); tree != nullptr) arguments = read_arguments(*tree, violations);
  }

  void operator()(std::string_view key, std::string& value, const form::Interpreter&) const { fields.text(key, value); }

  /// Where the module was named, unless that was on the command line.
  void operator()(std::string_view key, std::string& value, const form::ModuleFolder&) const {
    fields.text(key, value);
    const SourcePosition& said = fields.position_of("factory");
    if (value.empty() && said.line > 0) value = std::filesystem::path(said.file).parent_path().string();
  }

  void operator()(std::string_view key, std::string& value, const form::CacheFolder&) const { fields.text(key, value); }

  void operator()(std::string_view key, std::string& value, const form::Path& path) const {
    if (!path.needed.empty()) fields.require(key, path.needed);
    fields.text(key, value);
  }

  void operator()(std::string_view key, std::vector<std::string>& values, const form::Paths& paths) const {
    const Tree* tree = fields.require(key, paths.needed);
    if (tree == nullptr) return;
    if (tree->kind != Tree::Kind::list) {
      fields.text(key, values.emplace_back());
      return;
    }
    if (tree->items.empty() || tree->items.size() > paths.most)
      violations.add(tree->position, fmt::format("'{}' must be a file or a list of 1 to {} files", key, paths.most));
    for (const Tree& item : tree->items) {
      if (item.kind == Tree::Kind::scalar && !item.scalar.empty())
        values.push_back(item.scalar);
      else
        violations.add(item.position, fmt::format("each item of '{}' must be a file, not {}", key, describe(item)));
    }
  }

  void operator()(std::string_view key, Dims& sizes, const form::Sizes& form) const {
    const Tree* tree = fields.find(key);
    if (tree == nullptr) return;
    if (tree->kind != Tree::Kind::list || tree->items.size() > form.most) {
      violations.add(tree->position,
                     fmt::format("'{}' must be a list of at most {} sizes, not {}", key, form.most, describe(*tree)));
      return;
    }
    const std::string what = fmt::format("each item of '{}'", key);
    for (const Tree& item : tree->items)
      if (const auto size = read_whole(item, what, 1, kMaxModelWidth, violations); size)
        sizes.push_back(static_cast<std::uint32_t>(*size));
    if (elements_of(sizes) > kMaxModelWidth)
      violations.add(tree->position, fmt::format("'{}' is more than {} values", key, kMaxModelWidth));
  }

  void operator()(std::string_view key, std::vector<std::uint32_t>& values, const form::Widths& widths) const {
    const Tree* tree = fields.require(key, widths.needed);
    if (tree == nullptr) return;
    if (tree->kind != Tree::Kind::list || tree->items.empty() || tree->items.size() > widths.most_layers) {
      violations.add(
          tree->position,
          fmt::format("'{}' must be a list of 1 to {} widths such as [64, 10], not {}", key, widths.most_layers,
                      tree->kind == Tree::Kind::list ? fmt::format("one of {}", tree->items.size()) : describe(*tree)));
      return;
    }
    const std::string what = fmt::format("each item of '{}'", key);
    for (const Tree& item : tree->items)
      if (const auto width = read_whole(item, what, 1, kMaxModelWidth, violations); width)
        values.push_back(static_cast<std::uint32_t>(*width));
  }

  void operator()(std::string_view key, LayerRange& part, const form::Layers&) const {
    const Tree* tree = fields.find(key);
    if (tree == nullptr) return;
    const std::size_t before = violations.count();
    Fields range(*tree, "'part'", violations);
    range.whole("from", part.from, 1, kMaxModelWidth);
    range.whole("to", part.to, 1, kMaxModelWidth);
    range.finish();
    if (violations.count() > before) return;
    if (part.whole())
      violations.add(tree->position,
                     "'part' needs 'from', its first layer, 'to', the layer behind its last one, or both");
    else if (part.to > 0 && part.to <= part.from)
      violations.add(
          tree->position,
          fmt::format("'part' ends at layer {}, and must end behind layer {}, where it begins", part.to, part.from));
  }

  void operator()(std::string_view key, std::vector<ScriptedFault>& values, const form::Faults& faults) const {
    const Tree* tree = fields.find(key);
    if (tree == nullptr) return;
    if (tree->kind != Tree::Kind::list || tree->items.size() > faults.most) {
      violations.add(tree->position,
                     fmt::format("'{}' must be a list of at most {} maps with kind, phase, and at_batch or at_value",
                                 key, faults.most));
      return;
    }
    for (const Tree& item : tree->items) values.push_back(read_fault(item, violations));
  }
};

}  // namespace

ModelSpec read_model(const Tree& tree, Violations& violations) {
  ModelSpec model;
  Fields fields(tree, "'model'", violations);
  std::vector<std::string> kinds = kinds_where([](const KindFacts&) { return true; });
  kinds.emplace_back(kAutoKind);
  const std::size_t before = violations.count();
  if (tree.kind == Tree::Kind::map) fields.require("kind", one_of(kinds));
  const auto kind = violations.count() == before ? fields.one_of_words("kind", kinds) : std::nullopt;
  if (!kind) return model;  // without the kind no key can be checked
  if (*kind == kAutoKind) {
    read_candidates(fields, model, violations);
    refuse_keys_of_other_kinds(fields, *kind);
    fields.finish();
    return model;
  }
  model.kind = *kind_called(*kind);
  fields.refuse("files", fmt::format("'files' belongs to auto, not to {}; name the file with 'path'", *kind));
  for_each_field(model.kind, FieldReader{fields, violations});
  if (backend_of(model.kind) != nullptr) read_backends(fields, model);
  std::optional<Clash> clash = clash_in(model.kind);
  for (const ModelKind& candidate : model.candidates)
    if (!clash) clash = clash_in(candidate);
  if (clash) violations.add(fields.position_of(clash->key), clash->text);
  if (const std::vector<NamedPath> paths = paths_of(model.kind); !paths.empty())
    model.file_place.text = fields.position_of(paths.front().key.substr(std::string_view("model.").size())).text();
  if (std::holds_alternative<PythonModel>(model.kind))
    model.file_place.text = fields.position_of(fields.find("python") != nullptr ? "python" : "factory").text();
  if (takes_weights(facts_of(model.kind))) fields.path(kWeightsKey, model.weights);
  refuse_keys_of_other_kinds(fields, *kind);
  fields.finish();
  return model;
}

SourcePosition position_of_output(const Tree& tree) {
  const Tree* const model = tree.find("model");
  const Tree* const output = model != nullptr ? model->find("output") : nullptr;
  return output != nullptr ? output->position : SourcePosition{};
}

}  // namespace tutti::config
