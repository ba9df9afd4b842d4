#include "coordinator/api/model_choice.hpp"

#include <algorithm>
#include <iterator>
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
#include "coordinator/api/model_search.hpp"
#include "coordinator/decide/candidates.hpp"
#include "coordinator/plan/choice_cache.hpp"
#include "coordinator/plan/find_worker.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/pool/batch_trial.hpp"

namespace tutti {
namespace {

/// Members that share a worker get the same form: a process has one library. They have equal forms
/// (config/workers.cpp).
std::vector<ChoiceGroup> by_worker(const Plan& plan, const std::vector<ChoiceGroup>& groups) {
  const auto share = [&](const ChoiceGroup& one, const ChoiceGroup& other) {
    return one.kinds == other.kinds && std::ranges::any_of(one.ranks, [&](std::size_t rank) {
             return std::ranges::any_of(
                 other.ranks, [&](std::size_t next) { return &plan.host_of(Rank(rank)) == &plan.host_of(Rank(next)); });
           });
  };
  std::vector<ChoiceGroup> joined;
  for (ChoiceGroup group : groups) {
    for (auto before = joined.begin(); before != joined.end();) {
      if (!share(*before, group)) {
        ++before;
        continue;
      }
      std::ranges::copy(before->ranks, std::back_inserter(group.ranks));
      before = joined.erase(before);
    }
    std::ranges::sort(group.ranks);
    joined.push_back(std::move(group));
  }
  return joined;
}

std::vector<ChoiceGroup> groups_of(const config::EnsembleSpec& spec, const Plan& plan) {
  std::vector<ChoiceGroup> groups;
  for (const std::vector<Rank>& alike : batch_groups(plan)) {
    const std::size_t first = groups.size();  // equal forms may have other forms to choose from
    for (const Rank rank : alike) {
      const std::vector<ModelKind>& kinds = spec.members[rank.value()].model.candidates;
      if (kinds.empty()) continue;
      auto group = std::find_if(groups.begin() + static_cast<std::ptrdiff_t>(first), groups.end(),
                                [&](const ChoiceGroup& one) { return one.kinds == kinds; });
      if (group == groups.end()) group = groups.insert(groups.end(), ChoiceGroup{.ranks = {}, .kinds = kinds});
      group->ranks.push_back(rank.value());
    }
  }
  groups = by_worker(plan, groups);
  for (std::size_t number = 0; number < spec.workers.size(); ++number)
    if (const config::UnitSpec& unit = spec.workers[number]; !unit.modes.empty())
      groups.push_back({.ranks = unit.members, .unit = number, .modes = unit.modes});
  return groups;
}

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
  if (kept.modes.size() != spec.workers.size()) return false;
  for (std::size_t number = 0; number < spec.workers.size(); ++number) {
    const std::vector<ModelForm>& modes = kept.modes[number];
    if (modes.size() != spec.workers[number].modes.size()) return false;
    if (!modes.empty() && std::ranges::count_if(modes, &ModelForm::chosen) != 1) return false;
  }
  return true;
}

/// Whether it would be the same tomorrow: every form was measured. What keeps one from starting may pass, such as
/// memory that another program needed.
bool is_lasting(const KeptChoice& choice) {
  const auto measured = [](const std::vector<ModelForm>& forms) {
    return std::ranges::all_of(forms, [](const ModelForm& one) { return one.images_per_second > 0; });
  };
  return std::ranges::all_of(choice.candidates, measured) && std::ranges::all_of(choice.modes, measured);
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
  for (std::size_t number = 0; number < spec.workers.size(); ++number) {
    const std::vector<ModelForm>& modes = choice.modes[number];
    if (modes.empty()) continue;
    config::UnitSpec& unit = spec.workers[number];
    const auto chosen = std::ranges::find_if(modes, &ModelForm::chosen);
    unit.mode = unit.modes[static_cast<std::size_t>(chosen - modes.begin())];
    unit.modes.clear();
    unit.tried.forms = modes;
  }
  spec.effective_yaml = config::to_yaml(spec);
  return spec;
}

config::EnsembleSpec with_first(config::EnsembleSpec spec) {
  for (config::MemberSpec& member : spec.members) member.model.candidates.clear();
  for (config::UnitSpec& unit : spec.workers) unit.modes.clear();
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

void say_trying(const config::EnsembleSpec& spec, const std::vector<ChoiceGroup>& groups) {
  std::vector<std::string> what;
  for (const ChoiceGroup& group : groups)
    what.push_back(fmt::format("the {} of {}", group.unit ? "modes of the worker" : "forms", names_of(spec, group)));
  log::info("trying {}", fmt::join(what, "; "));
}

void say(const config::EnsembleSpec& spec, const std::vector<ChoiceGroup>& groups, const KeptChoice& choice,
         bool kept) {
  for (const ChoiceGroup& group : groups)
    log::info("{}: {}{}", names_of(spec, group),
              choice_text(group.unit ? choice.modes[*group.unit] : choice.candidates[group.ranks.front()]),
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
  const std::vector<ChoiceGroup> groups = groups_of(spec, trials.plan());
  const std::filesystem::path folder = options.cache ? choice_folder() : std::filesystem::path();
  const std::string key = folder.empty() ? std::string() : choice_key(spec, trials.plan(), options);
  std::optional<KeptChoice> choice = kept_choice(folder, key);
  const bool kept = choice && fits(*choice, spec);
  if (!kept) {
    say_trying(spec, groups);
    choice = search_forms(spec, trials, groups);
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
  for (config::UnitSpec& unit : chosen.workers) {
    if (unit.modes.empty()) continue;
    const auto same = std::ranges::find(running.workers, unit.members, &config::UnitSpec::members);
    const auto place = std::ranges::find(unit.modes, same == running.workers.end() ? unit.mode : same->mode);
    config::take_mode(unit, place == unit.modes.end() ? 0 : static_cast<std::size_t>(place - unit.modes.begin()),
                      "the worker runs in another mode");
    if (same != running.workers.end() && unit.mode == same->mode) unit.tried = same->tried;
  }
  chosen.effective_yaml = config::to_yaml(chosen);
  return chosen;
}

}  // namespace tutti
