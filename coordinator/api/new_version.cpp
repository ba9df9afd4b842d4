#include "coordinator/api/new_version.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include <tutti/error.hpp>

#include "config/device.hpp"
#include "coordinator/plan/input.hpp"

namespace tutti {
namespace {

[[noreturn]] void refuse(std::string what, std::string detail, std::string hint) {
  throw Error(ErrorKind::usage, std::move(what), std::move(detail), std::move(hint));
}

std::string names_of(const config::EnsembleSpec& spec) {
  std::string names;
  for (const config::MemberSpec& member : spec.members) names += (names.empty() ? "" : ", ") + member.name;
  return names;
}

}  // namespace

Rank changed_member(const config::EnsembleSpec& now, const config::EnsembleSpec& next, std::string_view name) {
  const auto found = std::ranges::find(now.members, name, &config::MemberSpec::name);
  if (found == now.members.end())
    refuse(fmt::format("there is no member '{}' to replace", name), {},
           fmt::format("the members are {}", names_of(now)));
  if (!std::ranges::equal(now.members, next.members, {}, &config::MemberSpec::name, &config::MemberSpec::name))
    refuse("the new description has other members", fmt::format("{} instead of {}", names_of(next), names_of(now)),
           "replace one member of the same names; for others make a new Ensemble");
  const auto rank = static_cast<std::size_t>(found - now.members.begin());
  const config::MemberSpec& old = now.members[rank];
  const config::MemberSpec& fresh = next.members[rank];
  if (!(old.device == fresh.device))
    refuse(fmt::format("{} cannot change its device while it runs", name),
           fmt::format("it is assigned to {}, and the new description assigns it to {}", config::to_text(old.device),
                       config::to_text(fresh.device)),
           "leave the assignment as it is, or make a new Ensemble");
  if (old.weight != fresh.weight)
    refuse(fmt::format("{} cannot change its weight while it runs", name),
           fmt::format("its 'weight' is {}, and in the new description {}", old.weight, fresh.weight),
           "leave the weight as it is, or make a new Ensemble");
  config::EnsembleSpec same = next;
  same.members[rank] = old;
  same.effective_yaml = now.effective_yaml;
  if (workers_prepare(now, now.input) != workers_prepare(next, next.input))
    refuse(fmt::format("the new version of {} needs its input prepared in another way", name),
           "the first 'input' of a member, or the last one that goes, changes who prepares the images",
           "give it an 'input' if the version before it has one, or make a new Ensemble");
  if (!(same == now))
    refuse(
        fmt::format("the new description differs in more than the member {}", name), {},
        "change the 'model' of the description that the ensemble has, and what belongs to it; for anything else make "
        "a new Ensemble");
  return Rank(rank);
}

namespace {

/// Where each stage runs, in how many workers, and how many rows of a sample there are behind it stays.
void check_stages(const Plan& running, Rank there, const Plan& next, Rank place) {
  const auto stays = [](const Plan& one, const Plan& other, Rank of_one, Rank of_other) {
    const WorkerPlan& host = one.host_of(of_one);
    const WorkerPlan& same = other.host_of(of_other);
    return host.device == same.device && host.cores == same.cores && one.replicas_of(host) == other.replicas_of(same) &&
           one.members[of_one.value()].rows() == other.members[of_other.value()].rows();
  };
  const std::vector<Rank> old_ones = running.chains().chain_of(there);
  const std::vector<Rank> new_ones = next.chains().chain_of(place);
  if (old_ones.size() == 1 && new_ones.size() == 1) return;
  if (std::ranges::equal(old_ones, new_ones, [&](Rank a, Rank b) { return stays(running, next, a, b); })) return;
  refuse(fmt::format("the new version of {} has other stages", next.members[place.value()].member()),
         old_ones.size() == new_ones.size() ? "one of them has another device, other replicas or other rows"
                                            : fmt::format("{} instead of {}", new_ones.size(), old_ones.size()),
         "change only the models and the steps of its stages, or make a new Ensemble");
}

}  // namespace

void check_new_version(const Plan& running, Rank there, const config::MemberSpec& old, const Plan& next, Rank place) {
  check_stages(running, there, next, place);
  if (running.training)
    refuse("a member cannot be replaced in an ensemble that was made to train", {},
           "make the ensemble without Options::training");
  if (running.debugging)
    refuse("a member cannot be replaced while a worker is debugged", {}, "leave Options::debug_member empty");
  if (is_saved(facts_of(old.model.kind)) || next.request_of(place).saved)
    refuse(fmt::format("{} has saved predictions, and these cannot be replaced or take the place of a model", old.name),
           {}, "make a new Ensemble");
  if (running.arena.arrays != next.arena.arrays || running.input.planes != next.input.planes)
    refuse(fmt::format("the new version of {} needs its input prepared in another way", old.name),
           "the memory of the running ensemble holds the images in the sizes that its members had at the start",
           "give it the 'input' of one of these, or make a new Ensemble");
}

}  // namespace tutti
