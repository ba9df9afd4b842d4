#include "coordinator/api/model_choice.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tutti/ensemble.hpp>
#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/log.hpp"
#include "common/tensor_text.hpp"
#include "config/candidates.hpp"
#include "config/effective.hpp"
#include "coordinator/api/model_trial.hpp"
#include "coordinator/decide/candidates.hpp"
#include "coordinator/plan/choice_cache.hpp"
#include "coordinator/plan/find_worker.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/pool/batch_trial.hpp"

namespace tutti {
namespace {

using Kinds = std::vector<std::optional<ModelKind>>;

/// Members that get the same form: equal models, on the same device, with the same threads.
struct Group {
  std::vector<std::size_t> ranks;
  std::vector<ModelKind> kinds;
  std::vector<ModelForm> candidates;                ///< by kind, as far as they were tried
  std::vector<std::vector<std::uint32_t>> batches;  ///< by kind and place in `ranks`

  /// The best of those that were tried; nothing if none could be started.
  std::optional<std::size_t> best() const {
    std::vector<ModelForm> so_far = candidates;
    return choose(so_far);
  }
};

/// An error on one line.
std::string line_of(const Error& error) {
  std::string text = error.detail().empty() ? error.message() : fmt::format("{}: {}", error.message(), error.detail());
  if (!error.hint().empty()) text += fmt::format(" ({})", error.hint());
  std::ranges::replace(text, '\n', ' ');
  return text;
}

std::string names_of(const config::EnsembleSpec& spec, const Group& group) {
  std::vector<std::string> names;
  for (const std::size_t rank : group.ranks) names.push_back(spec.members[rank].name);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// Members that share a worker get the same form: a process has one library. They have equal forms
/// (config/workers.cpp).
std::vector<Group> by_worker(const Plan& plan, const std::vector<Group>& groups) {
  const auto share = [&](const Group& one, const Group& other) {
    return one.kinds == other.kinds && std::ranges::any_of(one.ranks, [&](std::size_t rank) {
             return std::ranges::any_of(
                 other.ranks, [&](std::size_t next) { return &plan.host_of(Rank(rank)) == &plan.host_of(Rank(next)); });
           });
  };
  std::vector<Group> joined;
  for (Group group : groups) {
    for (auto before = joined.begin(); before != joined.end();) {
      if (!share(*before, group)) {
        ++before;
        continue;
      }
      group.ranks.insert(group.ranks.end(), before->ranks.begin(), before->ranks.end());
      before = joined.erase(before);
    }
    std::ranges::sort(group.ranks);
    joined.push_back(std::move(group));
  }
  return joined;
}

std::vector<Group> groups_of(const config::EnsembleSpec& spec, const Plan& plan) {
  std::vector<Group> groups;
  for (const std::vector<Rank>& alike : batch_groups(plan)) {
    const std::size_t first = groups.size();  // equal forms may have other forms to choose from
    for (const Rank rank : alike) {
      const std::vector<ModelKind>& kinds = spec.members[rank.value()].model.candidates;
      if (kinds.empty()) continue;
      auto group = std::find_if(groups.begin() + static_cast<std::ptrdiff_t>(first), groups.end(),
                                [&](const Group& one) { return one.kinds == kinds; });
      if (group == groups.end()) group = groups.insert(groups.end(), Group{{}, kinds, {}, {}});
      group->ranks.push_back(rank.value());
    }
  }
  return by_worker(plan, groups);
}

/// Tries the forms of all groups: in round r each group its form number r, while the others run with the best that they
/// have.
class Search {
 public:
  Search(const config::EnsembleSpec& spec, ModelTrials& trials, std::vector<Group> groups)
      : spec_(spec),
        trials_(trials),
        groups_(std::move(groups)),
        first_(spec.members.size()),
        other_batches_(spec.members.size()) {}

  void run() {
    std::size_t rounds = 0;
    for (const Group& group : groups_) rounds = std::max(rounds, group.kinds.size());
    for (std::size_t round = 0; round < rounds; ++round) try_round(round);
    for (Group& group : groups_)
      if (!choose(group.candidates)) refuse(group);
  }

  const std::vector<Group>& groups() const { return groups_; }

  KeptChoice result() const {
    KeptChoice result;
    result.candidates.resize(spec_.members.size());
    if (spec_.measure_batch_images) result.batches = other_batches_;
    for (const Group& group : groups_)
      for (std::size_t place = 0; place < group.ranks.size(); ++place) {
        const std::size_t rank = group.ranks[place];
        result.candidates[rank] = group.candidates;
        const auto chosen = std::ranges::find_if(group.candidates, &ModelForm::chosen);
        if (!result.batches.empty())
          result.batches[rank] = group.batches[static_cast<std::size_t>(chosen - group.candidates.begin())][place];
      }
    return result;
  }

 private:
  void try_round(std::size_t round) {
    std::vector<Group*> on_trial;
    for (Group& group : groups_)
      if (round < group.kinds.size()) {
        on_trial.push_back(&group);
        group.candidates.push_back({.model = config::candidate_name(group.kinds[round])});
        group.batches.emplace_back(group.ranks.size());
        group.candidates.back().reason = "it was not started";
      }
    ModelTrials::Deaths deaths = ModelTrials::Deaths::end_trial;
    while (!on_trial.empty()) {
      try {
        const ModelTrials::Results results = trials_.run(kinds_for(round, on_trial), deaths);
        for (Group* const group : on_trial) note(round, *group, results);
        note_others(results);
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

  /// What runs: the forms on trial, the best forms so far of the other groups, and the members without a choice.
  /// Members of which no form could be started yet are left out.
  Kinds kinds_for(std::size_t round, const std::vector<Group*>& on_trial) const {
    Kinds kinds;
    for (const config::MemberSpec& member : spec_.members)
      kinds.push_back(member.model.candidates.empty() ? std::optional(member.model.kind) : std::nullopt);
    for (const Group& group : groups_) {
      const bool tried = std::ranges::find(on_trial, &group) != on_trial.end();
      const std::optional<std::size_t> number = tried ? std::optional(round) : group.best();
      if (!number) continue;
      for (const std::size_t rank : group.ranks) kinds[rank] = group.kinds[*number];
    }
    return kinds;
  }

  /// Takes those out of `on_trial` that cannot be started, or fail while predicting, even if nothing else runs. Whether
  /// there were any.
  bool find_culprits(std::size_t round, std::vector<Group*>& on_trial, const std::string& reason) {
    const auto fails = [&](Group* group) {
      group->candidates[round].reason = reason;
      if (group->ranks.size() == spec_.members.size()) return true;
      Kinds alone(spec_.members.size());
      for (const std::size_t rank : group->ranks) alone[rank] = group->kinds[round];
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

  void note(std::size_t round, Group& group, const ModelTrials::Results& results) {
    ModelForm& candidate = group.candidates[round];
    candidate.reason.clear();
    candidate.images_per_second = std::numeric_limits<double>::infinity();
    for (std::size_t place = 0; place < group.ranks.size(); ++place) {
      const std::size_t rank = group.ranks[place];
      const ModelTrials::Result& result = *results[rank];
      candidate.backend = result.backend;
      candidate.batch_images = std::max(candidate.batch_images, result.batch_images);
      candidate.images_per_second = std::min(candidate.images_per_second, result.images_per_second);
      group.batches[round][place] = result.batch_images;
      if (!first_[rank]) first_[rank] = result;
      compare(rank, result, candidate);
    }
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

  [[noreturn]] void refuse(const Group& group) const {
    std::vector<std::string> reasons;
    for (const ModelForm& one : group.candidates) reasons.push_back(fmt::format("{}: {}", one.model, one.reason));
    throw Error(ErrorKind::usage, fmt::format("{}: no form of the model can be started", names_of(spec_, group)),
                fmt::format("{}", fmt::join(reasons, "\n")), "correct one of them, or name a form that works here");
  }

  const config::EnsembleSpec& spec_;
  ModelTrials& trials_;
  std::vector<Group> groups_;
  std::vector<std::optional<ModelTrials::Result>> first_;  ///< by rank: of the first form that could be started
  std::vector<std::uint32_t> other_batches_;               ///< by rank, of members without a choice
};

/// Whether what was kept is about these members: it has one choice for each that leaves one.
bool fits(const KeptChoice& kept, const config::EnsembleSpec& spec) {
  if (kept.candidates.size() != spec.members.size()) return false;
  if (kept.batches.size() != (spec.measure_batch_images ? spec.members.size() : 0)) return false;
  if (std::ranges::any_of(kept.batches, [&](std::uint32_t batch) { return batch == 0 || batch > spec.segment_images; }))
    return false;
  for (std::size_t rank = 0; rank < spec.members.size(); ++rank) {
    const std::vector<ModelForm>& candidates = kept.candidates[rank];
    if (candidates.size() != spec.members[rank].model.candidates.size()) return false;
    if (!candidates.empty() && std::ranges::count_if(candidates, &ModelForm::chosen) != 1) return false;
  }
  return true;
}

/// Whether it would be the same tomorrow: every form was measured. What keeps one from starting may pass, such as
/// memory that another program needed.
bool is_lasting(const KeptChoice& choice) {
  for (const std::vector<ModelForm>& candidates : choice.candidates)
    for (const ModelForm& one : candidates)
      if (one.images_per_second <= 0) return false;
  return true;
}

config::EnsembleSpec with_choice(config::EnsembleSpec spec, const KeptChoice& choice) {
  for (std::size_t rank = 0; rank < spec.members.size(); ++rank) {
    const std::vector<ModelForm>& candidates = choice.candidates[rank];
    if (candidates.empty()) continue;
    const auto chosen = std::ranges::find_if(candidates, &ModelForm::chosen);
    config::ModelSpec& model = spec.members[rank].model;
    model.kind = model.candidates[static_cast<std::size_t>(chosen - candidates.begin())];
    model.candidates.clear();
    model.tried.forms = candidates;
  }
  spec.effective_yaml = config::to_yaml(spec);
  return spec;
}

config::EnsembleSpec with_first(config::EnsembleSpec spec) {
  for (config::MemberSpec& member : spec.members) member.model.candidates.clear();
  spec.effective_yaml = config::to_yaml(spec);
  return spec;
}

/// The place of the form that is most like that of a running member: the same, or the same variant of another version,
/// or of the same kind, or at least of the same library, which the worker has loaded; else the first.
std::size_t place_like(const std::vector<ModelKind>& candidates, const config::ModelSpec& running) {
  const auto where = [&](auto fits) {
    return static_cast<std::size_t>(std::ranges::find_if(candidates, fits) - candidates.begin());
  };
  const auto same_kind = [&](const ModelKind& one) {
    const ComputedBy* const backend = backend_of(one);
    const ComputedBy* const its = backend_of(running.kind);
    return kind_name(one) == kind_name(running.kind) && (backend == nullptr || its == nullptr || *backend == *its);
  };
  std::size_t place = where([&](const ModelKind& one) { return one == running.kind; });
  if (place < candidates.size()) return place;
  const auto chosen = std::ranges::find_if(running.tried.forms, &ModelForm::chosen);
  place = static_cast<std::size_t>(chosen - running.tried.forms.begin());
  if (place < candidates.size() && same_kind(candidates[place])) return place;
  place = where(same_kind);
  if (place < candidates.size()) return place;
  place = where([&](const ModelKind& one) { return facts_of(one).library == facts_of(running.kind).library; });
  return place < candidates.size() ? place : 0;
}

void say(const config::EnsembleSpec& spec, const std::vector<Group>& groups, const KeptChoice& choice, bool kept) {
  for (const Group& group : groups)
    log::info("{}: {}{}", names_of(spec, group), choice_text(choice.candidates[group.ranks.front()]),
              kept ? ", from the cache" : "");
}

}  // namespace

config::EnsembleSpec choose_models(const config::EnsembleSpec& described, Options& options,
                                   const std::filesystem::path& worker) {
  if (!config::leaves_choice(described)) return described;
  // A member that runs in a debugger would be waited for in every trial.
  if (options.training || !options.debug_member.empty()) return with_first(described);
  ModelTrials trials(described, options, worker);
  // The length of a segment may follow from the images.
  config::EnsembleSpec spec = described;
  spec.segment_images = trials.plan().arena.images;
  const std::vector<Group> groups = groups_of(spec, trials.plan());
  const std::filesystem::path folder = options.cache ? choice_folder() : std::filesystem::path();
  const std::string key = folder.empty() ? std::string() : choice_key(spec, trials.plan(), options);
  std::optional<KeptChoice> choice = kept_choice(folder, key);
  const bool kept = choice && fits(*choice, spec);
  if (!kept) {
    std::vector<std::string> names;
    for (const Group& group : groups) names.push_back(names_of(spec, group));
    log::info("trying the forms of {}", fmt::join(names, ", "));
    Search search(spec, trials, groups);
    search.run();
    choice = search.result();
    if (is_lasting(*choice)) keep_choice(folder, key, *choice);
  }
  say(spec, groups, *choice, kept);
  if (spec.measure_batch_images && options.batch_images.empty()) options.batch_images = choice->batches;
  return with_choice(described, *choice);
}

Chosen chosen(const Spec& spec, const Options& given, const std::filesystem::path& worker) {
  if (!config::leaves_choice(spec.checked())) return {spec, given};
  Options options = given;
  auto one = std::make_shared<const config::EnsembleSpec>(choose_models(spec.checked(), options, worker));
  return {Spec(std::move(one)), std::move(options)};
}

Spec choose_models(const Spec& spec, Options& options) {
  if (!config::leaves_choice(spec.checked())) return spec;
  Chosen one = chosen(spec, options, find_worker(options.worker));
  options = std::move(one.options);
  return one.spec;
}

config::EnsembleSpec chosen_like(const config::EnsembleSpec& next, const config::EnsembleSpec& running) {
  if (!config::leaves_choice(next)) return next;
  config::EnsembleSpec chosen = next;
  for (std::size_t rank = 0; rank < chosen.members.size(); ++rank) {
    config::ModelSpec& model = chosen.members[rank].model;
    if (model.candidates.empty() || rank >= running.members.size()) continue;
    const std::size_t place = place_like(model.candidates, running.members[rank].model);
    config::take_candidate(model, place, "the member runs with another form");
    if (model.kind == running.members[rank].model.kind) model.tried = running.members[rank].model.tried;
  }
  chosen.effective_yaml = config::to_yaml(chosen);
  return chosen;
}

}  // namespace tutti
