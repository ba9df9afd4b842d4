#include "config/cascade.hpp"

#include <algorithm>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/counted.hpp"
#include "config/ranks.hpp"
#include "config/reader.hpp"

namespace tutti::config {
namespace {

constexpr NumberRule kShare{"a number above 0 and at most 1", [](double value) { return value > 0 && value <= 1; }};
constexpr NumberRule kEntropy{"a number from 0 up", [](double value) { return value >= 0; }};

void read_when(const Tree& tree, CascadeStep& step, Violations& violations) {
  Fields fields(tree, "'when'", violations);
  std::size_t given = 0;
  for (const auto& measure : enum_names(Doubt{})) {
    if (fields.find(measure.name) == nullptr) continue;
    ++given;
    step.when = measure.value;
    fields.number(measure.name, step.threshold, measure.value == Doubt::entropy_above ? kEntropy : kShare);
  }
  fields.finish();
  if (given != 1 && tree.kind == Tree::Kind::map)
    violations.add(tree.position, fmt::format("'when' must say one of confidence_below, margin_below and "
                                              "entropy_above, such as {{confidence_below: 0.9}}; it says {}",
                                              given == 0 ? "none" : "several"));
}

CascadeStep read_step(const Tree& tree, const std::vector<ReadMember>& members, Violations& violations) {
  CascadeStep step;
  Fields fields(tree, "an entry of 'cascade'", violations);
  if (const Tree* after = fields.find("after"); after != nullptr) {
    step.after = read_ranks(*after, "after", members, violations);
    std::ranges::sort(step.after);
  }
  if (const Tree* when = fields.require("when", "such as {confidence_below: 0.9}"); when != nullptr)
    read_when(*when, step, violations);
  if (const Tree* then = fields.require("then", "the members that are asked for doubtful samples"); then != nullptr) {
    step.then = read_ranks(*then, "then", members, violations);
    std::ranges::sort(step.then);
  }
  fields.finish();
  return step;
}

/// By rank, the number of the step, counted from 1, that first asks the member; 0: it is asked at once.
std::vector<std::size_t> first_steps(const std::vector<CascadeStep>& steps, std::size_t members) {
  std::vector<std::size_t> first(members, 0);
  for (std::size_t s = steps.size(); s-- > 0;)
    for (const std::size_t rank : steps[s].then) first[rank] = s + 1;
  return first;
}

/// Rules that divide by the weights must be able to do that for the members that decide, and for those that see every
/// sample.
void check_weights(const EnsembleSpec& spec, const std::vector<ReadMember>& members, const SourcePosition& position,
                   Violations& violations) {
  if (spec.combine.rule != CombineRule::weighted && spec.combine.rule != CombineRule::vote) return;
  const std::vector<std::size_t> steps = first_steps(spec.cascade, members.size());
  std::vector<std::size_t> first;
  for (std::size_t rank = 0; rank < members.size(); ++rank)
    if (steps[rank] == 0) first.push_back(rank);
  const auto check = [&](const std::vector<std::size_t>& ranks) {
    double sum = 0;
    std::vector<std::string> names;
    for (const std::size_t rank : ranks) {
      sum += members[rank].spec.weight;
      names.push_back(members[rank].spec.name);
    }
    if (sum == 0)
      violations.add(position, fmt::format("'cascade' combines {} without the others, and their weights sum to 0; give "
                                           "one of them a 'weight' above 0",
                                           fmt::join(names, ", ")));
  };
  check(first);
  for (const CascadeStep& step : spec.cascade)
    if (step.after != first) check(step.after);
}

/// Each member is asked once, and after those that decide about it.
void check_order(std::vector<CascadeStep>& steps, const std::vector<const SourcePosition*>& positions,
                 const std::vector<ReadMember>& members, Violations& violations) {
  const auto name = [&](std::size_t rank) { return members[rank].spec.name; };
  const std::vector<std::size_t> first_step = first_steps(steps, members.size());
  for (std::size_t s = 0; s < steps.size(); ++s)
    for (const std::size_t rank : steps[s].then)
      if (first_step[rank] != s + 1)
        violations.add(*positions[s],
                       fmt::format("'cascade' asks member '{}' later twice; name it in one 'then'", name(rank)));
  if (std::ranges::none_of(first_step, [](std::size_t step) { return step == 0; })) {
    violations.add(*positions.front(),
                   "'cascade' asks every member later; leave those out of 'then' that see every "
                   "sample");
    return;
  }
  for (std::size_t s = 0; s < steps.size(); ++s) {
    for (const std::size_t rank : steps[s].after)
      if (first_step[rank] > s)
        violations.add(*positions[s],
                       fmt::format("'after' names member '{}', which is asked {}; a step can only follow members "
                                   "that are asked before it",
                                   name(rank), first_step[rank] == s + 1 ? "in this step" : "in a later step"));
    if (!steps[s].after.empty()) continue;
    for (std::size_t rank = 0; rank < members.size(); ++rank)
      if (first_step[rank] <= s) steps[s].after.push_back(rank);
  }
}

}  // namespace

std::vector<CascadeStep> read_cascade(const Tree& tree, const std::vector<ReadMember>& members,
                                      Violations& violations) {
  std::vector<CascadeStep> steps;
  std::vector<const SourcePosition*> positions;
  const std::size_t before = violations.count();
  if (tree.kind == Tree::Kind::list) {
    for (const Tree& item : tree.items) {
      steps.push_back(read_step(item, members, violations));
      positions.push_back(&item.position);
    }
  } else {
    steps.push_back(read_step(tree, members, violations));
    positions.push_back(&tree.position);
  }
  if (steps.size() > kMaxCascade)
    violations.add(tree.position,
                   fmt::format("'cascade' has {}; the most are {}", counted(steps.size(), "step"), kMaxCascade));
  if (violations.count() == before && !steps.empty()) check_order(steps, positions, members, violations);
  return violations.count() == before ? steps : std::vector<CascadeStep>{};
}

std::string_view why_not_sure(const CombineSpec& combine) {
  if (combine.rule == CombineRule::none) return "rule none combines nothing";
  if (!has_classes(combine.over)) return "there are no classes to be sure of";
  if (combine.activation == Activation::sigmoid) return "with 'activation: sigmoid' several labels may be right";
  if (combine.rule == CombineRule::sum) return "the values of rule sum are no probabilities; use mean";
  if (combine.rule == CombineRule::weighted && !combine.normalize)
    return "the values of rule weighted are no probabilities without 'normalize'";
  if (combine.over == OutputKind::logits && combine.rule != CombineRule::vote)
    return "logits do not say how sure a model is; combine over probabilities";
  return {};
}

namespace {

/// The first member of the unit that is asked in another round than its first one.
auto asked_later(const UnitSpec& unit, const std::vector<std::size_t>& round) {
  return std::ranges::find_if(unit.members,
                              [&](std::size_t rank) { return round[rank] != round[unit.members.front()]; });
}

}  // namespace

void check_cascade(const EnsembleSpec& spec, const std::vector<ReadMember>& members, const SourcePosition& position,
                   Violations& violations) {
  if (spec.cascade.empty()) return;
  if (const std::string_view why = why_not_sure(spec.combine); !why.empty())
    violations.add(position,
                   fmt::format("'cascade' needs a combination that says how sure it is of a sample: {}", why));
  if (spec.input.tiles)
    violations.add(position, "'cascade' chooses samples, and with 'tiles' these are parts of an image; leave out one");
  check_weights(spec, members, position, violations);
  for (const CascadeStep& step : spec.cascade)
    if (spec.combine.rule == CombineRule::vote && step.after.size() == 1)
      violations.add(position,
                     fmt::format("'cascade' asks whether member '{}' is sure, and the vote of one member always "
                                 "is; name several in 'after', or use rule mean",
                                 members[step.after.front()].spec.name));
  const std::vector<std::size_t> round = first_steps(spec.cascade, members.size());
  for (const UnitSpec& unit : spec.workers) {
    if (unit.mode != UnitMode::fused) continue;
    if (const auto later = asked_later(unit, round); later != unit.members.end())
      violations.add(position, fmt::format("members '{}' and '{}' are fused and so computed together, but 'cascade' "
                                           "asks one of them later; use 'mode: loop' or 'mode: threads'",
                                           members[unit.members.front()].spec.name, members[*later].spec.name));
  }
}

void leave_out_fused(EnsembleSpec& spec, std::size_t members) {
  const std::vector<std::size_t> round = first_steps(spec.cascade, members);
  for (UnitSpec& unit : spec.workers)
    if (asked_later(unit, round) != unit.members.end()) std::erase(unit.modes, UnitMode::fused);
}

}  // namespace tutti::config
