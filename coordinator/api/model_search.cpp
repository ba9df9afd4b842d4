#include "coordinator/api/model_search.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tutti/error.hpp>

#include "common/difference.hpp"
#include "common/log.hpp"
#include "common/tensor_text.hpp"
#include "config/candidates.hpp"
#include "coordinator/decide/candidates.hpp"

namespace tutti {
namespace {

/// An error on one line.
std::string line_of(const Error& error) {
  std::string text = error.detail().empty() ? error.message() : fmt::format("{}: {}", error.message(), error.detail());
  if (!error.hint().empty()) text += fmt::format(" ({})", error.hint());
  std::ranges::replace(text, '\n', ' ');
  return text;
}

std::string name_of(const ChoiceGroup& group, std::size_t number) {
  return group.unit ? std::string(to_name(group.modes[number])) : config::candidate_name(group.kinds[number]);
}

class Search {
 public:
  Search(const config::EnsembleSpec& spec, ModelTrials& trials, std::vector<ChoiceGroup> groups)
      : spec_(spec),
        trials_(trials),
        groups_(std::move(groups)),
        first_(spec.members.size()),
        other_batches_(spec.members.size()) {}

  void run() {
    for (const bool of_units : {false, true}) {
      std::vector<ChoiceGroup*> open;
      std::size_t rounds = 0;
      for (ChoiceGroup& group : groups_)
        if (group.unit.has_value() == of_units) {
          open.push_back(&group);
          rounds = std::max(rounds, group.size());
        }
      first_.assign(first_.size(), std::nullopt);
      waiting_.clear();
      const auto begin = std::chrono::steady_clock::now();
      for (std::size_t round = 0; round < rounds; ++round) try_round(round, open);
      compare_alternately(open, std::chrono::steady_clock::now() - begin);
      trials_.end();
      for (ChoiceGroup* const group : open)
        if (!choose(group->candidates)) refuse(*group);
    }
  }

  KeptChoice result() const {
    KeptChoice result;
    result.candidates.resize(spec_.members.size());
    result.modes.resize(spec_.workers.size());
    if (spec_.measure_batch_images) result.batches = other_batches_;
    for (const bool of_units : {false, true})  // the batches of a mode were measured with the chosen form
      for (const ChoiceGroup& group : groups_)
        if (group.unit.has_value() == of_units) add_to(result, group);
    return result;
  }

 private:
  /// A trial whose workers are still there.
  struct Waiting {
    std::size_t round;
    std::size_t number;  ///< for ModelTrials
    std::vector<ChoiceGroup*> groups;
    std::vector<AverageSpeed> speeds;  ///< by group, in the turns so far
  };

  static void add_to(KeptChoice& result, const ChoiceGroup& group) {
    const auto chosen = std::ranges::find_if(group.candidates, &ModelForm::chosen) - group.candidates.begin();
    if (group.unit) result.modes[*group.unit] = group.candidates;
    for (std::size_t place = 0; place < group.ranks.size(); ++place) {
      const std::size_t rank = group.ranks[place];
      if (!group.unit) result.candidates[rank] = group.candidates;
      if (!result.batches.empty()) result.batches[rank] = group.batches[static_cast<std::size_t>(chosen)][place];
    }
  }

  void try_round(std::size_t round, const std::vector<ChoiceGroup*>& open) {
    std::vector<ChoiceGroup*> on_trial;
    for (ChoiceGroup* const group : open)
      if (round < group->size()) {
        on_trial.push_back(group);
        group->candidates.push_back({.model = name_of(*group, round)});
        group->batches.emplace_back(group->ranks.size());
        group->candidates.back().reason = "it was not started";
      }
    ModelTrials::Deaths deaths = ModelTrials::Deaths::end_trial;
    while (!on_trial.empty()) {
      try {
        const ModelTrials::Results results = trials_.run(setup_for(round, on_trial), deaths);
        for (ChoiceGroup* const group : on_trial) note(round, *group, results);
        note_others(results);
        if (deaths == ModelTrials::Deaths::are_repaired) return;
        if (const auto number = trials_.keep())
          waiting_.push_back({round, *number, on_trial, std::vector<AverageSpeed>(on_trial.size())});
        return;
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) throw;
        const bool died = trials_.started();
        const std::string reason = line_of(without_advice(error));
        if (find_culprits(round, on_trial, reason)) continue;
        // The member that died is not on trial, or works alone: as in a run, if the user allows that.
        if (!died || deaths == ModelTrials::Deaths::are_repaired || no_restarts()) throw;
        deaths = ModelTrials::Deaths::are_repaired;
        log::info("a member died in a trial of forms; the trial is made again: {}", reason);
      }
    }
  }

  /// The error of the last trial. If a member died, it advises restarts, which the user may have already.
  Error without_advice(const Error& error) const {
    return trials_.started() && !no_restarts() ? Error(error.kind(), error.message(), error.detail()) : error;
  }

  bool no_restarts() const { return spec_.failure.on_worker_failure == OnWorkerFailure::fail; }

  /// What runs: what is on trial, the best so far of the other groups, and the members without a choice. Members of
  /// which no form could be started yet are left out.
  ModelTrials::Setup setup_for(std::size_t round, const std::vector<ChoiceGroup*>& on_trial) const {
    ModelTrials::Setup setup;
    for (const config::MemberSpec& member : spec_.members)
      setup.kinds.push_back(member.model.candidates.empty() ? std::optional(member.model.kind) : std::nullopt);
    for (const config::UnitSpec& unit : spec_.workers) setup.modes.push_back(unit.mode);
    for (const ChoiceGroup& group : groups_) {
      const bool tried = std::ranges::find(on_trial, &group) != on_trial.end();
      const std::optional<std::size_t> number = tried ? std::optional(round) : group.best();
      if (!number) continue;
      if (group.unit)
        setup.modes[*group.unit] = group.modes[*number];
      else
        for (const std::size_t rank : group.ranks) setup.kinds[rank] = group.kinds[*number];
    }
    return setup;
  }

  /// Takes those out of `on_trial` that cannot be started, or fail while predicting, even if nothing else runs. Whether
  /// there were any.
  bool find_culprits(std::size_t round, std::vector<ChoiceGroup*>& on_trial, const std::string& reason) {
    const auto fails = [&](ChoiceGroup* group) {
      group->candidates[round].reason = reason;
      if (group->ranks.size() == spec_.members.size()) return true;
      ModelTrials::Setup alone = setup_for(round, {group});
      for (std::size_t rank = 0; rank < alone.kinds.size(); ++rank)
        if (std::ranges::count(group->ranks, rank) == 0) alone.kinds[rank].reset();
      try {
        trials_.run(alone);
        group->candidates[round].reason = "it was not started";
        return false;
      } catch (const Error& its_own) {
        if (its_own.kind() == ErrorKind::interrupted) throw;
        group->candidates[round].reason = line_of(without_advice(its_own));
        return true;
      }
    };
    return std::erase_if(on_trial, fails) > 0;
  }

  void note(std::size_t round, ChoiceGroup& group, const ModelTrials::Results& results) {
    ModelForm& candidate = group.candidates[round];
    candidate.reason.clear();
    candidate.images_per_second = std::numeric_limits<double>::infinity();
    for (std::size_t place = 0; place < group.ranks.size(); ++place) {
      const std::size_t rank = group.ranks[place];
      const ModelTrials::Result& result = *results[rank];
      candidate.backend = result.backend;
      candidate.batch_images = std::max(candidate.batch_images, result.batch_images);
      candidate.images_per_second = std::min(candidate.images_per_second, speed_in(group, result.speed));
      group.batches[round][place] = result.batch_images;
      if (!first_[rank]) first_[rank] = result;
      compare(rank, result, candidate);
    }
  }

  static double speed_in(const ChoiceGroup& group, const ModelTrials::Speed& speed) {
    return group.unit ? speed.worker : speed.member;
  }

  /// What was measured one form after the other may say more about the machine at that time than about the forms: those
  /// that may be the fastest compute again, one round each, alternately, and all of these rounds count.
  void compare_alternately(const std::vector<ChoiceGroup*>& open, std::chrono::duration<double> trials) {
    std::vector<std::vector<ModelForm>> before;
    for (const ChoiceGroup* group : open) before.push_back(group->candidates);
    try {
      const auto begin = std::chrono::steady_clock::now();
      for (int turn = 0; another_turn(turn, std::chrono::steady_clock::now() - begin, trials); ++turn) {
        leave_behind(far_behind(turn));
        if (waiting_.size() < 2) return;
        for (Waiting& one : waiting_) turn_of(one);
      }
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::interrupted) throw;
      log::info("a member died while forms computed alternately; what each took alone counts: {}", line_of(error));
      for (std::size_t place = 0; place < open.size(); ++place) open[place]->candidates = before[place];
    }
  }

  void turn_of(Waiting& one) {
    const ModelTrials::Speeds speeds = trials_.again(one.number);
    for (std::size_t place = 0; place < one.groups.size(); ++place) {
      ChoiceGroup& group = *one.groups[place];
      double slowest = std::numeric_limits<double>::infinity();
      for (const std::size_t rank : group.ranks) slowest = std::min(slowest, speed_in(group, speeds[rank]));
      one.speeds[place].add(slowest);
      if (const double average = one.speeds[place].value(); average > 0)
        group.candidates[one.round].images_per_second = average;
    }
  }

  /// Those that cannot be the fastest of any group wait no more.
  void leave_behind(double factor) {
    std::erase_if(waiting_, [factor](const Waiting& one) {
      return std::ranges::none_of(one.groups,
                                  [&](ChoiceGroup* group) { return may_be_fastest(*group, one.round, factor); });
    });
  }

  static bool may_be_fastest(const ChoiceGroup& group, std::size_t round, double factor) {
    double fastest = 0;
    for (const ModelForm& one : group.candidates)
      if (one.reason.empty()) fastest = std::max(fastest, one.images_per_second);
    const ModelForm& form = group.candidates[round];
    return form.reason.empty() && form.images_per_second * factor >= fastest;
  }

  void compare(std::size_t rank, const ModelTrials::Result& result, ModelForm& candidate) const {
    const ModelTrials::Result& first = *first_[rank];
    if (result.output != first.output || result.answers.size() != first.answers.size()) {
      candidate.reason = fmt::format("it outputs {} per image, and the first form {}", dims_text(result.output),
                                     dims_text(first.output));
      return;
    }
    candidate.difference = std::max(candidate.difference.value_or(0), difference_of(first.answers, result.answers));
  }

  void note_others(const ModelTrials::Results& results) {
    for (std::size_t rank = 0; rank < results.size(); ++rank)
      if (results[rank] && spec_.members[rank].model.candidates.empty())
        other_batches_[rank] = results[rank]->batch_images;
  }

  [[noreturn]] void refuse(const ChoiceGroup& group) const {
    std::vector<std::string> reasons;
    for (const ModelForm& one : group.candidates) reasons.push_back(fmt::format("{}: {}", one.model, one.reason));
    if (group.unit)
      throw Error(ErrorKind::usage, fmt::format("{}: no mode of their worker can be started", names_of(spec_, group)),
                  fmt::format("{}", fmt::join(reasons, "\n")), "correct one of them, or give them a worker each");
    throw Error(ErrorKind::usage, fmt::format("{}: no form of the model can be started", names_of(spec_, group)),
                fmt::format("{}", fmt::join(reasons, "\n")), "correct one of them, or name a form that works here");
  }

  const config::EnsembleSpec& spec_;
  ModelTrials& trials_;
  std::vector<ChoiceGroup> groups_;
  std::vector<std::optional<ModelTrials::Result>> first_;  ///< by rank: of the first form that could be started
  std::vector<Waiting> waiting_;
  std::vector<std::uint32_t> other_batches_;  ///< by rank, of members without a choice
};

}  // namespace

std::optional<std::size_t> ChoiceGroup::best() const {
  std::vector<ModelForm> so_far = candidates;
  return choose(so_far);
}

std::string names_of(const config::EnsembleSpec& spec, const ChoiceGroup& group) {
  std::vector<std::string> names;
  for (const std::size_t rank : group.ranks) names.push_back(spec.members[rank].name);
  return fmt::format("{}", fmt::join(names, ", "));
}

KeptChoice search_forms(const config::EnsembleSpec& spec, ModelTrials& trials, std::vector<ChoiceGroup> groups) {
  Search search(spec, trials, std::move(groups));
  search.run();
  return search.result();
}

}  // namespace tutti
