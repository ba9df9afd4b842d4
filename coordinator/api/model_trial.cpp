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

Plan ModelTrials::plan_of(const std::vector<std::optional<ModelKind>>& kinds, Deaths deaths) const {
  config::EnsembleSpec trial = for_trials(spec_, deaths);
  trial.members.clear();
  for (std::size_t rank = 0; rank < kinds.size(); ++rank) {
    if (!kinds[rank]) continue;
    trial.members.push_back(spec_.members[rank]);
    trial.members.back().model.kind = *kinds[rank];
    trial.members.back().model.candidates.clear();
  }
  if (trial.members.size() != spec_.members.size()) trial.workers.clear();  // their ranks are others
  Plan plan = make_plan(trial, machine_, form_, options_);
  check_memory(plan);
  return plan;
}

ModelTrials::Results ModelTrials::run(const std::vector<std::optional<ModelKind>>& kinds, Deaths deaths) {
  started_ = false;
  Pool pool(plan_of(kinds, deaths), worker_, {}, nullptr, nullptr, options_.stop);
  started_ = true;
  const std::stop_callback giving_up(options_.stop, [&] { pool.fail(start_given_up()); });
  const Groups groups = batch_groups(pool.plan());
  ByRank<std::vector<float>> answers;
  MadeUpRounds(pool, groups).run(std::min(kCompared, pool.plan().arena.images), &answers);
  const ByRank<BatchChoice> speeds = measured_speeds(pool, kEachForm);
  const Status status = pool.status(StatusDetail::counters);
  Results results(kinds.size());
  std::size_t place = 0;  // among those that run
  for (std::size_t rank = 0; rank < kinds.size(); ++rank) {
    if (!kinds[rank]) continue;
    const Rank its(place);
    if (answers[its].empty())
      throw Error(ErrorKind::failed, fmt::format("{}: its outputs for made-up samples are missing, because it died "
                                                 "with them",
                                                 spec_.members[rank].name));
    Result result{status.members[place].backend, pool.outputs()[its], std::move(answers[its]),
                  speeds[its].batch_images};
    for (const BatchSpeed& speed : speeds[its].speeds)
      if (speed.batch_images == result.batch_images) result.images_per_second = speed.images_per_second;
    results[rank] = std::move(result);
    ++place;
  }
  return results;
}

}  // namespace tutti
