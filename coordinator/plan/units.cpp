#include "coordinator/plan/units.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/check.hpp"
#include "common/counted.hpp"
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

}  // namespace

std::vector<config::UnitSpec> units_of(const config::EnsembleSpec& spec, bool training) {
  std::vector<config::UnitSpec> units;
  std::vector<bool> named(spec.members.size());
  if (!training) units = spec.workers;
  for (const config::UnitSpec& unit : units)
    for (const std::size_t rank : unit.members) named[rank] = true;
  for (std::size_t rank = 0; rank < named.size(); ++rank)
    if (!named[rank]) units.push_back({.members = {rank}});
  std::ranges::sort(units, {}, [](const config::UnitSpec& unit) { return std::ranges::min(unit.members); });
  return units;
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

const WorkerPlan* Plan::first_forked() const {
  const auto found =
      std::find_if(workers.begin(), workers.end(), [](const WorkerPlan& worker) { return worker.forked; });
  return found == workers.end() ? nullptr : &*found;
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
  constexpr std::size_t kMostNamed = 3;
  std::string name = request_of(worker.members.front()).name;
  if (worker.members.size() > kMostNamed) return fmt::format("{}+{} more", name, worker.members.size() - 1);
  for (std::size_t seat = 1; seat < worker.members.size(); ++seat)
    name += fmt::format("+{}", request_of(worker.members[seat]).name);
  return name;
}

}  // namespace tutti
