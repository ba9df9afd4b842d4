#include "coordinator/plan/units.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/check.hpp"
#include "common/counted.hpp"
#include "common/wire/rows.hpp"
#include "config/shards.hpp"
#include "config/stages.hpp"
#include "config/workers.hpp"

namespace tutti {
namespace {

/// Of a unit whose members are assigned one device.
WorkerPlan worker_plan(const config::UnitSpec& unit, const Placement& placement) {
  WorkerPlan worker;
  for (const std::size_t rank : unit.members) worker.members.emplace_back(rank);
  worker.mode = unit.mode;
  worker.device = placement.device;
  worker.cores = placement.cores;
  worker.cuda = placement.cuda;
  worker.environment = placement.environment;
  return worker;
}

/// Where each of the unit's replicas goes. If they share a device of several cores, each gets its part of them as far
/// as these can be divided.
std::vector<Placement> place_replicas(const config::UnitSpec& unit, config::MemberSpec member, const Placement& placed,
                                      const Machine& machine) {
  std::vector<Placement> placements;
  for (const config::Device& device : unit.devices) {
    member.device = device;
    placements.push_back(place(member, machine));
  }
  if (!placements.empty()) return placements;
  placements.assign(unit.replicas, placed);
  const std::size_t share = placed.cores.size() / unit.replicas;
  if (unit.replicas == 1 || share == 0 || placed.cores.size() % unit.replicas != 0) return placements;
  for (std::size_t r = 0; r < placements.size(); ++r) {
    const auto first = placed.cores.begin() + static_cast<std::ptrdiff_t>(r * share);
    placements[r].cores.assign(first, first + static_cast<std::ptrdiff_t>(share));
    placements[r].device = config::to_text(config::CpuDevice{placements[r].cores});
  }
  return placements;
}

/// Members learn in one process, and each on its own: a fused network would change the bits of their weights.
void make_learn(config::UnitSpec& unit) {
  unit.replicas = 1;
  if (!unit.devices.empty()) unit.devices.resize(1);
  if (unit.mode == UnitMode::fused) unit.mode = UnitMode::loop;
  unit.tried = {};
}

}  // namespace

std::vector<Part> parts_of(const config::EnsembleSpec& spec) {
  std::vector<Part> parts;
  for (const config::MemberSpec& member : spec.members) parts.push_back({member});
  for (config::MemberSpec& stage : config::stages_before(spec.members)) parts.push_back({std::move(stage)});
  std::size_t next = spec.members.size();
  for (std::size_t rank = 0; rank < spec.members.size(); ++rank) {
    const config::MemberSpec& member = spec.members[rank];
    std::optional<Rank> before;
    const std::vector<std::uint32_t> rows = config::rows_of_stages(member);
    for (std::size_t s = 0; s < member.before.size(); ++s, ++next) {
      parts[next].stage_of = member.name;
      parts[next].fed_by = before;
      parts[next].feeds = true;
      parts[next].fed_rows = rows[s];
      const auto fixed = facts_of(parts[next].spec.model.kind).output;
      parts[next].spec.output = fixed ? fixed->kind : OutputKind::values;  // passed on as they are
      before = Rank(next);
    }
    parts[rank].fed_by = before;
    parts[rank].fed_rows = rows.back();
    if (!before) continue;
    parts[rank].stage_of = member.name;
    parts[rank].spec.name = config::stage_name(member, member.before.size());
  }
  return parts;
}

void refuse_training_stages(const config::EnsembleSpec& spec) {
  for (const config::MemberSpec& member : spec.members)
    if (config::has_stages(member))
      throw Error(ErrorKind::usage,
                  fmt::format("{} has '{}', and is not trained", member.name, config::chain_key(member)), {},
                  "train the models of its stages by themselves, or leave it out");
}

std::vector<config::UnitSpec> units_of(const config::EnsembleSpec& spec, bool training) {
  std::vector<config::UnitSpec> units = spec.workers;
  const std::vector<Part> parts = parts_of(spec);
  std::vector<bool> named(parts.size());
  for (const config::UnitSpec& unit : units)
    for (const std::size_t rank : unit.members) named[rank] = true;
  for (std::size_t rank = 0; rank < named.size(); ++rank)
    if (!named[rank]) {
      units.push_back(parts[rank].spec.last);
      units.back().members = {rank};
    }
  if (training) std::ranges::for_each(units, make_learn);
  std::ranges::sort(units, {}, [](const config::UnitSpec& unit) { return std::ranges::min(unit.members); });
  return units;
}

GpuSearch gpus_wanted(const config::EnsembleSpec& spec) {
  const auto on_cpu = [](const config::Device& device) { return std::holds_alternative<config::CpuDevice>(device); };
  const auto all_on_cpu = [&](const std::vector<config::Device>& devices) {
    return std::ranges::all_of(devices, on_cpu);
  };
  const bool none = std::ranges::all_of(parts_of(spec),
                                        [&](const Part& part) {
                                          return on_cpu(part.spec.device) && all_on_cpu(part.spec.last.devices);
                                        }) &&
                    std::ranges::all_of(spec.workers, all_on_cpu, &config::UnitSpec::devices);
  return none ? GpuSearch::no : GpuSearch::yes;
}

void place_unit(Plan& plan, const config::UnitSpec& unit, const config::MemberSpec& first, const Placement& placed,
                const Machine& machine, std::vector<std::string>& problems) {
  const std::vector<Placement> placements = place_replicas(unit, first, placed, machine);
  const bool alike = std::ranges::all_of(placements, [&](const Placement& placement) {
    return placement.cuda == placements.front().cuda && placement.gpu == placements.front().gpu;
  });
  for (const std::size_t rank : unit.members) plan.members[rank].modes = unit.tried.forms;
  for (const Placement& placement : placements) {
    if (!placement.problem.empty() && placement.problem != placed.problem) problems.push_back(placement.problem);
    if (unit.same_bits && placement.gpu != placements.front().gpu)
      problems.push_back(
          fmt::format("{}: its replicas are on {} and on {}, which compute different last bits; "
                      "'same_bits: off' accepts that",
                      first.name, placements.front().device, placement.device));
    plan.workers.push_back(worker_plan(unit, placement));
    plan.workers.back().same_bits = alike;
  }
  // Batches and bounds are for the smaller device then.
  if (!alike)
    for (const std::size_t rank : unit.members) plan.members[rank].request.cuda = false;
  if (const std::uint32_t enough = config::slots_for({unit}); plan.arena.slots < enough)
    plan.notes.push_back(
        fmt::format("replicas of {} will wait for each other: there are {} of them and {}; 'slots: {}' "
                    "keeps them busy",
                    first.name, unit.replicas, counted(plan.arena.slots, "slot"), enough));
}

std::uint32_t MemberPlan::rows() const { return rows_behind(request.steps, request.fed_rows); }

void tell_first_widths(Plan& plan) {
  const Chains chains = plan.chains();
  for (const Rank rank : IdRange<Rank>(plan.members.size())) {
    MemberRequest& request = plan.members[rank.value()].request;
    auto* const shard = std::get_if<MlpModel>(&request.model);
    if (shard == nullptr || shard->part.from == 0 || !request.weights.empty()) continue;
    const MemberRequest& front = plan.request_of(chains.chain_of(rank).front());
    const auto* const first = std::get_if<MlpModel>(&front.model);
    if (first != nullptr && first->layers == shard->layers && first->part.from == 0)
      shard->part.inputs = front.seen().elements();
  }
}

bool Plan::forks(const WorkerPlan& added) const {
  const WorkerPlan* const first = first_forked();
  return added.forked && first != nullptr && first->environment == added.environment;
}

const WorkerPlan* Plan::first_forked() const {
  const auto found =
      std::find_if(workers.begin(), workers.end(), [](const WorkerPlan& worker) { return worker.forked; });
  return found == workers.end() ? nullptr : &*found;
}

Chains Plan::chains() const {
  ByRank<std::optional<Rank>> fed_by;
  ByRank<bool> reads_rows;
  for (const MemberPlan& member : members) {
    fed_by.push_back(member.fed_by);
    reads_rows.push_back(member.request.fed_rows > 0);
  }
  return Chains(std::move(fed_by), std::move(reads_rows));
}

std::size_t Plan::combined() const {
  return static_cast<std::size_t>(std::ranges::count(members, false, &MemberPlan::feeds));
}

std::vector<Rank> Plan::in_order() const {
  const Chains stages = chains();
  std::vector<Rank> order;
  for (const Rank rank : IdRange<Rank>(combined()))
    for (const Rank stage : stages.chain_of(rank)) order.push_back(stage);
  return order;
}

bool Plan::feeds_others(const WorkerPlan& worker) const {
  return std::ranges::any_of(worker.members, [this](Rank rank) { return members[rank.value()].feeds; });
}

Hosting Plan::hosting() const {
  ByWorker<std::vector<Rank>> units;
  for (const WorkerPlan& worker : workers) units.push_back(worker.members);
  return Hosting(std::move(units));
}

const WorkerPlan& Plan::host_of(Rank rank) const {
  const auto found = std::ranges::find_if(
      workers, [rank](const WorkerPlan& worker) { return std::ranges::count(worker.members, rank) > 0; });
  TUTTI_CHECK(found != workers.end(), "every member is hosted");
  return *found;
}

bool Plan::may_learn() const {
  return std::ranges::all_of(workers, [this](const WorkerPlan& worker) {
    return replicas_of(worker) == 1 && (worker.mode != UnitMode::fused || worker.members.size() == 1);
  });
}

bool Plan::one_worker_each() const {
  return std::ranges::all_of(
      workers, [this](const WorkerPlan& worker) { return worker.members.size() == 1 && replicas_of(worker) == 1; });
}

std::size_t Plan::replicas_of(const WorkerPlan& worker) const {
  return static_cast<std::size_t>(std::ranges::count(workers, worker.members, &WorkerPlan::members));
}

std::set<Library> Plan::libraries_of(const WorkerPlan& worker) const {
  std::set<Library> libraries;
  for (const Rank rank : worker.members) libraries.insert(facts_of(request_of(rank).model).library);
  return libraries;
}

std::string Plan::name_of(const WorkerPlan& worker) const {
  std::vector<std::string> names;
  for (const Rank rank : worker.members) names.push_back(request_of(rank).name);
  return unit_name(names);
}

std::string unit_name(const std::vector<std::string>& members) {
  constexpr std::size_t kMostNamed = 3;
  std::string name = members.front();
  if (members.size() > kMostNamed) return fmt::format("{}+{} more", name, members.size() - 1);
  for (std::size_t seat = 1; seat < members.size(); ++seat) name += fmt::format("+{}", members[seat]);
  return name;
}

}  // namespace tutti
