#include "coordinator/api/membership.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include <tutti/error.hpp>

#include "config/candidates.hpp"
#include "config/shards.hpp"
#include "config/stages.hpp"
#include "config/value.hpp"
#include "coordinator/plan/input.hpp"

namespace tutti {
namespace {

[[noreturn]] void reject(std::string what, std::string detail, std::string hint) {
  throw Error(ErrorKind::usage, std::move(what), std::move(detail), std::move(hint));
}

/// Takes the member at this place out of the worker that the description names for it, if it does.
void leave_worker(config::EnsembleSpec& spec, std::size_t place, const std::string& name) {
  for (config::UnitSpec& unit : spec.workers) {
    const auto seat = std::ranges::find(unit.members, place);
    if (seat != unit.members.end()) {
      const bool shared = unit.members.size() > 1;
      if (shared && unit.mode == UnitMode::fused)
        reject(fmt::format("{} cannot be removed: its worker computes it fused with others", name),
               "their last bits depend on it", "use 'mode: loop' or 'mode: threads', or make a new Ensemble");
      if (shared && (unit.replicas > 1 || unit.devices.size() > 1))
        reject(fmt::format("{} cannot be removed: it shares a worker that has replicas", name), {},
               "leave the replicas out, or make a new Ensemble");
      unit.members.erase(seat);
    }
    for (std::size_t& rank : unit.members) rank -= rank > place ? 1 : 0;
  }
  std::erase_if(spec.workers, [](const config::UnitSpec& unit) { return unit.members.empty(); });
}

bool has_saved(const config::MemberSpec& member) { return is_saved(facts_of(member.model.kind)); }

}  // namespace

void check_members_may_change(const config::EnsembleSpec& spec, const Plan& plan) {
  struct Obstacle {
    bool there;
    const char* what;
    const char* hint;
  };
  constexpr const char* kLeaveOut = "leave that out of the description, or make a new Ensemble";
  const std::array obstacles{
      Obstacle{plan.training, "was made to train", "make it without Options::training"},
      Obstacle{plan.debugging, "has a worker that is debugged", "leave Options::debug_member empty"},
      Obstacle{!spec.cascade.empty(), "has a 'cascade'", kLeaveOut},
      Obstacle{spec.quorum.has_value(), "has a 'quorum'", kLeaveOut},
      Obstacle{spec.coalesce.has_value(), "has 'coalesce'", kLeaveOut},
      Obstacle{std::ranges::any_of(spec.members, has_saved), "has a member with saved predictions", kLeaveOut}};
  for (const Obstacle& obstacle : obstacles)
    if (obstacle.there)
      reject(fmt::format("members cannot come or go: the ensemble {}", obstacle.what), {}, obstacle.hint);
}

config::EnsembleSpec with_member(const config::EnsembleSpec& now, const config::MemberSpec& member) {
  if (now.measure_batch_images)
    reject(fmt::format("{} cannot be added: the batches of this ensemble were measured at its start", member.name), {},
           "give 'batch_images' a number instead of 'auto', or make a new Ensemble");
  if (config::has_stages(member))
    reject(fmt::format("{} has '{}', and cannot be added", member.name, config::chain_key(member)), {},
           "make a new Ensemble");
  if (has_saved(member))
    reject(fmt::format("{} has saved predictions, and cannot be added", member.name), {}, "make a new Ensemble");
  if (now.input.tiles && now.combine.rule == CombineRule::none)
    reject(fmt::format("{} cannot be added: the ensemble has 'tiles' whose predictions are not combined", member.name),
           {}, "choose a rule to combine by, or make a new Ensemble");
  config::EnsembleSpec next = now;
  next.members.push_back(member);
  next = config::checked_value(next);
  if (config::leaves_choice(next))
    reject(fmt::format("{} cannot be added: its model leaves a choice", member.name),
           "'kind: auto' and 'backend: auto' are chosen with all members together, at the start",
           "name its kind, or its backend");
  if (workers_prepare(now, now.input) != workers_prepare(next, next.input))
    reject(fmt::format("{} cannot be added: it needs the input prepared in another way", member.name),
           "the first 'input' of a member changes who prepares the images",
           "leave its 'input' out, or make a new Ensemble");
  return next;
}

void check_newcomer(const Plan& running, const Plan& next, Rank place) {
  if (running.arena.arrays != next.arena.arrays || running.input.planes != next.input.planes)
    reject(fmt::format("{} cannot be added: it needs the input prepared in another way", next.request_of(place).name),
           "the memory of the running ensemble holds the images in the sizes that its members had at the start",
           "give it the 'input' of one of these, or make a new Ensemble");
}

std::size_t leaving_member(const config::EnsembleSpec& now, std::string_view name) {
  const auto found = std::ranges::find(now.members, name, &config::MemberSpec::name);
  std::vector<std::string> names;
  for (const config::MemberSpec& member : now.members) names.push_back(member.name);
  if (found == now.members.end())
    reject(fmt::format("there is no member '{}' to remove", name), {},
           fmt::format("the members are {}", fmt::join(names, ", ")));
  if (now.members.size() == 1)
    reject(fmt::format("{} is the last member, and cannot be removed", name), {},
           "add another one first, or close the ensemble");
  return static_cast<std::size_t>(found - now.members.begin());
}

config::EnsembleSpec without_member(const config::EnsembleSpec& now, std::size_t place) {
  config::EnsembleSpec next = now;
  const std::string& name = now.members[place].name;
  next.members.erase(next.members.begin() + static_cast<std::ptrdiff_t>(place));
  leave_worker(next, place, name);
  if (next.merge) {
    if (std::ranges::find(next.merge->over, place) != next.merge->over.end())
      reject(fmt::format("{} cannot be removed: 'merge' names it", name), {},
             "leave 'merge' out of the description, or make a new Ensemble");
    for (std::size_t& rank : next.merge->over) rank -= rank > place ? 1 : 0;
  }
  next = config::checked_value(next);
  if (workers_prepare(now, now.input) != workers_prepare(next, next.input))
    reject(fmt::format("{} cannot be removed: it is the last member with an 'input'", name),
           "without it, the images would be prepared once for all members, before the workers get them",
           "leave it in, or make a new Ensemble");
  return next;
}

void check_some_stay(const Status& now, std::size_t place) {
  for (std::size_t m = 0; m < now.members.size(); ++m)
    if (m != place && now.members[m].state != WorkerState::absent) return;
  reject(fmt::format("{} is the last member that predicts, and cannot be removed", now.members[place].name),
         "all others are left out", "add another one first, or close the ensemble");
}

}  // namespace tutti
