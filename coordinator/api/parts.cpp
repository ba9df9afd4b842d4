// One ensemble in several places: pure values, apart from the look at the machine and at the members' files.
#include <tutti/parts.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <utility>

#include <tutti/ensemble.hpp>

#include "common/axis.hpp"
#include "common/counted.hpp"
#include "config/effective.hpp"
#include "config/spec.hpp"
#include "config/stages.hpp"
#include "coordinator/decide/accumulator.hpp"
#include "coordinator/decide/class_axis.hpp"
#include "coordinator/decide/spread.hpp"
#include "coordinator/plan/find_worker.hpp"
#include "coordinator/plan/fingerprint.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/machine.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/plan/segments.hpp"

namespace tutti {
namespace {

Spec published(config::EnsembleSpec spec) {
  spec.effective_yaml = config::to_yaml(spec);
  return Spec(std::make_shared<config::EnsembleSpec>(std::move(spec)));
}

config::EnsembleSpec with_known_segment(const Spec& spec) {
  const config::EnsembleSpec& checked = spec.checked();
  if (checked.measure_batch_images)
    throw Error(ErrorKind::usage, "'batch_images: auto' is measured in each place, and they may choose differently",
                "the last bits of predictions depend on the batch", "write a number: batch_images=32");
  if (checked.input.tiles)
    throw Error(ErrorKind::usage, "inputs that are cut into tiles cannot be predicted in several places",
                "segments then consist of tiles of several inputs, and the last bits depend on which",
                "cut the inputs before they come");
  return with_segment(checked, api_form(checked, checked.input), false);
}

void check_ranks(const config::EnsembleSpec& spec, const std::vector<std::size_t>& ranks) {
  if (ranks.empty()) throw Error(ErrorKind::usage, "a part of an ensemble needs at least one member");
  for (const std::size_t rank : ranks) {
    if (rank >= spec.members.size())
      throw Error(ErrorKind::usage, fmt::format("there is no member of rank {}", rank),
                  fmt::format("the ensemble has {} members, from 0 on", spec.members.size()));
    if (std::ranges::count(ranks, rank) > 1)
      throw Error(ErrorKind::usage, fmt::format("{} is named twice", spec.members[rank].name));
  }
}

/// The units of the members that are there, by their new ranks.
std::vector<config::UnitSpec> units_of(const config::EnsembleSpec& spec, const std::vector<std::size_t>& ranks) {
  std::vector<config::UnitSpec> units;
  for (const config::UnitSpec& whole : spec.workers) {
    config::UnitSpec unit = whole;
    unit.members.clear();
    for (const std::size_t rank : whole.members)
      if (const auto found = std::ranges::find(ranks, rank); found != ranks.end())
        unit.members.push_back(static_cast<std::size_t>(found - ranks.begin()));
    if (unit.members.empty()) continue;
    const bool fused = whole.mode == UnitMode::fused || std::ranges::count(whole.modes, UnitMode::fused) > 0;
    if (fused && unit.members.size() < whole.members.size())
      throw Error(ErrorKind::usage,
                  fmt::format("{} {} fused with other members, and cannot be separated from them",
                              spec.members[ranks[unit.members.front()]].name, whole.modes.empty() ? "is" : "may be"),
                  "the last bits of fused members depend on which ones there are",
                  "keep them in one part, or use 'mode: loop'");
    units.push_back(std::move(unit));
  }
  return units;
}

/// Throws Error(usage) if the member does not have `count` predictions, or if they do not go with those of the first,
/// and Error(failed) if they are not finite and may not be.
void check_predictions(const MemberPredictions& member, const MemberPredictions& first, std::uint64_t count,
                       const config::EnsembleSpec& spec) {
  const std::uint64_t width = elements_of(member.shape);
  if (member.width != width || member.values.size() != count * width)
    throw Error(ErrorKind::usage, fmt::format("{} does not have {}", member.name, counted(count, "prediction")),
                fmt::format("it has {}, and each prediction has {}", counted(member.values.size(), "value"), width));
  if (spec.combine.rule != CombineRule::none && member.shape != first.shape)
    throw Error(ErrorKind::usage, fmt::format("{} and {} cannot be combined", first.name, member.name),
                fmt::format("their predictions are {} and {}", dims_text(first.shape), dims_text(member.shape)));
  if (spec.combine.rule != CombineRule::none && width == 0)
    throw Error(ErrorKind::usage, fmt::format("the predictions of {} have no values to combine", member.name),
                fmt::format("each is {}", dims_text(member.shape)),
                "use the rule 'none', or models that output numbers");
  const auto bad = std::ranges::find_if_not(member.values, [](float value) { return std::isfinite(value); });
  if (spec.failure.on_nan == OnNan::allow || bad == member.values.end()) return;
  throw Error(ErrorKind::failed,
              fmt::format("{} has NaN or infinity for sample {}", member.name,
                          static_cast<std::uint64_t>(bad - member.values.begin()) / width),
              "a member that did not predict has NaN, too", "let such values into the result with 'on_nan: allow'");
}

/// The members' predictions in rank order. Throws Error(usage) if they are not those of the description.
std::vector<MemberPredictions> in_rank_order(const config::EnsembleSpec& spec, std::uint64_t count,
                                             std::vector<MemberPredictions> members) {
  std::vector<std::string> given;
  std::vector<std::string> wanted;
  for (const MemberPredictions& member : members) given.push_back(member.name);
  for (const config::MemberSpec& member : spec.members) wanted.push_back(member.name);
  if (!std::ranges::is_permutation(given, wanted))
    throw Error(ErrorKind::usage, "the predictions are not those of the ensemble's members",
                fmt::format("given: {}; members: {}", fmt::join(given, ", "), fmt::join(wanted, ", ")));
  std::vector<MemberPredictions> ordered;
  for (const std::string& name : wanted) {
    ordered.push_back(std::move(*std::ranges::find(members, name, &MemberPredictions::name)));
    check_predictions(ordered.back(), ordered.front(), count, spec);
  }
  return ordered;
}

/// A worker would say so, too, but only where it starts.
void check_files(const config::EnsembleSpec& spec) {
  for (const config::NamedModel& one : config::models_of(spec.members))
    for (const NamedPath& named : paths_of(one.model.kind)) {
      std::error_code unreadable;
      if (std::filesystem::exists(named.path, unreadable)) continue;
      throw Error(ErrorKind::usage, fmt::format("{}: could not read '{}'", one.name, named.path),
                  fmt::format("the current folder is {}", std::filesystem::current_path(unreadable).string()),
                  "copy the file there, or name one that is there");
    }
}

}  // namespace

std::vector<std::string> member_names(const Spec& spec) {
  std::vector<std::string> names;
  for (const config::MemberSpec& member : spec.checked().members) names.push_back(member.name);
  return names;
}

std::vector<NamedLayout> sample_of(const Spec& spec) {
  InputForm form = api_form(spec.checked(), spec.checked().input);
  return form.planes.empty() && !form.tiles ? std::move(form.tensors) : std::vector<NamedLayout>{};
}

std::uint32_t segment_images(const Spec& spec) { return with_known_segment(spec).segment_images; }

Spec settled(const Spec& spec) { return published(with_known_segment(spec)); }

Spec part_of(const Spec& spec, std::vector<std::size_t> ranks) {
  config::EnsembleSpec part = with_known_segment(spec);
  check_ranks(part, ranks);
  std::ranges::sort(ranks);
  for (const bool later : {!part.cascade.empty(), part.quorum.has_value()})
    if (later)
      throw Error(ErrorKind::usage, "an ensemble with a 'cascade' or a 'quorum' cannot be split",
                  "its coordinator decides by the predictions of all members which ones it asks or waits for",
                  "remove it: cascade=null quorum=null");
  part.workers = units_of(part, ranks);
  std::vector<config::MemberSpec> members;
  for (const std::size_t rank : ranks) members.push_back(part.members[rank]);
  part.members = std::move(members);
  part.combine.rule = CombineRule::none;
  part.combine.spread = false;
  part.save_members = false;
  part.masks = config::Masks::none;
  part.tasks.clear();
  part.base.reset();
  part.merge.reset();
  return published(std::move(part));
}

Predictions combine(const Spec& spec, std::uint64_t count, std::vector<MemberPredictions> members) {
  const config::EnsembleSpec& checked = spec.checked();
  const config::CombineSpec& rule = checked.combine;
  Predictions result;
  result.count = count;
  members = in_rank_order(checked, count, std::move(members));
  if (rule.rule != CombineRule::none) {
    result.shape = members.front().shape;
    result.width = members.front().width;
    const ClassAxis axis =
        rule.decides() ? ClassAxis::of(result.shape, rule.axis) : ClassAxis::of_row(elements_of(result.shape));
    std::vector<float> weights;
    for (const config::MemberSpec& member : checked.members) weights.push_back(static_cast<float>(member.weight));
    std::vector<std::span<const float>> answers;
    for (const MemberPredictions& member : members) answers.emplace_back(member.values);
    const Accumulator accumulator(rule, std::move(weights), checked.failure.on_nan);
    Accumulator::Result combined;
    if (count > 0) combined = accumulator.combine(answers, static_cast<std::uint32_t>(count), axis);
    accumulator.check_finite(combined.values, result.width, 0);
    if (rule.decides()) result.predicted_shape = without_axis(result.shape, rule.axis);
    if (rule.spread) {
      result.spread_shape = spread_shape(rule, result.shape);
      accumulator.check_finite_spread(combined.spread, elements_of(result.spread_shape), 0);
    }
    result.values = std::move(combined.values);
    result.predicted = std::move(combined.predicted);
    result.spread = std::move(combined.spread);
  }
  if (rule.rule == CombineRule::none || checked.save_members) result.members = std::move(members);
  return result;
}

std::map<std::string, std::string> fingerprint(const Spec& spec, const std::filesystem::path& worker) {
  const config::EnsembleSpec& checked = spec.checked();
  check_files(checked);
  const Machine machine = look_at_machine(find_worker(worker), gpus_wanted(checked));
  return fingerprint_of(checked, make_plan(checked, machine, api_form(checked, checked.input), {}));
}

}  // namespace tutti
