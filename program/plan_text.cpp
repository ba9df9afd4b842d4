#include "program/plan_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <utility>
#include <vector>

#include "common/bytes_text.hpp"
#include "common/counted.hpp"
#include "common/resample.hpp"
#include "config/candidates.hpp"
#include "config/effective.hpp"
#include "config/shards.hpp"
#include "coordinator/decide/batch_search.hpp"
#include "coordinator/decide/candidates.hpp"

namespace tutti::program {
namespace {

/// The batches of all members: GPUs try larger ones than CPUs.
std::string batches_line(const Plan& plan) {
  std::uint32_t most = 1;
  for (const MemberPlan& member : plan.members) most = std::max(most, member.most_batch_images);
  return fmt::format("batches  measured at the start: {} images\n",
                     fmt::join(batch_candidates(plan.arena.images, most), ", "));
}

/// What the sum of the bounds leaves out, because nothing tells it before the models run.
std::string not_counted(const Plan& plan) {
  std::vector<std::string> computing;
  const bool on_gpu = std::ranges::any_of(plan.workers, &WorkerPlan::cuda);
  for (const MemberPlan& member : plan.members) {
    const bool measured = plan.batches == Batches::to_measure && !member.request.cuda;
    if (facts_of(member.request.model).library != Library::none && !measured) computing.push_back(member.request.name);
  }
  std::vector<std::string> terms;
  if (!computing.empty())
    terms.push_back(fmt::format("what {} hold{} while computing ('tutti plan --measure' measures it)",
                                fmt::join(computing, ", "), computing.size() == 1 ? "s" : ""));
  if (plan.decode_threads != 0) terms.emplace_back("photographs of more than 12 million pixels");
  if (on_gpu) terms.emplace_back("the memory of GPUs");
  return fmt::format("{}", fmt::join(terms, "; "));
}

/// In which sizes the pictures of a folder are in each slot, and for whom.
std::string planes_text(const Plan& plan) {
  if (plan.input.planes.empty()) return {};
  std::string text =
      fmt::format("\n{} of each picture, which is decoded once\n", counted(plan.input.planes.size(), "plane"));
  for (std::size_t p = 0; p < plan.input.planes.size(); ++p) {
    std::vector<std::string> members;
    for (const MemberPlan& member : plan.members)
      if (!member.fed_by && member.request.takes.front().array == p) members.push_back(member.request.name);
    text += fmt::format("{:>12}  {} in all slots: {}; for {}\n",
                        bytes_text(plan.arena.slots * plan.arena.array_bytes(p)), dims_text(plan.arena.arrays[p].dims),
                        to_text(plan.input.planes[p].resize), fmt::join(members, ", "));
  }
  return text;
}

std::string_view measure_text(config::Doubt measure) {
  switch (measure) {
    case config::Doubt::confidence_below:
      return "a confidence below";
    case config::Doubt::margin_below:
      return "a margin below";
    case config::Doubt::entropy_above:
      break;
  }
  return "an entropy above";
}

/// The first worker of the same unit.
std::size_t first_of_unit(const Plan& plan, std::size_t worker) {
  const auto first = std::ranges::find(plan.workers, plan.workers[worker].members, &WorkerPlan::members);
  return static_cast<std::size_t>(first - plan.workers.begin());
}

/// The workers of the unit whose first worker this is, if there are several.
std::string replicas_text(const Plan& plan, std::size_t worker) {
  const WorkerPlan& first = plan.workers[worker];
  if (plan.replicas_of(first) == 1 || first_of_unit(plan, worker) != worker) return {};
  std::vector<std::string> devices;
  for (const WorkerPlan& other : plan.workers)
    if (other.members == first.members) devices.push_back(other.device);
  return fmt::format("{} of {}, which share its segments, on {}{}\n", counted(devices.size(), "replica"),
                     plan.name_of(first), fmt::join(devices, ", "),
                     first.same_bits ? "" : "; the last bits depend on which computes a segment ('same_bits: off')");
}

/// Which members share a worker, and which workers share segments.
std::string units_text(const Plan& plan) {
  std::string text;
  for (std::size_t w = 0; w < plan.workers.size(); ++w) {
    const WorkerPlan& worker = plan.workers[w];
    text += replicas_text(plan, w);
    if (worker.members.size() == 1 || first_of_unit(plan, w) != w) continue;
    std::vector<std::string> names;
    for (const Rank rank : worker.members) names.push_back(plan.request_of(rank).name);
    constexpr std::array kHow{"one after the other", "each in a thread of its own", "as one network"};
    const std::string_view how = kHow[static_cast<std::size_t>(worker.mode)];
    if (plan.replicas_of(worker) > 1)
      text += fmt::format("each of these for {}: {}\n", fmt::join(names, ", "), how);
    else
      text += fmt::format("one worker for {} on {}: {}\n", fmt::join(names, ", "), worker.device, how);
  }
  return text.empty() ? text : "\n" + text;
}

/// With stages, as the description calls it.
std::string member_name(const Plan& plan, Rank rank) {
  const std::string& whole = plan.members[rank.value()].stage_of;
  return whole.empty() ? plan.request_of(rank).name : whole;
}

/// Who is asked only for some samples.
std::string cascade_lines(const Plan& plan) {
  const auto names = [&](const std::vector<std::size_t>& ranks) {
    std::vector<std::string> list;
    for (const std::size_t rank : ranks) list.push_back(member_name(plan, Rank(rank)));
    return fmt::format("{}", fmt::join(list, ", "));
  };
  std::string text;
  for (const config::CascadeStep& step : plan.cascade)
    text +=
        fmt::format("{} {} asked only for samples with {} {} after {}\n", names(step.then),
                    step.then.size() == 1 ? "is" : "are", measure_text(step.when), step.threshold, names(step.after));
  return text.empty() ? text : "\n" + text;
}

/// Who is not waited for.
std::string quorum_line(const Plan& plan) {
  if (!plan.quorum) return {};
  const std::uint32_t least = plan.quorum->members.value_or(1);
  return fmt::format("\na segment is done when {} of {} answered{}; the result depends on time\n", least,
                     counted(plan.combined(), "member") + (least == 1 ? " has" : " have"),
                     plan.quorum->deadline ? fmt::format(", but not before {} s", *plan.quorum->deadline) : "");
}

/// As in YAML.
std::string input_text(const MemberInput& input) {
  const auto side = [](std::uint32_t height, std::uint32_t width) {
    return height == width ? fmt::format("{}", height) : fmt::format("[{}, {}]", height, width);
  };
  const Resize& resize = input.resize;
  std::vector<std::string> parts;
  if (resize.rule != ResizeRule::none)
    parts.push_back(fmt::format("resize: {}, rule: {}, interpolation: {}", side(resize.height, resize.width),
                                to_name(resize.rule), to_name(resize.interpolation)));
  if (resize.crop_height != 0)
    parts.push_back(fmt::format("crop: {}, crop_rounding: {}", side(resize.crop_height, resize.crop_width),
                                to_name(resize.crop_rounding)));
  if (!input.mean.empty()) parts.push_back(fmt::format("mean: [{}]", fmt::join(input.mean, ", ")));
  if (!input.std.empty()) parts.push_back(fmt::format("std: [{}]", fmt::join(input.std, ", ")));
  return fmt::format("{{{}}}", fmt::join(parts, ", "));
}

std::string members_text(const config::EnsembleSpec& spec, const config::UnitSpec& unit) {
  std::vector<std::string> names;
  for (const std::size_t rank : unit.members) names.push_back(spec.members[rank].name);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string indented(const std::string& lines) {
  std::string text;
  std::istringstream rest(lines);
  for (std::string line; std::getline(rest, line);) text += fmt::format("  {}\n", line);
  return text;
}

/// Members of which the same is to be said, in the order of the first of each.
using Alike = std::vector<std::pair<std::string, std::vector<const config::MemberSpec*>>>;

/// Those of which there is nothing to say are left out.
template <class TextOf>
Alike alike_members(const config::EnsembleSpec& spec, TextOf text_of) {
  Alike alike;
  for (const config::MemberSpec& member : spec.members) {
    const std::string text = text_of(member);
    if (text.empty()) continue;
    auto known = std::ranges::find(alike, text, &Alike::value_type::first);
    if (known == alike.end()) known = alike.insert(alike.end(), {text, {}});
    known->second.push_back(&member);
  }
  return alike;
}

std::string names_of(const std::vector<const config::MemberSpec*>& members) {
  std::vector<std::string> names;
  for (const config::MemberSpec* const member : members) names.push_back(member->name);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// What a file says for them: once if that is the same for all.
std::string models_of(const std::vector<const config::MemberSpec*>& members) {
  const std::string first = config::to_yaml(members.front()->model);
  const auto is_first = [&](const config::MemberSpec* member) { return config::to_yaml(member->model) == first; };
  if (std::ranges::all_of(members, is_first)) return indented(first);
  std::string text;
  for (const config::MemberSpec* const member : members)
    text += fmt::format("  {}\n{}", member->name, indented(indented(config::to_yaml(member->model))));
  return text;
}

}  // namespace

std::string choices_text(const config::EnsembleSpec& spec) {
  std::string text;
  const Alike alike = alike_members(spec, [](const config::MemberSpec& member) {
    std::vector<std::string> names;
    for (const ModelKind& one : member.model.candidates) names.push_back(config::candidate_name(one));
    return fmt::format("{}", fmt::join(names, ", "));
  });
  for (const auto& [forms, members] : alike)
    text += fmt::format("note: {}: the fastest of {} is chosen at the start; this is the plan for the first\n",
                        names_of(members), forms);
  for (const config::UnitSpec& unit : spec.workers) {
    if (unit.modes.empty()) continue;
    std::vector<std::string_view> modes;
    for (const UnitMode mode : unit.modes) modes.push_back(to_name(mode));
    text += fmt::format(
        "note: the worker of {}: the fastest of {} is chosen at the start; this is the plan for the first\n",
        members_text(spec, unit), fmt::join(modes, ", "));
  }
  return text;
}

std::string chosen_text(const config::EnsembleSpec& spec) {
  std::string text;
  const Alike alike = alike_members(spec, [](const config::MemberSpec& member) {
    return member.model.tried.forms.empty() ? std::string() : choice_text(member.model.tried.forms);
  });
  for (const auto& [choice, members] : alike)
    text += fmt::format("{}: {}\n{}", names_of(members), choice, models_of(members));
  for (const config::UnitSpec& unit : spec.workers)
    if (!unit.tried.forms.empty())
      text += fmt::format("the worker of {}: {}\n  mode: {}\n", members_text(spec, unit), choice_text(unit.tried.forms),
                          to_name(unit.mode));
  return text.empty() ? text : "\nchosen\n" + text;
}

std::string plan_text(const Plan& plan, const Machine& machine, const std::string& source) {
  std::string text =
      fmt::format("input    {} in segments of {}, {}\n", source, plan.arena.images, counted(plan.arena.slots, "slot"));
  text += fmt::format("machine  {} usable of {}{}, {}{}, {} available ({})\n", machine.cores.size(),
                      counted(machine.present_cores.size(), "core"),
                      machine.cpu_quota ? fmt::format(" (quota {:.2f})", *machine.cpu_quota) : "",
                      counted(machine.gpus.size(), "GPU"),
                      machine.gpus.empty() ? fmt::format(" ({})", machine.why_no_gpu) : "",
                      bytes_text(machine.memory.bytes), machine.memory.limited_by);
  if (plan.batches == Batches::to_measure) text += batches_line(plan);
  text += fmt::format("\n{:<16}  {:<12}  {:<24}  {:<10}  {:>7}  {}\n", "member", "model", "device", "cores", "threads",
                      "assigned as");
  for (const Rank rank : plan.in_order()) {
    const MemberPlan& member = plan.members[rank.value()];
    const WorkerPlan& worker = plan.host_of(rank);
    text +=
        fmt::format("{:<16}  {:<12}  {:<24}  {:<10}  {:>7}  {}\n", member.request.name, kind_name(member.request.model),
                    worker.device, worker.cores.empty() ? "any" : fmt::format("{}", fmt::join(worker.cores, ",")),
                    member.request.threads, member.assigned == "null" ? "nothing" : member.assigned);
  }
  text += units_text(plan);
  text += cascade_lines(plan);
  text += quorum_line(plan);
  if (const std::string graph = graph_text(plan); !graph.empty()) text += "\n" + graph;
  text += planes_text(plan);
  for (const MemberPlan& member : plan.members)
    for (const TakenTensor& taken : member.request.takes)
      if (taken.input && *taken.input != MemberInput{})
        text += fmt::format("input of {}: {}\n", member.request.name, input_text(*taken.input));
  for (const MemberPlan& member : plan.members)
    if (!member.request.views.empty())
      text += fmt::format("views of {}: {}, {}\n", member.request.name, to_text(member.request.views),
                          counted(passes_of(member.request.views), "prediction") + " of each image");
  for (const Rank rank : plan.in_order())
    if (const std::string part = config::part_text(plan.request_of(rank).model); !part.empty())
      text += fmt::format("shard {}: {}\n", plan.request_of(rank).name, part);
  for (const Rank rank : plan.in_order())
    if (const MemberRequest& request = plan.request_of(rank); !request.steps.empty()) {
      std::vector<std::string> steps;
      for (const Step& step : request.steps) steps.push_back(to_text(step));
      text += fmt::format("steps behind {}, in its workers: {}\n", request.name, fmt::join(steps, ", "));
    }
  for (const Rank rank : plan.in_order())
    if (const MemberRequest& request = plan.request_of(rank); request.fed_rows > 0)
      text += fmt::format("rows of {}: up to {} for each sample, in batches of {}\n", request.name, request.fed_rows,
                          request.batch_images);
  for (const MemberPlan& member : plan.members)
    if (const auto entries = entries_of(member.request.model); entries.size() > 1)
      text += fmt::format("outputs of {}: {}, joined into one row of values\n", member.request.name,
                          fmt::join(entries, ", "));
  for (const MemberPlan& member : plan.members)
    if (const auto& saved = member.request.saved)
      text += fmt::format("predictions of {}: {} of {} ({}) in {}\n", member.request.name, counted(saved->rows, "row"),
                          dims_text(saved->shape), to_name(saved->type),
                          std::get<SavedModel>(member.request.model).predictions);
  text += "\nmemory\n";
  for (const Bound& bound : plan.bounds) text += fmt::format("{:>12}  {}\n", bytes_text(bound.bytes), bound.name);
  text += fmt::format("{:>12}  in all, at least\n", bytes_text(plan.needed_bytes()));
  if (const std::string more = not_counted(plan); !more.empty()) text += fmt::format("not counted: {}\n", more);
  if (!plan.survival.empty()) text += "\nwhen a worker dies\n";
  for (const std::string& sentence : plan.survival) text += sentence + "\n";
  for (const std::string& note : plan.notes) text += fmt::format("note: {}\n", note);
  return text;
}

}  // namespace tutti::program
