#include "coordinator/api/members.hpp"

#include <algorithm>
#include <utility>

#include "coordinator/api/health.hpp"
#include "coordinator/api/membership.hpp"
#include "coordinator/api/model_choice.hpp"
#include "coordinator/api/new_version.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/machine.hpp"
#include "coordinator/plan/memory_bounds.hpp"
#include "coordinator/pool/stages_status.hpp"

namespace tutti {

Plan plan_of(const config::EnsembleSpec& spec, const Options& options, const std::filesystem::path& worker) {
  const config::InputSpec& input = options.training ? spec.train_input : spec.input;
  return make_plan(spec, look_at_machine(worker, gpus_wanted(spec)), api_form(spec, input), options);
}

namespace {

/// The same for an ensemble that runs as `running`. Its slots hold pictures in the sizes that members had at the start.
/// These stay when members go, and one that comes finds its size among them. Its fork server forks what fits it.
Plan plan_beside(const Plan& running, const config::EnsembleSpec& spec, const Members::Setting& setting) {
  InputForm form = api_form(spec, spec.input);
  const auto is_there = [&](const Plane& plane) {
    return std::ranges::find(running.input.planes, plane.resize, &Plane::resize) != running.input.planes.end();
  };
  if (std::ranges::all_of(form.planes, is_there)) form.planes = running.input.planes;
  Options options;
  options.environment = setting.environment;
  Plan plan = make_plan(spec, look_at_machine(setting.worker, gpus_wanted(spec)), form, options);
  for (WorkerPlan& one : plan.workers) one.forked = running.forks(one);
  plan.batches = Batches::given;  // those that were to be measured are known by now
  return plan;
}

Lineup first_lineup(const Pool& pool, const config::EnsembleSpec& spec) {
  const ByRank<Dims> outputs = pool.outputs();
  Lineup lineup = whole_lineup(Accumulator(spec.combine, pool.plan().weights, spec.failure.on_nan), outputs,
                               combined_axis(spec.combine, outputs[0]), pool.plan().members.size());
  const Chains chains = pool.plan().chains();
  for (LineupMember& member : lineup.members) {
    member.before = chains.chain_of(member.rank);
    member.before.pop_back();
  }
  lineup.description = std::make_shared<const config::EnsembleSpec>(spec);
  return lineup;
}

}  // namespace

Members::Members(Pool& pool, const Spec& spec, Setting setting)
    : pool_(pool),
      setting_(std::move(setting)),
      lineups_(first_lineup(pool, spec.checked()), [&pool](Rank rank) { pool.dismiss(rank); }) {}

Status Members::status(StatusDetail detail) const { return status_of(*lineup(), detail); }

Health Members::health() const {
  const auto now = lineup();
  return health_of(status_of(*now, StatusDetail::counters), pool_.plan().quorum, now->accumulator,
                   pool_.exchange().draining());
}

/// While the lineup is held, nobody takes the place of one of its members.
Status Members::status_of(const Lineup& lineup, StatusDetail detail) const {
  Status status = pool_.status(detail);
  std::vector<MemberStatus> members;
  for (const LineupMember& member : lineup.members)
    members.push_back(std::move(status.members.at(place_in_status(pool_.plan(), member.rank))));
  status.members = std::move(members);
  return status;
}

void Members::replace(std::string_view name, const config::EnsembleSpec& given, const std::stop_token& stop) {
  check_may_replace();
  const MutexLock one_at_a_time(changing);
  check_may_replace();
  const auto now = lineup();
  const auto next = std::make_shared<const config::EnsembleSpec>(chosen_like(given, *now->description));
  const Rank place = changed_member(*now->description, *next, name);
  const Plan plan = plan_beside(pool_.plan(), *next, setting_);
  check_new_version(pool_.plan(), now->members[place.value()].rank, now->description->members[place.value()], plan,
                    place);
  check_memory(plan, place);
  std::vector<Rank> there = now->members[place.value()].before;
  there.push_back(now->members[place.value()].rank);
  std::vector<Pool::NewVersion> stages;
  for (const Rank rank : plan.chains().chain_of(place))
    stages.push_back({there.at(stages.size()), plan.request_of(rank), plan.host_of(rank).python});
  pool_.replace(std::string(name), std::move(stages), stop);
  lineups_.describe(next);
}

void Members::add(const MemberSpec& member, const std::stop_token& stop) {
  check_may_change(*lineup()->description);
  const MutexLock one_at_a_time(changing);
  const auto now = lineup();
  check_may_change(*now->description);
  const auto next = std::make_shared<const config::EnsembleSpec>(with_member(*now->description, member));
  const Plan plan = plan_beside(pool_.plan(), *next, setting_);
  const Rank last(plan.combined() - 1);
  check_newcomer(pool_.plan(), plan, last);
  const WorkerPlan& host = plan.host_of(last);
  check_memory(plan, host);
  const Pool::Newcomer come = pool_.add(plan.request_of(last), host, stop);
  std::vector<LineupMember> members = now->members;
  members.push_back(lineups_.with_stay({come.rank, come.output}));
  came_or_went_ = true;
  lineups_.set(next, std::move(members));
}

void Members::remove(std::string_view name) {
  check_may_change(*lineup()->description);
  const MutexLock one_at_a_time(changing);
  const auto now = lineup();
  check_may_change(*now->description);
  const std::size_t place = leaving_member(*now->description, name);
  const auto next = std::make_shared<const config::EnsembleSpec>(without_member(*now->description, place));
  check_some_stay(status(StatusDetail::counters), place);
  std::vector<LineupMember> members = now->members;
  members.erase(members.begin() + static_cast<std::ptrdiff_t>(place));
  came_or_went_ = true;
  lineups_.set(next, std::move(members));
}

void Members::check_may_train() const {
  if (came_or_went_)
    throw Error(ErrorKind::usage, "an ensemble whose members came or went cannot train them", {},
                "make a new Ensemble of the description that spec() returns");
}

void Members::check_may_replace() const {
  if (trained_)
    throw Error(ErrorKind::usage, "a member cannot be replaced in an ensemble that has trained its members", {},
                "make a new Ensemble of the weights that were saved");
}

void Members::check_may_change(const config::EnsembleSpec& now) const {
  if (const auto failure = pool_.exchange().failure()) throw *failure;
  if (trained_)
    throw Error(ErrorKind::usage, "members cannot come or go: the ensemble has trained its members", {},
                "make a new Ensemble of the weights that were saved");
  check_members_may_change(now, pool_.plan());
}

}  // namespace tutti
