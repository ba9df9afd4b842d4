// The names of what commands write into their output folder, and what happens to those of an earlier command. Weights
// (of a training, of a merge), journals, traces and whatever else lies there are none of these.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace tutti::images {

/// What remove_results() did.
struct RemovedResults {
  std::size_t files = 0;
  std::string command;  ///< that had written them: "run"
};

/// Removes the answers and the report of an earlier command from `folder`, so that what is there afterwards is of one
/// command. If `folder` holds no report.json of Tutti nothing is touched: its files are somebody else's. Otherwise
/// these go, and no others:
///
///   report.json, tasks.svg
///   predictions.npy, predicted.npy, labels.npy, disagreement.npy, predictions.csv, and the .partial ones of all
///   members/*.npy
///   <rule>/predictions.npy, <rule>/predicted.npy                  of every combine rule
///   tasks/<name>/ with the answers, members and rules of above
///
/// and the folders that this empties. The report goes last, so that a removal that was cut off is done by the next one.
/// No link is followed, a folder below with a report of its own is another command's, and the files of `inputs` stay.
/// Throws Error(failed) that names the file that could not be removed.
RemovedResults remove_results(const std::filesystem::path& folder, const std::vector<std::filesystem::path>& inputs);

}  // namespace tutti::images
