#include "coordinator/plan/units.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/check.hpp"
#include "coordinator/plan/plan.hpp"

namespace tutti {

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
