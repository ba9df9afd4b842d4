#include "config/schema.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "common/json.hpp"
#include "common/values.hpp"
#include "common/wire/model_kinds.hpp"
#include "common/wire/steps.hpp"
#include "config/read_keys.hpp"
#include "config/schema_keys.hpp"
#include "config/shorthand.hpp"
#include "config/spec.hpp"

namespace tutti::config {
namespace {

// ---- what reading looks for ----------------------------------------------------------------------------------------

template <class Enum>
std::vector<std::string> names_of_all() {
  std::vector<std::string> names;
  for (const auto& entry : enum_names(Enum{})) names.emplace_back(entry.name);
  return names;
}

/// Descriptions that, together, make the reader look for every key. They may be wrong.
std::vector<std::string> samples() {
  const std::string one = "members: [{name: a, model: {kind: fake}}]\n";
  std::vector<std::string> all{
      "members: [{name: a, model: {kind: fake, faults: [{kind: nan}]}, views: [{crops: 5, size: 8}, {scale: 2}], "
      "train: {}, input: {resize: 8, crop: 8}}]\n"
      "restarts: {}\ntrain: {}\nquorum: {members: 1}\ncoalesce: {}\n"
      "cascade: {when: {confidence_below: 0.5, margin_below: 0.5, "
      "entropy_above: 1}, then: [a]}\nworkers: [{members: [a]}, {members: [a], replicas: {cpu: 1}}]\ntasks: [{name: t, "
      "input: {dataset: digits}}]\n"};
  for (const std::string& kind : kinds_where([](const KindFacts&) { return true; }))
    all.push_back(fmt::format("members: [{{name: a, model: {{kind: {}}}}}]\n", kind));
  all.emplace_back("members: [{name: a, model: {kind: auto, files: [a.pt]}}]\n");
  all.emplace_back(
      "members: [{name: a, stages: [{model: {kind: fake}}, {model: {kind: fake}, replicas: {cpu: 1}}]}]\n");
  all.emplace_back("members: [{name: a, model: {kind: mlp, layers: [2, 2], part: {from: 1}}, shards: {cut: [1]}}]\n");
  all.emplace_back("members: [{name: a, model: {kind: mlp, layers: [2, 2]}, shards: {count: 2}}]\n");
  for (const Step& step : every_step())
    all.push_back(
        fmt::format("members: [{{name: a, stages: [{{model: {{kind: fake}}}}, {{step: {}, resize: 8, crop: 8}}]}}]\n",
                    step_name(step)));
  for (const std::string& rule : names_of_all<CombineRule>()) all.push_back(one + "combine: {rule: " + rule + "}\n");
  for (const std::string& dataset : names_of_all<Dataset>())
    for (const char* more : {"limit: 1, preprocess: {}, resize: 8, crop: 8", "limit: 1, labels: x", "tiles: {size: 8}",
                             "inputs: {x: {shape: [1]}}", "inputs: {x: x.npy}"})
      all.push_back(fmt::format("{}input: {{dataset: {}, {}}}\n", one, dataset, more));
  for (const std::string& method : names_of_all<MergeMethod>())
    for (const std::string& statistics : names_of_all<BatchNorm>())
      all.push_back(fmt::format("{}merge: {{method: {}, batch_norm: {}}}\n", one, method, statistics));
  return all;
}

/// How a map is called in messages, and its definition. Of some maps, one key decides which others they may have.
struct Definition {
  std::string_view what;
  std::string_view name;
  std::string_view decided_by{};
};
constexpr std::array kDefinitions{Definition{"the configuration", "description"},
                                  Definition{"'combine'", "combine", "rule"},
                                  Definition{"member ", "member"},
                                  Definition{"'train' of a member", "member_train"},
                                  Definition{"'train'", "train"},
                                  Definition{"'input' of a member", "member_input"},
                                  Definition{"'input'", "input", "dataset"},
                                  Definition{"'preprocess'", "preprocess"},
                                  Definition{"'tiles'", "tiles"},
                                  Definition{"'restarts'", "restarts"},
                                  Definition{"an entry of 'workers'", "worker"},
                                  Definition{"an entry of 'cascade'", "cascade_step"},
                                  Definition{"'when'", "doubt"},
                                  Definition{"'quorum'", "quorum"},
                                  Definition{"'coalesce'", "coalesce"},
                                  Definition{"task ", "task"},
                                  Definition{"'merge'", "merge", "method"},
                                  Definition{"'model'", "model", "kind"},
                                  Definition{"'part'", "part"},
                                  Definition{"'shards'", "shards"},
                                  Definition{"a stage", "stage"},
                                  Definition{"a step", "step", "step"},
                                  Definition{"a fault", "fault"},
                                  Definition{"a view", "view"},
                                  Definition{"tensor ", "tensor"}};

const Definition* find_definition(std::string_view what) {
  const auto found = std::ranges::find_if(kDefinitions, [&](const Definition& one) {
    return one.what.ends_with(' ') ? what.starts_with(one.what) : what == one.what;
  });
  return found == kDefinitions.end() ? nullptr : &*found;
}

/// What the readings of a map say about one of its keys.
struct Key {
  std::string name;
  KeyForm form{};
  bool required = false;
  bool read_apart = false;  ///< some code reads the value itself, so a form that is written by hand counts
};

class Keys {
 public:
  const std::vector<Key>& all() const { return keys_; }
  const Key* find(std::string_view name) const {
    const auto found = std::ranges::find(keys_, name, &Key::name);
    return found == keys_.end() ? nullptr : &*found;
  }

  /// Adds the keys of one reading: those of earlier readings are required only if this one requires them, too.
  void add(const ReadMap& map) {
    std::map<std::string, bool> required;
    std::map<std::string, bool> typed;
    for (const ReadKey& read : map.keys) {
      required[read.key] |= read.required;
      typed[read.key] |= read.form.kind != KeyForm::Kind::any;
    }
    for (const ReadKey& read : map.keys) {
      if (find(read.key) == nullptr) keys_.push_back({read.key, {}, readings_ == 0 && required[read.key]});
      Key& key = *std::ranges::find(keys_, read.key, &Key::name);
      if (read.form.kind != KeyForm::Kind::any) key.form = read.form;
      key.read_apart |= !typed[read.key];
    }
    for (Key& key : keys_) key.required = key.required && required[key.name];
    ++readings_;
  }

 private:
  std::vector<Key> keys_;
  int readings_ = 0;
};

/// All that is known about the maps of one definition: together, and for each value of the key that decides.
struct Known {
  Keys all;
  std::map<std::string, Keys> by_value;
};

std::map<std::string_view, Known> known_maps() {
  std::map<std::string_view, Known> known;
  for (const std::string& sample : samples())
    for (const ReadMap& map : maps_read(sample)) {
      const Definition* const definition = find_definition(map.what);
      if (definition == nullptr) throw std::logic_error("the schema has no definition for " + map.what);
      Known& one = known[definition->name];
      one.all.add(map);
      const auto value = map.words.find(std::string(definition->decided_by));
      if (value != map.words.end()) one.by_value[value->second].add(map);
    }
  return known;
}

// ---- JSON ----------------------------------------------------------------------------------------------------------

const SchemaKey& about(std::string_view definition, std::string_view key) {
  const auto found = std::ranges::find_if(
      schema_keys(), [&](const SchemaKey& one) { return one.definition == definition && one.key == key; });
  if (found == schema_keys().end())
    throw std::logic_error(fmt::format("config/schema_keys.cpp has no text for '{}' of {}", key, definition));
  return *found;
}

/// Words as they are; numbers are also numbers.
json::array choices(const std::vector<std::string>& words) {
  json::array values;
  for (const std::string& word : words) {
    std::int64_t number = 0;
    const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (code == std::errc() && end == word.data() + word.size())
      values.emplace_back(number);
    else
      values.emplace_back(word);
  }
  values.emplace_back(nullptr);
  return values;
}

/// The value of a key, which may also be null. Like the reader, it takes numbers for texts.
json::object value_of(std::string_view definition, const Key& key) {
  const SchemaKey& said = about(definition, key.name);
  json::object value{{"description", said.text}};
  const bool by_hand = key.read_apart && !said.form.empty();
  switch (by_hand ? KeyForm::Kind::any : key.form.kind) {
    case KeyForm::Kind::any:
      if (said.form.empty())
        throw std::logic_error(fmt::format("config/schema_keys.cpp has no form for '{}' of {}", key.name, definition));
      value["anyOf"] = {parse_json(said.form, key.name), {{"type", "null"}}};
      break;
    case KeyForm::Kind::whole:
      value["type"] = {"integer", "null"};
      value["minimum"] = key.form.least;
      if (key.form.most != std::numeric_limits<std::uint64_t>::max()) value["maximum"] = key.form.most;
      break;
    case KeyForm::Kind::number:
      value["type"] = {"number", "null"};
      if (!key.form.may_be_negative) value[key.form.may_be_zero ? "minimum" : "exclusiveMinimum"] = 0;
      break;
    case KeyForm::Kind::boolean:
      // The words of YAML 1.1, which editors take for texts.
      value["anyOf"] = {{{"type", {"boolean", "null"}}},
                        {{"enum", {"yes", "no", "on", "off"}}, {"doNotSuggest", true}}};
      break;
    case KeyForm::Kind::text:
      value["type"] = {"string", "number", "null"};
      break;
    case KeyForm::Kind::words:
      value["enum"] = choices(key.form.words);
      break;
  }
  return value;
}

json::array names_in(const Keys& keys) {
  json::array names;
  for (const Key& key : keys.all()) names.emplace_back(key.name);
  return names;
}

json::array required_in(const Keys& keys) {
  json::array names;
  for (const Key& key : keys.all())
    if (key.required) names.emplace_back(key.name);
  return names;
}

/// Whether the key is the same whatever the value of the key that decides.
bool is_common(const Key& key, const Known& known) {
  return std::ranges::all_of(known.by_value, [&](const auto& one) {
    const Key* const other = one.second.find(key.name);
    return other != nullptr && other->form == key.form;
  });
}

/// Maps of which one key decides which others they may have: the others are in `then`, where editors find them.
void add_branches(json::object& object, std::string_view definition, std::string_view decided_by, const Known& known) {
  object["propertyNames"] = {{"enum", names_in(known.all)}};
  json::array branches;
  for (const auto& [value, keys] : known.by_value) {
    json::object own;
    for (const Key& key : keys.all())
      if (!is_common(key, known)) own[key.name] = value_of(definition, key);
    json::object then{{"properties", std::move(own)}, {"propertyNames", {{"enum", names_in(keys)}}}};
    // Keys of a member's model may be in `defaults`.
    if (json::array required = required_in(keys); definition != "model" && !required.empty())
      then["required"] = std::move(required);
    branches.emplace_back(json::object{
        {"if", {{"properties", {{decided_by, {{"const", value}}}}}, {"required", json::array{decided_by}}}},
        {"then", std::move(then)}});
  }
  object["allOf"] = std::move(branches);
}

json::object object_for(const Definition& definition, const Known& known) {
  json::object properties;
  for (const Key& key : known.all.all())
    if (known.by_value.empty() || is_common(key, known)) properties[key.name] = value_of(definition.name, key);
  json::object object{{"type", "object"}, {"properties", std::move(properties)}};
  if (!known.by_value.empty()) {
    add_branches(object, definition.name, definition.decided_by, known);
    return object;
  }
  object["additionalProperties"] = false;
  if (json::array required = required_in(known.all); !required.empty()) object["required"] = std::move(required);
  return object;
}

/// A key that is read before the maps are: write_out() and includes.
json::object early_key(std::string_view definition, std::string_view key) {
  return value_of(definition, {.name = std::string(key), .read_apart = true});
}

json::value any_required(std::initializer_list<const char*> names) {
  json::array alternatives;
  for (const char* name : names) alternatives.emplace_back(json::object{{"required", json::array{name}}});
  return alternatives;
}

/// What shorthand.hpp and include.hpp add.
void add_shorthand(json::object& definitions) {
  json::object& member = definitions["member"].as_object();
  json::object defaults = member;
  defaults["properties"].as_object().erase("name");
  defaults.erase("required");
  definitions["defaults"] = std::move(defaults);
  member["properties"].as_object()["glob"] = early_key("member", "glob");
  member.erase("required");  // `model` may be in `defaults`
  member["anyOf"] = any_required({"name", "glob"});
  definitions["members"] = parse_json(
      R"({"anyOf": [{"type": "array", "items": {"$ref": "#/definitions/member"}, "minItems": 1},
                    {"allOf": [{"$ref": "#/definitions/member"}, {"required": ["glob"]}]}]})",
      "members");
  json::array presets;
  for (const std::string& name : preset_names()) presets.emplace_back(name);
  definitions["preset"] = {{"enum", std::move(presets)}};
  json::array words;
  for (const std::string& name : names_of_all<ViewKind>())
    if (name != "crops" && name != "scale") words.emplace_back(name);
  definitions["view_word"] = {{"enum", std::move(words)}};
  json::array steps;
  for (const Step& step : every_step()) steps.emplace_back(step_name(step));
  definitions["step_word"] = {{"enum", std::move(steps)}};
  definitions["device"] = parse_json(
      R"({"anyOf": [{"type": ["string", "integer", "null"]},
                    {"type": "object", "maxProperties": 1, "additionalProperties":
                       {"anyOf": [{"type": ["integer", "string"]}, {"type": "array", "items": {"type": ["integer", "string"]}}]}}],
          "examples": ["cpu", "cpu:0-3", "cuda:0", "auto"]})",
      "a device");
}

}  // namespace

std::string_view definition_of(std::string_view what) {
  const Definition* const found = find_definition(what);
  return found == nullptr ? std::string_view() : found->name;
}

std::string schema_text() {
  const std::map<std::string_view, Known> known = known_maps();
  json::object definitions;
  for (const Definition& definition : kDefinitions)
    definitions[definition.name] = object_for(definition, known.at(definition.name));
  add_shorthand(definitions);
  json::object top{{"$schema", "http://json-schema.org/draft-07/schema#"},
                   {"title", "An ensemble of Tutti"},
                   {"description", "docs/configuration.md describes every key."}};
  for (const auto& [key, value] : definitions["description"].as_object()) top[key] = value;
  for (const char* key : {"defaults", "include"}) top["properties"].as_object()[key] = early_key("description", key);
  top["patternProperties"] = {{"^x-", json::object()}};
  top.erase("required");
  top["anyOf"] = any_required({"members", "include"});
  definitions.erase("description");
  top["definitions"] = std::move(definitions);
  return pretty_json(top);
}

}  // namespace tutti::config
