// The drawings of who computes what: text and Graphviz.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/counted.hpp"
#include "program/plan_text.hpp"

namespace tutti::program {
namespace {

/// The workers that host the same members.
struct Unit {
  std::vector<Rank> members;
  std::vector<std::string> devices;

  /// Each once.
  std::string devices_text() const {
    std::vector<std::string> different;
    for (const std::string& device : devices)
      if (std::ranges::find(different, device) == different.end()) different.push_back(device);
    return fmt::format("{}", fmt::join(different, ", "));
  }
};

std::vector<Unit> units_of(const Plan& plan) {
  std::vector<Unit> units;
  for (const WorkerPlan& worker : plan.workers) {
    const auto found = std::ranges::find(units, worker.members, &Unit::members);
    if (found == units.end())
      units.push_back({worker.members, {worker.device}});
    else
      found->devices.push_back(worker.device);
  }
  return units;
}

/// The step of the cascade that asks the member; null if it is asked for everything.
const config::CascadeStep* step_of(const Plan& plan, Rank rank) {
  const Rank member = plan.chains().chain_of(rank).back();
  for (const config::CascadeStep& step : plan.cascade)
    if (std::ranges::find(step.then, member.value()) != step.then.end()) return &step;
  return nullptr;
}

std::string when_text(const config::CascadeStep& step) {
  return fmt::format("{} {}", to_name(step.when), step.threshold);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') out += '\\';
    out += letter;
  }
  return out;
}

/// The box from which the outputs of a member or stage come: that of its last step, or its own.
std::string exit_of(const Plan& plan, Rank rank) {
  const std::size_t steps = plan.request_of(rank).steps.size();
  return steps == 0 ? fmt::format("m{}", rank.value()) : fmt::format("m{}_{}", rank.value(), steps - 1);
}

/// The boxes of its steps.
std::string step_boxes(const Plan& plan, Rank rank) {
  std::string text;
  std::string before = fmt::format("m{}", rank.value());
  const std::vector<Step>& steps = plan.request_of(rank).steps;
  for (std::size_t s = 0; s < steps.size(); ++s) {
    const std::string box = fmt::format("m{}_{}", rank.value(), s);
    text += fmt::format("    {} [shape=ellipse, label=\"{}\"];\n    {} -> {};\n", box, escaped(to_text(steps[s])),
                        before, box);
    before = box;
  }
  return text;
}

std::string box_text(const Plan& plan, const Unit& unit) {
  std::vector<std::string> names;
  for (const Rank rank : unit.members) {
    names.push_back(plan.request_of(rank).name + (step_of(plan, rank) != nullptr ? " (if in doubt)" : ""));
    const std::vector<Step>& steps = plan.request_of(rank).steps;
    for (const Step& step : steps)
      names.back() += fmt::format("{}{}", &step == steps.data() ? ", then " : ", ", step_name(step));
  }
  return fmt::format("{}: {}",
                     unit.devices.size() == 1
                         ? "a worker on " + unit.devices.front()
                         : fmt::format("{} on {}", counted(unit.devices.size(), "worker"), unit.devices_text()),
                     fmt::join(names, ", "));
}

/// The unit with the stages before it.
std::string chain_text(const Plan& plan, const Unit& last, const std::vector<Unit>& units) {
  std::vector<std::string> boxes;
  for (const Rank stage : plan.chains().chain_of(last.members.front())) {
    const auto unit = std::ranges::find_if(units, [&](const Unit& one) { return one.members.front() == stage; });
    boxes.push_back(box_text(plan, *unit));
  }
  return fmt::format("{}", fmt::join(boxes, " --> "));
}

}  // namespace

std::string graph_text(const Plan& plan) {
  const bool stages = std::ranges::any_of(plan.members, &MemberPlan::feeds);
  const bool steps =
      std::ranges::any_of(plan.members, [](const MemberPlan& member) { return !member.request.steps.empty(); });
  if (plan.one_worker_each() && plan.cascade.empty() && !stages && !steps) return {};
  std::vector<std::string> boxes;
  const std::vector<Unit> units = units_of(plan);
  for (const Unit& unit : units) {
    const MemberPlan& first = plan.members[unit.members.front().value()];
    if (first.feeds) continue;
    boxes.push_back(first.fed_by ? chain_text(plan, unit, units) : box_text(plan, unit));
  }
  std::size_t longest = 0;
  for (const std::string& box : boxes) longest = std::max(longest, box.size());
  std::string text;
  for (std::size_t b = 0; b < boxes.size(); ++b)
    text += fmt::format("{:<11}+--> {:-<{}}--+{}\n", b == 0 ? "segments --" : "", boxes[b] + " ", longest + 1,
                        b == 0 ? fmt::format("--> {}", to_name(plan.combine.rule)) : "");
  return text;
}

std::string graph_dot(const Plan& plan, const std::string& source) {
  std::string text = "digraph tutti {\n  rankdir=LR;\n  node [shape=box];\n";
  text += fmt::format("  input [shape=folder, label=\"{}\"];\n", escaped(source));
  text += fmt::format("  combine [shape=ellipse, label=\"{}{}\"];\n", to_name(plan.combine.rule),
                      plan.quorum ? fmt::format(" of {} or more", plan.quorum->members.value_or(1)) : "");
  std::size_t number = 0;
  for (const Unit& unit : units_of(plan)) {
    text += fmt::format("  subgraph cluster_{} {{\n    label=\"{} on {}\";\n", number++,
                        counted(unit.devices.size(), "worker"), escaped(unit.devices_text()));
    for (const Rank rank : unit.members)
      text += fmt::format("    m{} [label=\"{}\\n{}\"];\n", rank.value(), escaped(plan.request_of(rank).name),
                          kind_name(plan.request_of(rank).model));
    for (const Rank rank : unit.members) text += step_boxes(plan, rank);
    text += "  }\n";
  }
  for (const Rank rank : IdRange<Rank>(plan.members.size())) {
    const MemberPlan& member = plan.members[rank.value()];
    if (member.fed_by)
      text += fmt::format("  {} -> m{};\n", exit_of(plan, *member.fed_by), rank.value());
    else if (step_of(plan, rank) == nullptr)
      text += fmt::format("  input -> m{};\n", rank.value());
    if (!member.feeds) text += fmt::format("  {} -> combine;\n", exit_of(plan, rank));
  }
  for (std::size_t s = 0; s < plan.cascade.size(); ++s) {
    text += fmt::format("  step{} [shape=diamond, label=\"{}\"];\n", s, when_text(plan.cascade[s]));
    for (const std::size_t rank : plan.cascade[s].after)
      text += fmt::format("  {} -> step{};\n", exit_of(plan, Rank(rank)), s);
    for (const std::size_t rank : plan.cascade[s].then)
      text += fmt::format("  step{} -> m{};\n", s, plan.chains().chain_of(Rank(rank)).front().value());
  }
  return text + "}\n";
}

}  // namespace tutti::program
