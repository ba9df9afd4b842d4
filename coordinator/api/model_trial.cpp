#include "coordinator/api/model_trial.hpp"

#include <algorithm>
#include <stop_token>
#include <utility>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "coordinator/pool/batch_trial.hpp"
#include "coordinator/pool/made_up_rounds.hpp"
#include "coordinator/pool/pool.hpp"

namespace tutti {
namespace {

/// For the speed of one form; trials of batches take as long as they need.
constexpr BatchSearch::Seconds kEachForm{0.12};
constexpr int kLeastRounds = 3;
/// Samples whose outputs are compared.
constexpr std::uint32_t kCompared = 32;

/// Nothing that hides a failure or asks only some members.
config::EnsembleSpec for_trials(config::EnsembleSpec spec, ModelTrials::Deaths deaths) {
  spec.ask_all();
  spec.combine.rule = CombineRule::none;
  spec.combine.spread = false;
  spec.failure.on_worker_failure =
      deaths == ModelTrials::Deaths::end_trial ? OnWorkerFailure::fail : OnWorkerFailure::restart;
  spec.failure.on_nan = OnNan::allow;  // made-up samples may lead to one
  spec.failure.spares = Spares::none;
  return spec;
}

bool tries_modes(const config::EnsembleSpec& spec) {
  return std::ranges::any_of(spec.workers, [](const config::UnitSpec& unit) { return !unit.modes.empty(); });
}

/// How long a worker needs for a segment of all its members, from what each of them took. What fused members report are
/// parts of one computation.
BatchSearch::Seconds unit_seconds(const WorkerPlan& worker, const std::vector<BatchSearch::Seconds>& busy) {
  BatchSearch::Seconds sum{};
  BatchSearch::Seconds longest{};
  for (const Rank rank : worker.members) {
    sum += busy[rank.value()];
    longest = std::max(longest, busy[rank.value()]);
  }
  return worker.mode == UnitMode::threads ? longest : sum;
}

/// By rank, the images that its worker takes in a second, with the batches that were chosen: of the fastest round,
/// which other programs disturbed least.
ByRank<double> unit_speeds(Pool& pool, const ByRank<BatchChoice>& chosen) {
  const Plan& plan = pool.plan();
  if (plan.batches == Batches::to_measure) {
    ByRank<std::uint32_t> batches(plan.members.size());
    for (const Rank rank : IdRange<Rank>(plan.members.size())) batches[rank] = chosen[rank].batch_images;
    pool.try_batches(batches);
  }
  Groups each;
  for (const Rank rank : IdRange<Rank>(plan.members.size())) each.push_back({rank});
  MadeUpRounds rounds(pool, each);
  ByRank<double> speeds(plan.members.size());
  BatchSearch::Seconds spent{};
  for (int round = 0; round < kLeastRounds || spent < kEachForm; ++round) {
    rounds.run(plan.arena.images);
    spent += rounds.times().wall;
    if (rounds.disturbed()) continue;
    for (const WorkerPlan& worker : plan.workers) {
      const BatchSearch::Seconds took = unit_seconds(worker, rounds.times().busy);
      for (const Rank rank : worker.members)
        if (took.count() > 0) speeds[rank] = std::max(speeds[rank], plan.arena.images / took.count());
    }
  }
  return speeds;
}

Options only_needed(const Options& options) {
  Options needed;
  needed.worker = options.worker;
  needed.environment = options.environment;
  needed.stop = options.stop;
  return needed;
}

}  // namespace

ModelTrials::ModelTrials(const config::EnsembleSpec& spec, const Options& options, std::filesystem::path worker)
    : spec_(spec),
      options_(only_needed(options)),
      worker_(std::move(worker)),
      machine_(look_at_machine(worker_, gpus_wanted(spec))),
      form_(api_form(spec, spec.input)),
      plan_(make_plan(spec, machine_, form_, options_)) {}

Plan ModelTrials::plan_of(const Setup& setup, Deaths deaths) const {
  config::EnsembleSpec trial = for_trials(spec_, deaths);
  trial.members.clear();
  std::vector<std::size_t> ranks;  // in the trial, of those that run
  for (std::size_t rank = 0; rank < setup.kinds.size(); ++rank) {
    ranks.push_back(trial.members.size());
    if (!setup.kinds[rank]) continue;
    trial.members.push_back(spec_.members[rank]);
    trial.members.back().model.kind = *setup.kinds[rank];
    trial.members.back().model.candidates.clear();
  }
  trial.workers.clear();
  for (std::size_t number = 0; number < spec_.workers.size(); ++number) {
    config::UnitSpec unit = spec_.workers[number];
    if (!std::ranges::all_of(unit.members, [&](std::size_t rank) { return setup.kinds[rank].has_value(); })) continue;
    for (std::size_t& rank : unit.members) rank = ranks[rank];
    unit.mode = setup.modes[number];
    unit.modes.clear();
    trial.workers.push_back(std::move(unit));
  }
  Plan plan = make_plan(trial, machine_, form_, options_);
  check_memory(plan);
  return plan;
}

ModelTrials::Results ModelTrials::run(const Setup& setup, Deaths deaths) {
  started_ = false;
  Pool pool(plan_of(setup, deaths), worker_, {}, nullptr, nullptr, options_.stop);
  started_ = true;
  const std::stop_callback giving_up(options_.stop, [&] { pool.fail(start_given_up()); });
  const Groups groups = batch_groups(pool.plan());
  ByRank<std::vector<float>> answers;
  MadeUpRounds(pool, groups).run(std::min(kCompared, pool.plan().arena.images), &answers);
  const ByRank<BatchChoice> speeds = measured_speeds(pool, kEachForm);
  const Status status = pool.status(StatusDetail::counters);
  ByRank<double> units(pool.plan().members.size());
  if (tries_modes(spec_)) units = unit_speeds(pool, speeds);
  Results results(setup.kinds.size());
  std::size_t place = 0;  // among those that run
  for (std::size_t rank = 0; rank < setup.kinds.size(); ++rank) {
    if (!setup.kinds[rank]) continue;
    const Rank its(place);
    if (answers[its].empty())
      throw Error(ErrorKind::failed, fmt::format("{}: its outputs for made-up samples are missing, because it died "
                                                 "with them",
                                                 spec_.members[rank].name));
    Result result{status.members[place].backend, pool.outputs()[its], std::move(answers[its]),
                  speeds[its].batch_images};
    for (const BatchSpeed& speed : speeds[its].speeds)
      if (speed.batch_images == result.batch_images) result.images_per_second = speed.images_per_second;
    result.unit_images_per_second = units[its];
    results[rank] = std::move(result);
    ++place;
  }
  return results;
}

}  // namespace tutti
