#include "config/rules.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "config/checks.hpp"
#include "config/reader.hpp"

namespace tutti::config {
namespace {

std::vector<std::string> parts_of(std::string_view list) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    parts.emplace_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// The members as check_rule() needs them: they were found sound when they were read.
std::vector<ReadMember> sound(const std::vector<MemberSpec>& members, const SourcePosition& position) {
  std::vector<ReadMember> all;
  for (const MemberSpec& member : members) all.push_back({.spec = member, .position = position, .sound = true});
  return all;
}

CombineSpec with_rule(const EnsembleSpec& spec, CombineRule rule) {
  CombineSpec combine = spec.combine;
  combine.rule = rule;
  if (rule != CombineRule::weighted) combine.normalize = true;
  const bool has_heads =
      std::any_of(spec.tasks.begin(), spec.tasks.end(), [](const TaskSpec& task) { return !task.head.empty(); });
  if (has_heads && needs_classes(rule)) combine.over = OutputKind::probabilities;
  return combine;
}

}  // namespace

bool needs_classes(CombineRule rule) {
  return rule == CombineRule::vote || rule == CombineRule::most_confident || rule == CombineRule::geometric_mean;
}

std::vector<CombineSpec> read_rules(std::string_view list, const EnsembleSpec& spec) {
  const SourcePosition position{"command line: --rules"};
  std::vector<std::string> names;
  for (const auto& entry : enum_names(CombineRule{}))
    if (entry.value != CombineRule::none) names.emplace_back(entry.name);
  Violations violations;
  std::vector<CombineSpec> rules;
  for (const std::string& word : parts_of(list)) {
    const auto rule = from_name<CombineRule>(word);
    if (rule == CombineRule::none) {
      violations.add(position, "rule none combines nothing; each member is evaluated separately anyway");
      continue;
    }
    if (!rule) {
      violations.add(position, fmt::format("a rule is {}, not '{}'{}", one_of(names), word, did_you_mean(word, names)));
      continue;
    }
    if (std::any_of(rules.begin(), rules.end(), [&](const CombineSpec& other) { return other.rule == *rule; })) {
      violations.add(position, fmt::format("rule {} is named twice", word));
      continue;
    }
    rules.push_back(with_rule(spec, *rule));
    check_rule(sound(spec.members, position), rules.back(), position, violations);
  }
  violations.raise("--rules");
  return rules;
}

CombineSpec checked_rule(const EnsembleSpec& spec) {
  const SourcePosition position{"combine"};
  Violations violations;
  check_rule(sound(spec.members, position), spec.combine, position, violations);
  violations.raise("the weights");
  return spec.combine;
}

void set_weights(std::string_view list, EnsembleSpec& spec) {
  const std::vector<std::string> parts = parts_of(list);
  if (parts.size() != spec.members.size())
    throw Error(ErrorKind::usage,
                fmt::format("--weights lists {} for {}", counted(parts.size(), "weight"),
                            counted(spec.members.size(), "member")),
                {}, "give one number per member, in their order: --weights 1,0.5,2");
  for (std::size_t rank = 0; rank < parts.size(); ++rank) {
    const std::string& text = parts[rank];
    double value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc() || end != text.data() + text.size() || !std::isfinite(static_cast<float>(value)))
      throw Error(ErrorKind::usage, fmt::format("--weights: '{}' is not a number that fits float32", text), {},
                  "give one number per member, in their order: --weights 1,0.5,2");
    spec.members[rank].weight = value;
  }
}

}  // namespace tutti::config
