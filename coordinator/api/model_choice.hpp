// Chooses the form of each member that leaves it open (`kind: auto`, `backend: auto`): every form is tried with all
// members running, in workers that end before those of the ensemble start, and the fastest whose outputs are those of
// the first is kept. What was chosen before on the same machine for the same files comes from the user's cache
// (coordinator/plan/choice_cache.hpp). The decision itself is coordinator/decide/candidates.hpp.
#pragma once

#include <filesystem>
#include <string>

#include <tutti/ensemble.hpp>
#include <tutti/status.hpp>

#include "config/spec.hpp"

namespace tutti {

/// Returns the description with one form for each member. With `batch_images: auto`, `options.batch_images` gets the
/// batches that were measured in the same trials. In training nothing is tried: every member has its first form. Throws
/// Error(usage) with every reason if no form of a member can be started, and the error of a member without a choice.
config::EnsembleSpec choose_models(const config::EnsembleSpec& spec, Options& options,
                                   const std::filesystem::path& worker);

/// A description that leaves no choice, and the options with what was measured on the way.
struct Chosen {
  Spec spec;
  Options options;
};
Chosen chosen(const Spec& spec, const Options& given, const std::filesystem::path& worker);

/// A description as a new version comes, whose choices are those of the running ensemble: the same form, else one of
/// the same kind, else one of the same library, else the first.
config::EnsembleSpec chosen_like(const config::EnsembleSpec& next, const config::EnsembleSpec& running);

}  // namespace tutti
