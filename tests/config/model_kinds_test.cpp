// What must be true for YAML and the description of a kind, for every kind that exists.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "common/wire/model_kinds.hpp"
#include "common/wire/steps.hpp"
#include "config/effective.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/common/wire/every_model.hpp"
#include "tests/config/problems.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

/// An ensemble of one member with this model.
config::EnsembleSpec hosting(const ModelKind& model) {
  config::EnsembleSpec spec = config::load_text(kOneMember, "e.yaml");
  config::MemberSpec& member = spec.members.front();
  member.model.kind = model;
  const KindFacts facts = facts_of(model);
  if (takes_weights(facts)) member.model.weights = "w.safetensors";
  if (facts.output) member.output = facts.output->kind;
  if (member.output == OutputKind::features) spec.combine.over = OutputKind::features;
  if (is_saved(facts)) spec.input.dataset = config::Dataset::random;
  if (is_saved(facts)) spec.input.count = 1;
  return spec;
}

TEST_CASE("a model of every kind is written to YAML and read back the same") {
  const TemporaryFolder folder;
  Change change(folder.path());
  for (const ModelKind& model : every_model(change)) {
    CAPTURE(std::string(kind_name(model)));
    const config::EnsembleSpec spec = hosting(model);
    const std::string yaml = config::to_yaml(spec);
    const config::EnsembleSpec again = config::load_text(yaml, "effective.yaml");
    CHECK(again.members.front().model == spec.members.front().model);
    CHECK(again.effective_yaml == yaml);
  }
}

/// The values that the forms of a kind require.
struct Needed {
  std::vector<std::string> words;
  template <class Value, class Form>
  void operator()(std::string_view key, const Value&, const Form& its_form) {
    if constexpr (requires { its_form.needed; })
      if (!its_form.needed.empty()) words.push_back(fmt::format("'model' needs '{}', {}", key, its_form.needed));
  }
};

TEST_CASE("a model of every kind can leave out all but what its description needs") {
  for (const ModelKind& kind : every_kind()) {
    CAPTURE(std::string(kind_name(kind)));
    Needed needed;
    for_each_field(kind, needed);
    std::vector<std::string> said =
        problems(fmt::format("members: [{{name: a, model: {{kind: {}}}}}]\n", kind_name(kind)));
    std::erase_if(said, [](const std::string& line) { return !contains(line, "'model' needs '"); });
    REQUIRE(said.size() == needed.words.size());
    for (std::size_t i = 0; i < said.size(); ++i) CHECK(said[i].ends_with(needed.words[i]));
  }
}

TEST_CASE("every key of another kind is refused with the kinds that have it") {
  for (const ModelKind& kind : every_kind())
    for (const ModelKind& other : every_kind())
      for (const std::string_view key : keys_of(other)) {
        if (std::ranges::count(keys_of(kind), key) != 0) continue;
        const std::vector<std::string> said =
            problems(fmt::format("members: [{{name: a, model: {{kind: {}, {}: x}}}}]\n", kind_name(kind), key));
        const auto refusal = std::ranges::find_if(said, [&](const std::string& line) {
          return contains(line, fmt::format("'{}' belongs to ", key)) &&
                 contains(line, fmt::format(", not to {}", kind_name(kind))) && contains(line, kind_name(other));
        });
        CAPTURE(std::string(key));
        CHECK(refusal != said.end());
      }
}

std::string page(const char* name) {
  std::ostringstream text;
  text << std::ifstream(test::in_sources("docs") / name).rdbuf();
  REQUIRE(text);
  return text.str();
}

/// The rows of a page's tables.
std::vector<std::string> rows(const std::string& text) {
  std::vector<std::string> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("| ")) rows.push_back(line);
  return rows;
}

/// The text below a heading, up to the next one.
std::string section(const std::string& text, const std::string& heading) {
  const std::size_t at = text.find("\n" + heading + "\n");
  return at == text.npos ? "" : text.substr(at, text.find("\n#", at + 1) - at);
}

TEST_CASE("the page about models has every kind in its table") {
  const std::vector<std::string> table = rows(page("models.md"));
  for (const ModelKind& kind : every_kind()) {
    CAPTURE(std::string(kind_name(kind)));
    CHECK(std::ranges::any_of(table, [&](const std::string& row) {
      return contains(row.substr(0, row.find('|', 1)), fmt::format("`{}`", kind_name(kind)));
    }));
  }
}

TEST_CASE("the page about the configuration has every step with its keys") {
  const std::vector<std::string> table = rows(section(page("configuration.md"), "### Steps"));
  for (const Step& step : every_step()) {
    const std::string name = fmt::format("| `{}` |", step_name(step));
    CAPTURE(name);
    const auto row = std::ranges::find_if(table, [&](const std::string& one) { return one.starts_with(name); });
    REQUIRE(row != table.end());
    for_each_step_field(step, [&](std::string_view key, const auto&, const auto&) {
      const std::string cell = fmt::format("`{}`", key);
      CAPTURE(cell);
      auto line = row;
      while (line != table.end() && (line == row || line->starts_with("| | ")) && !contains(*line, cell)) ++line;
      CHECK((line != table.end() && (line == row || line->starts_with("| | "))));
    });
  }
}

TEST_CASE("the page about the configuration has every key of every kind") {
  const std::string text = page("configuration.md");
  for (const ModelKind& kind : every_kind()) {
    const std::string name = fmt::format("`{}`", kind_name(kind));
    const std::vector<std::string> common = rows(section(text, "### `model`"));
    const std::vector<std::string> own = rows(section(text, "### " + name));
    for (const std::string_view key : keys_of(kind)) {
      const std::string cell = fmt::format("| `{}` |", key);
      CAPTURE(name);
      CAPTURE(cell);
      const bool in_common = std::ranges::any_of(
          common, [&](const std::string& row) { return contains(row, name) && contains(row, cell); });
      CHECK((in_common || std::ranges::any_of(own, [&](const std::string& row) { return row.starts_with(cell); })));
    }
  }
}

}  // namespace
}  // namespace tutti::test
