#include "coordinator/api/model_trial.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <stop_token>
#include <utility>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "coordinator/decide/candidates.hpp"
#include "coordinator/plan/memory_bounds.hpp"
#include "coordinator/pool/batch_trial.hpp"
#include "coordinator/pool/made_up_rounds.hpp"
#include "coordinator/pool/pool.hpp"

namespace tutti {
namespace {

/// For the speed of one form whose workers do not wait for another round; trials of batches take as long as they need.
constexpr BatchSearch::Seconds kOnly{0.12};
/// If they do: then this is a first impression.
constexpr BatchSearch::Seconds kGlance{0.04};
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

/// Rounds of this length: of the slowest member, and of all of them together a few times as long.
constexpr BatchSearch::Seconds kRound{0.025};

/// As many batches as the slowest member computes in kRound; at most a segment.
std::uint32_t round_images(const Plan& plan, const ByRank<BatchChoice>& chosen) {
  double slowest = std::numeric_limits<double>::infinity();
  std::uint32_t batch = 1;
  for (const BatchChoice& choice : chosen) {
    batch = std::max(batch, choice.batch_images);
    for (const BatchSpeed& speed : choice.speeds)
      if (speed.batch_images == choice.batch_images) slowest = std::min(slowest, speed.images_per_second);
  }
  if (batch >= plan.arena.images) return plan.arena.images;
  const double batches = std::floor(kRound.count() * slowest / batch);
  return batch * static_cast<std::uint32_t>(std::clamp<double>(batches, 1, plan.arena.images / batch));
}

Options only_needed(const Options& options) {
  Options needed;
  needed.worker = options.worker;
  needed.environment = options.environment;
  needed.stop = options.stop;
  return needed;
}

}  // namespace

/// A pool in which all members predict made-up samples.
class ModelTrials::Trial {
 public:
  /// `cores`: of the machine.
  Trial(Plan plan, std::vector<std::size_t> ranks, std::size_t cores, const std::filesystem::path& worker,
        const std::stop_token& stop)
      : ranks_(std::move(ranks)),
        cores_(cores),
        pool_(std::move(plan), worker, {}, nullptr, nullptr, stop),
        giving_up_(stop, [this] { pool_.fail(start_given_up()); }),
        rounds_(pool_) {}

  Pool& pool() { return pool_; }
  const Plan& plan() const { return pool_.plan(); }
  /// In the description, of each member that runs.
  const std::vector<std::size_t>& ranks() const { return ranks_; }

  ByRank<std::vector<float>> answers() {
    ByRank<std::vector<float>> answers;
    rounds_.run(std::min(kCompared, plan().arena.images), &answers);
    return answers;
  }

  /// From now on members compute batches of these sizes, and rounds are as long as these speeds say.
  void settle(const ByRank<BatchChoice>& chosen) {
    images_ = round_images(plan(), chosen);
    if (plan().batches != Batches::to_measure) return;
    ByRank<std::uint32_t> batches(plan().members.size());
    for (const Rank rank : IdRange<Rank>(plan().members.size())) batches[rank] = chosen[rank].batch_images;
    pool_.try_batches(batches);
  }

  /// Of rounds that take this long together. `of_all`: how many members the description has.
  Speeds rounds(BatchSearch::Seconds least, std::size_t of_all) {
    std::vector<Averages> averages(of_all);
    for (BatchSearch::Seconds spent{}; spent < least; spent += rounds_.times().wall) {
      rounds_.run(images_);
      if (!rounds_.disturbed()) add_round(averages);
    }
    Speeds speeds;
    for (const Averages& average : averages) speeds.push_back({average.member.value(), average.worker.value()});
    return speeds;
  }

 private:
  struct Averages {
    AverageSpeed member;
    AverageSpeed worker;
  };

  /// As for batches: the whole time of the round counts for the slowest member, since some may have started late.
  void add_round(std::vector<Averages>& averages) const {
    const auto& [wall, busy] = rounds_.times();
    const BatchSearch::Seconds longest = *std::max_element(busy.begin(), busy.end());
    for (const WorkerPlan& worker : plan().workers) {
      if (worker.members.front().value() >= ranks_.size()) continue;  // a stage that is not its member's last
      std::vector<MemberTime> members;
      for (const Rank rank : worker.members)
        members.push_back({busy[rank], std::max<std::uint32_t>(1, plan().request_of(rank).threads)});
      const BatchSearch::Seconds together =
          unit_seconds(worker.mode, members, wall, worker.cores.empty() ? cores_ : worker.cores.size());
      for (const Rank rank : worker.members) {
        const BatchSearch::Seconds alone = busy[rank];
        if (alone.count() <= 0) continue;
        Averages& average = averages[ranks_[rank.value()]];
        average.member.add(images_ / (wall * (alone / longest)).count());
        average.worker.add(images_ / together.count());
      }
    }
  }

  const std::vector<std::size_t> ranks_;
  const std::size_t cores_;
  Pool pool_;
  const std::stop_callback<std::function<void()>> giving_up_;
  MadeUpRounds rounds_;
  std::uint32_t images_ = 0;
};

ModelTrials::ModelTrials(const config::EnsembleSpec& spec, const Options& options, std::filesystem::path worker)
    : spec_(spec),
      options_(only_needed(options)),
      worker_(std::move(worker)),
      machine_(look_at_machine(worker_, gpus_wanted(spec))),
      form_(api_form(spec, spec.input)),
      plan_(make_plan(spec, machine_, form_, options_)) {}

ModelTrials::~ModelTrials() = default;

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

bool ModelTrials::has_room_beside_another(const Plan& plan) const {
  if (std::ranges::any_of(plan.workers, &WorkerPlan::cuda)) return false;
  std::uint64_t needed = plan.needed_bytes();
  for (const auto& kept : kept_) needed += kept->plan().needed_bytes();
  return needed <= plan.available.bytes / 2;  // what is needed is "at least"
}

ModelTrials::Results ModelTrials::run(const Setup& setup, Deaths deaths) {
  started_ = false;
  last_.reset();
  std::vector<std::size_t> ranks;
  for (std::size_t rank = 0; rank < setup.kinds.size(); ++rank)
    if (setup.kinds[rank]) ranks.push_back(rank);
  last_ =
      std::make_unique<Trial>(plan_of(setup, deaths), std::move(ranks), machine_.cores.size(), worker_, options_.stop);
  started_ = true;
  Trial& trial = *last_;
  const ByRank<std::vector<float>> answers = trial.answers();
  const BatchSearch::Seconds each = has_room_beside_another(trial.plan()) ? kGlance : kOnly;
  const ByRank<BatchChoice> chosen = measured_speeds(trial.pool(), each);
  trial.settle(chosen);
  const Speeds speeds = trial.rounds(tries_modes(spec_) ? each : BatchSearch::Seconds::zero(), setup.kinds.size());
  const Status status = trial.pool().status(StatusDetail::counters);
  Results results(setup.kinds.size());
  for (std::size_t place = 0; place < trial.ranks().size(); ++place) {
    const std::size_t rank = trial.ranks()[place];
    const Rank its(place);
    if (answers[its].empty())
      throw Error(ErrorKind::failed, fmt::format("{}: its outputs for made-up samples are missing, because it died "
                                                 "with them",
                                                 spec_.members[rank].name));
    Result result{status.members[place].backend, trial.pool().outputs()[its], answers[its], chosen[its].batch_images};
    for (const BatchSpeed& speed : chosen[its].speeds)
      if (speed.batch_images == result.batch_images) result.speed.member = speed.images_per_second;
    result.speed.worker = speeds[rank].worker;
    results[rank] = std::move(result);
  }
  return results;
}

std::optional<std::size_t> ModelTrials::keep() {
  if (!has_room_beside_another(last_->plan())) return std::nullopt;
  kept_.push_back(std::move(last_));
  return kept_.size() - 1;
}

ModelTrials::Speeds ModelTrials::again(std::size_t kept) {
  return kept_.at(kept)->rounds(kRound, spec_.members.size());
}

void ModelTrials::end() {
  last_.reset();
  kept_.clear();
}

}  // namespace tutti
