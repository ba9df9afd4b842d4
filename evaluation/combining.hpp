// Combines saved predictions by rules, and writes the results and the report into a folder: what `tutti combine` and
// tutti::combine() do. It starts nothing, and prints nothing.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include <tutti/combine.hpp>

#include "config/spec.hpp"
#include "evaluation/saved_run.hpp"
#include "results/report.hpp"

namespace tutti {

/// What is combined, by what.
struct CombineInput {
  config::EnsembleSpec spec;     ///< the description that counts
  std::filesystem::path source;  ///< the folder of the run; empty: arrays
  SavedRun run;
};

/// The run in `folder`, with `settings` applied to its description. Throws Error(usage) if it cannot be combined.
CombineInput saved_input(const std::filesystem::path& folder, const CombineOptions& options);
/// The run that `spec` names by its `output`; `name` is that of the description in messages.
CombineInput described_input(config::EnsembleSpec spec, const std::string& name, const CombineOptions& options);
CombineInput given_input(const SavedPredictions& predictions, const CombineOptions& options);

struct CombineResult {
  images::Report report;
  std::filesystem::path folder;
};
/// `stopped_by` says for the report who requested the stop. Throws Error as tutti::combine(). One thread.
CombineResult combine_saved(const CombineInput& input, const CombineOptions& options,
                            const std::function<std::string()>& stopped_by);

}  // namespace tutti
