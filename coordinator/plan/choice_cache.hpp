// The user's cache of choices that were made by measuring: one file for each question that was asked. It saves time and
// nothing else: a file that is missing, damaged or cannot be written means that the measuring is done again.
//
// What a choice depends on is its key: the description without its data, the contents of all files of the models, what
// runs where with how many threads, the machine, the build of Tutti, and the files of the libraries that the
// environment names.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "coordinator/plan/plan.hpp"

namespace tutti {

/// How long a choice is used: what the key does not see may have changed by then.
constexpr std::chrono::hours kChoiceLife{24 * 30};

/// What was chosen for all members of an ensemble.
struct KeptChoice {
  std::vector<std::vector<ModelForm>> candidates;  ///< by rank; of members without a choice, none
  std::vector<std::vector<ModelForm>> modes;       ///< by unit of the description; of those without a choice, none
  std::vector<std::uint32_t> batches;              ///< by rank, if they were measured, too; else empty
  friend bool operator==(const KeptChoice&, const KeptChoice&) = default;
};

/// $XDG_CACHE_HOME/tutti/choices, or ~/.cache/tutti/choices; empty if there is no home.
std::filesystem::path choice_folder();

/// Everything that the choice for the members of `spec` depends on, as lines. `plan` is that of their first candidates.
/// Reads the files of all candidates. Throws Error(usage) if one cannot be read.
std::string choice_key(const config::EnsembleSpec& spec, const Plan& plan, const Options& options);

/// What was kept for this key in a folder, unless it is older than kChoiceLife.
std::optional<KeptChoice> kept_choice(const std::filesystem::path& folder, const std::string& key);

/// Keeps it, in a file that appears complete or not at all, and removes files that are too old. If that fails, it is
/// logged, and nothing is kept.
void keep_choice(const std::filesystem::path& folder, const std::string& key, const KeptChoice& choice);

}  // namespace tutti
