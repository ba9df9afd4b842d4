// The names of the files that commands write into their run folder, and the removal of those of an earlier command.
// Weights (of a training, of a merge), journals, traces and all other files in the folder are not touched.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "results/run_folder.hpp"

namespace tutti::images {

/// The result of remove_results().
struct RemovedResults {
  std::size_t files = 0;
  std::string command;  ///< the command that wrote them: "run"
};

/// Removes the predictions and the report of an earlier command from `folder`, so that its files are then of one
/// command. If `folder` holds no report.json of Tutti, nothing is touched. Otherwise only these are removed:
///
///   report.json, tasks.svg
///   predictions.npy, predicted.npy, spread.npy, labels.npy, disagreement.npy, predictions.csv, and the .partial
///   version of each
///   members/*.npy
///   predictions/**/*.npy, predicted/**/*.npy, spread/**/*.npy,
///   members/*/**/*.npy                                            of inputs that have files of their own
///   masks/**/*.png
///   <rule>/predictions.npy, <rule>/predicted.npy, <rule>/predictions.csv      of every combine rule
///   tasks/<name>/ with the predictions, members and rules as above
///   what remove_unfinished() removes, if the folder has no journal
///
/// and the folders that are then empty. The report is removed last, so that the next removal completes one that was cut
/// off. No link is followed, a subfolder with its own report belongs to another command, and the files and folders of
/// `inputs` stay. Throws Error(failed) that names the file that could not be removed.
RemovedResults remove_results(const std::filesystem::path& folder, const std::vector<std::filesystem::path>& inputs);

/// The same for a run folder, and logs it. Returns whether there were any.
bool clear_results(const RunFolder& folder, const std::vector<std::filesystem::path>& inputs);

/// The folder for the rows of tiles while a run works.
inline constexpr const char* kTilesFolder = "tiles";

/// Removes the arrays of a run that was not finished (common/atomic_file.hpp): *.npy.unfinished of those above, in
/// `folder` and in members/ and tiles/. Call it if no journal needs them. Throws as remove_results().
void remove_unfinished(const std::filesystem::path& folder);

}  // namespace tutti::images
