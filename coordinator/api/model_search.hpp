// The search for the fastest forms of members, and modes of workers: which trial comes next, who is to blame if one
// fails, and what is kept. Knows neither the cache nor where descriptions come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "coordinator/api/model_trial.hpp"
#include "coordinator/plan/choice_cache.hpp"

namespace tutti {

/// Members that get the same form: equal models, on the same device, with the same threads. Or those of a unit whose
/// mode is chosen.
struct ChoiceGroup {
  std::vector<std::size_t> ranks;
  std::vector<ModelKind> kinds{};
  std::optional<std::size_t> unit{};  ///< of the description; then it has `modes` instead of `kinds`
  std::vector<UnitMode> modes{};
  std::vector<ModelForm> candidates{};                ///< by kind or mode, as far as they were tried
  std::vector<std::vector<std::uint32_t>> batches{};  ///< by kind or mode, and place in `ranks`

  std::size_t size() const { return unit ? modes.size() : kinds.size(); }
  /// The best of those that were tried; nothing if none could be started.
  std::optional<std::size_t> best() const;
};

/// "a, b".
std::string names_of(const config::EnsembleSpec& spec, const ChoiceGroup& group);

/// Tries the forms of all groups, then the modes of all units: in round r each group its number r, while the others run
/// with the best that they have. Throws Error(usage) with every reason if nothing of a group can be started, and the
/// error of a member without a choice.
KeptChoice search_forms(const config::EnsembleSpec& spec, ModelTrials& trials, std::vector<ChoiceGroup> groups);

}  // namespace tutti
