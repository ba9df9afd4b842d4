// The schema for editors knows what the reader knows, and no more. tests/python/schema_end_to_end.py uses it.
#include "config/schema.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "common/atomic_file.hpp"
#include "common/json.hpp"
#include "common/wire/model_kinds.hpp"
#include "config/read_keys.hpp"
#include "config/schema_keys.hpp"
#include "tests/common/error_of.hpp"
#include "tests/config/problems.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;
using Words = std::set<std::string>;

const json::object& schema() {
  static const json::value parsed = parse_json(config::schema_text(), "the schema");
  return parsed.get_object();
}

/// A definition; the whole description is at the top.
const json::object& definition(const std::string& name) {
  return name == "description" ? schema() : schema().at("definitions").at(name).get_object();
}

void add_names(const json::value& list, Words& words) {
  for (const json::value& name : list.get_array()) words.emplace(name.get_string());
}

/// The keys that a definition allows, whatever the key says that decides.
Words keys_in(const std::string& name) {
  const json::object& object = definition(name);
  Words words;
  for (const auto& [key, value] : object.at("properties").get_object()) words.emplace(key);
  if (object.contains("propertyNames")) add_names(object.at("propertyNames").at("enum"), words);
  return words;
}

/// The definitions that are maps with keys of their own.
std::vector<std::string> maps() {
  std::vector<std::string> names{"description"};
  for (const auto& [name, value] : schema().at("definitions").get_object())
    if (value.get_object().contains("properties")) names.emplace_back(name);
  return names;
}

std::vector<fs::path> files_in(const fs::path& folder, const std::string& ending) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ending) files.push_back(entry.path());
  return files;
}

TEST_CASE("every key that the source of the reader names is in the schema") {
  Words known;
  for (const std::string& name : maps()) known.merge(keys_in(name));
  // A map of Hugging Face is read by its own class, and effective.cpp and the schema read nothing.
  const Words others{"processor.cpp", "effective.cpp", "schema.cpp"};
  const std::regex call(R"re(\b\w+\.(whole|number|boolean|text|path|choice|one_of_words|find|require)\("([a-z_]+)")re");
  std::size_t found = 0;
  for (const fs::path& file : files_in(test::in_sources("config"), ".cpp")) {
    if (others.contains(file.filename().string())) continue;
    const std::string text = read_text(file, "a source");
    for (std::sregex_iterator at(text.begin(), text.end(), call), end; at != end; ++at, ++found)
      CHECK_MESSAGE(known.contains((*at)[2]),
                    file.filename().string() << " reads '" << (*at)[2].str() << "', which the schema does not have");
  }
  CHECK(found > 100);  // the pattern still fits the source
}

TEST_CASE("every key that reading an example looks for is in the schema where it is read") {
  std::size_t read = 0;
  for (const fs::path& file : files_in(test::in_sources("config/examples"), ".yaml"))
    for (const config::ReadMap& map : config::maps_read(read_text(file, "an example"))) {
      const std::string name(config::definition_of(map.what));
      REQUIRE_MESSAGE(!name.empty(), map.what);
      const Words known = keys_in(name);
      for (const config::ReadKey& key : map.keys) CHECK_MESSAGE(known.contains(key.key), name << " has no " << key.key);
      read += map.keys.size();
    }
  CHECK(read > 500);
}

/// A description in which a map of this definition has the key, and nothing else of its own.
std::string with_key(const std::string& name, const std::string& key) {
  static const std::map<std::string, std::string> places{
      {"description", "{}\n"},
      {"defaults", "defaults: {{{}}}\n"},
      {"combine", "combine: {{{}}}\n"},
      {"member", "members: [{{{}}}]\n"},
      {"member_train", "members: [{{name: a, model: {{kind: fake}}, train: {{{}}}}}]\n"},
      {"train", "train: {{{}}}\n"},
      {"member_input", "members: [{{name: a, model: {{kind: fake}}, input: {{{}}}}}]\n"},
      {"input", "input: {{{}}}\n"},
      {"preprocess", "input: {{dataset: digits, preprocess: {{{}}}}}\n"},
      {"tiles", "input: {{dataset: folder, path: x, tiles: {{{}}}}}\n"},
      {"restarts", "restarts: {{{}}}\n"},
      {"worker", "workers: [{{{}}}]\n"},
      {"cascade_step", "cascade: {{{}}}\n"},
      {"doubt", "cascade: {{when: {{{}}}, then: [a]}}\n"},
      {"quorum", "quorum: {{{}}}\n"},
      {"coalesce", "coalesce: {{{}}}\n"},
      {"task", "tasks: [{{{}}}]\n"},
      {"merge", "merge: {{{}}}\n"},
      {"model", "base: {{kind: fake, {}}}\n"},
      {"part", "base: {{kind: mlp, layers: [2, 2], part: {{{}}}}}\n"},
      {"shards", "members: [{{name: a, model: {{kind: mlp, layers: [2, 2]}}, shards: {{{}}}}}]\n"},
      {"stage", "members: [{{name: a, stages: [{{model: {{kind: fake}}}}, {{{}}}]}}]\n"},
      {"step", "members: [{{name: a, stages: [{{model: {{kind: fake}}}}, {{step: resize, {}}}]}}]\n"},
      {"fault", "members: [{{name: a, model: {{kind: fake, faults: [{{{}}}]}}}}]\n"},
      {"view", "views: [{{{}}}]\n"},
      {"tensor", "input: {{dataset: random, inputs: {{x: {{{}}}}}}}\n"}};
  const std::string text = fmt::format(fmt::runtime(places.at(name)), key + ": 1");
  const bool has_members = text.starts_with("members");
  return (has_members ? "" : name == "description" && key == "members" ? "" : kOneMember) + text;
}

TEST_CASE("every key of the schema is known to the reader where the schema has it") {
  for (const std::string& name : maps())
    for (const std::string& key : keys_in(name)) {
      if ((name == "model" && key == "kind") || (name == "step" && key == "step")) continue;  // it is there already
      for (const std::string& line : problems(with_key(name, key)))
        CHECK_MESSAGE(!contains(line, fmt::format("unknown key '{}'", key)), name << ": " << line);
    }
  // And the test can tell.
  CHECK(contains(problem(with_key("tiles", "nonsense")), "unknown key 'nonsense'"));
}

TEST_CASE("no text is about a key that the schema does not have and none is there twice") {
  std::set<std::pair<std::string, std::string>> seen;
  for (const config::SchemaKey& one : config::schema_keys()) {
    CAPTURE(std::string(one.definition));
    CAPTURE(std::string(one.key));
    CHECK(keys_in(std::string(one.definition)).contains(std::string(one.key)));
    CHECK(seen.emplace(one.definition, one.key).second);
    CHECK_FALSE(one.text.empty());
  }
}

/// The branch of a definition for one value of the key that decides.
const json::object& branch(const std::string& name, const std::string& key, std::string_view value) {
  for (const json::value& one : definition(name).at("allOf").get_array())
    if (one.at("if").at("properties").at(key).at("const") == json::value(value)) return one.at("then").get_object();
  FAIL("no branch for " << value);
  throw;
}

TEST_CASE("each kind of model has its own keys in the schema") {
  for (const ModelKind& kind : every_kind()) {
    Words allowed;
    add_names(branch("model", "kind", kind_name(kind)).at("propertyNames").at("enum"), allowed);
    Words keys{"kind"};
    for (const std::string_view key : keys_of(kind)) keys.emplace(key);
    CHECK(allowed == keys);
  }
  CHECK(branch("model", "kind", "clip-vit").at("properties").at("output").at("enum").get_array().size() == 4);
}

TEST_CASE("values that must be there and bounds of numbers are those of the reader") {
  CHECK(branch("input", "dataset", "random").at("required") == json::value{"count"});
  CHECK_FALSE(branch("input", "dataset", "npy").contains("required"));  // images or inputs
  CHECK(definition("restarts").at("properties").at("window_s").at("exclusiveMinimum") == 0);
  CHECK(definition("restarts").at("properties").at("back_off_s").at("minimum") == 0);
  CHECK(schema().at("properties").at("slots").at("maximum") == config::kMaxSlots);
}

}  // namespace
}  // namespace tutti::test
