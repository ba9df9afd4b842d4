#include "config/reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "common/nearest.hpp"
#include "config/usual_names.hpp"

namespace tutti::config {
namespace {

/// The words of YAML 1.1, in the three spellings that it allows.
std::optional<bool> boolean_of(std::string_view word) {
  for (const std::string_view yes : {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
    if (word == yes) return true;
  for (const std::string_view no : {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
    if (word == no) return false;
  return std::nullopt;
}

bool is_plain_scalar(const Tree& tree) { return tree.kind == Tree::Kind::scalar && !tree.quoted; }

/// Where the keys of this map are noted, if they are.
ReadMap* noted_map(const Tree& tree, std::string_view what, Violations& violations) {
  if (violations.maps() == nullptr) return nullptr;
  ReadMap& map = violations.maps()->emplace_back(ReadMap{std::string(what), {}});
  for (const Tree::Entry& entry : tree.entries)
    if (entry.value.kind == Tree::Kind::scalar) map.words.emplace(entry.key, entry.value.scalar);
  return &map;
}

}  // namespace

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
  const std::string usual = usual_name(word, candidates);
  const std::string near = usual.empty() ? nearest(word, candidates) : usual;
  return near.empty() ? "" : fmt::format("; did you mean '{}'?", near);
}

std::string one_of(std::span<const std::string> names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + names[i];
  return text;
}

std::optional<std::uint64_t> read_whole(const Tree& tree, std::string_view what, std::uint64_t least,
                                        std::uint64_t most, Violations& violations) {
  std::uint64_t value = 0;
  const std::string& text = tree.scalar;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_whole = is_plain_scalar(tree) && !text.empty() && end == text.data() + text.size();
  const bool too_large = is_whole && (code == std::errc::result_out_of_range || value > most);
  if (is_whole && !too_large && code == std::errc() && value >= least) return value;
  const std::string bound = too_large ? fmt::format("at most {}", most) : fmt::format("at least {}", least);
  violations.add(tree.position, fmt::format("{} must be a whole number of {}, not {}", what, bound, describe(tree)));
  return std::nullopt;
}

std::optional<double> read_number(const Tree& tree, std::string_view what, const NumberRule& rule,
                                  Violations& violations) {
  double value = 0;
  const std::string& text = tree.scalar;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (is_plain_scalar(tree) && code == std::errc() && end == text.data() + text.size() && std::isfinite(value) &&
      rule.accept(value))
    return value;
  violations.add(tree.position, fmt::format("{} must be {}, not {}", what, rule.wanted, describe(tree)));
  return std::nullopt;
}

namespace {

std::optional<std::uint64_t> bytes_in(std::string_view text) {
  struct Unit {
    std::string_view name;
    double bytes;
  };
  static constexpr std::array kUnits{Unit{"B", 1},        Unit{"kB", 1e3},     Unit{"MB", 1e6},
                                     Unit{"GB", 1e9},     Unit{"TB", 1e12},    Unit{"KiB", 0x1p10},
                                     Unit{"MiB", 0x1p20}, Unit{"GiB", 0x1p30}, Unit{"TiB", 0x1p40}};
  double number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc()) return std::nullopt;
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));
  const auto found = std::ranges::find(kUnits, unit, &Unit::name);
  constexpr double kMost = 0x1p60;
  if (found == kUnits.end() || !(number * found->bytes >= 1) || number * found->bytes > kMost) return std::nullopt;
  return static_cast<std::uint64_t>(number * found->bytes);
}

}  // namespace

Fields::Fields(const Tree& tree, std::string_view what, Violations& violations)
    : tree_(tree), what_(what), violations_(violations), noted_(noted_map(tree, what, violations)) {
  if (tree.kind != Tree::Kind::map)
    violations_.add(tree.position, fmt::format("{} must be a map of keys and values, not {}", what, describe(tree)));
}

void Fields::note(std::string_view key, KeyForm form, bool required) {
  if (noted_ != nullptr) noted_->keys.push_back({std::string(key), std::move(form), required});
}

std::string Fields::quote(std::string_view key) { return fmt::format("'{}'", key); }

void Fields::must_be(std::string_view key, std::string_view wanted, const Tree& tree) {
  violations_.add(tree.position, fmt::format("'{}' must be {}, not {}", key, wanted, describe(tree)));
}

const Tree* Fields::find(std::string_view key) {
  note(key, {});
  known_.emplace_back(key);
  const Tree* tree = tree_.find(key);
  if (tree == nullptr || tree->kind != Tree::Kind::null) return tree;
  if (tree->blank)
    violations_.add(tree->position, fmt::format("'{}' has no value; write one, or null for the default", key));
  return nullptr;
}

const Tree* Fields::require(std::string_view key, std::string_view reason) {
  const std::size_t before = violations_.count();
  note(key, {}, true);
  const Tree* tree = find(key);
  if (tree == nullptr && tree_.kind == Tree::Kind::map && violations_.count() == before)
    violations_.add(tree_.position, fmt::format("{} needs '{}', {}", what_, key, reason));
  return tree;
}

const SourcePosition& Fields::position_of(std::string_view key) const {
  const Tree* tree = tree_.find(key);
  return tree == nullptr ? tree_.position : tree->position;
}

void Fields::number(std::string_view key, double& out, const NumberRule& rule) {
  note(key, {.kind = KeyForm::Kind::number, .may_be_negative = rule.accept(-1), .may_be_zero = rule.accept(0)});
  if (const Tree* tree = find(key); tree != nullptr)
    if (const auto value = read_number(*tree, quote(key), rule, violations_); value) out = *value;
}

void Fields::bytes(std::string_view key, std::uint64_t& out) {
  note(key, {.kind = KeyForm::Kind::text});
  const Tree* tree = find(key);
  if (tree == nullptr) return;
  if (const auto bytes = tree->kind == Tree::Kind::scalar ? bytes_in(tree->scalar) : std::nullopt)
    out = *bytes;
  else
    must_be(key, "a size of memory with its unit, such as 2 GB or 512 MiB", *tree);
}

void Fields::boolean(std::string_view key, bool& out) {
  note(key, {.kind = KeyForm::Kind::boolean});
  const Tree* tree = find(key);
  if (tree == nullptr) return;
  // PyYAML writes the texts on and off in quotes, because they are booleans without them.
  const bool is_switch = tree->is_word("on") || tree->is_word("off");
  const auto value = is_plain_scalar(*tree) || is_switch ? boolean_of(tree->scalar) : std::nullopt;
  if (value)
    out = *value;
  else
    must_be(key, "true or false", *tree);
}

void Fields::text(std::string_view key, std::string& out) {
  note(key, {.kind = KeyForm::Kind::text});
  const Tree* tree = find(key);
  if (tree == nullptr) return;
  if (tree->kind == Tree::Kind::scalar && !tree->scalar.empty())
    out = tree->scalar;
  else
    must_be(key, "text", *tree);
}

void Fields::path(std::string_view key, std::filesystem::path& out) {
  std::string read;
  text(key, read);
  if (!read.empty()) out = read;
}

std::optional<std::string> Fields::one_of_words(std::string_view key, std::span<const std::string> names) {
  note(key, {.kind = KeyForm::Kind::words, .words = {names.begin(), names.end()}});
  const Tree* tree = find(key);
  if (tree == nullptr) return std::nullopt;
  const bool is_word = tree->kind == Tree::Kind::scalar;
  if (is_word && std::find(names.begin(), names.end(), tree->scalar) != names.end()) return tree->scalar;
  const std::string hint = is_word ? did_you_mean(tree->scalar, names) : "";
  violations_.add(tree->position, fmt::format("'{}' must be {}, not {}{}", key, one_of(names), describe(*tree), hint));
  return std::nullopt;
}

void Fields::refuse(std::string_view key, std::string_view reason) {
  if (find(key) != nullptr) violations_.add(tree_.find_entry(key)->key_position, std::string(reason));
  // Do not suggest it for a misspelled key: it would be rejected as well.
  refused_.emplace_back(key);
  known_.pop_back();
  if (noted_ != nullptr) noted_->keys.pop_back();
}

void Fields::finish() {
  for (const Tree::Entry& entry : tree_.entries) {
    if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
    if (std::find(refused_.begin(), refused_.end(), entry.key) != refused_.end()) continue;
    std::string hint = did_you_mean(entry.key, known_);
    if (usual_name(entry.key, known_).empty())
      if (const std::string_view elsewhere = place_of_usual_name(entry.key); !elsewhere.empty()) hint = elsewhere;
    // In {rule:vote}, YAML reads one key without a value.
    const std::size_t colon = entry.key.find(':');
    if (colon != entry.key.npos && entry.value.kind == Tree::Kind::null)
      hint = fmt::format("; write a blank after the colon: {}: {}", one_line(entry.key.substr(0, colon)),
                         one_line(entry.key.substr(colon + 1)));
    violations_.add(entry.key_position, fmt::format("unknown key '{}'{}", one_line(entry.key), hint));
  }
}

}  // namespace tutti::config
