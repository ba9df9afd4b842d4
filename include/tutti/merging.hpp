// Merges the weights of members into one checkpoint: averages, task vectors, soups. What is written is that of `tutti
// merge` (docs/merging.md).
//
//   tutti::EnsembleSpec value = tutti::load_spec("ensemble.yaml").checked();
//   value.merge = tutti::MergeSpec{.method = tutti::MergeMethod::greedy_soup};
//   tutti::Merged soup = tutti::merge_weights(tutti::Spec(value));
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

namespace tutti {

/// How far a merge is.
struct MergeState {
  std::string step;         ///< "members" and "soup 2" of a soup, "statistics", "weights"
  std::uint64_t done = 0;   ///< images, or of weights bytes
  std::uint64_t total = 0;  ///< of this step
};

/// Settings of a merge that are not part of the description.
struct MergeOptions {
  std::filesystem::path worker{};  ///< as in Options

  /// Is called as the merge continues, one call at a time, on any thread. An exception ends the merge and leaves it.
  std::function<void(const MergeState&)> on_progress{};
  /// When a stop is requested, the merge is given up: Error(interrupted), which says what was written.
  std::stop_token stop{};
};

/// A decision of a greedy soup.
struct SoupChoice {
  std::string member;     ///< that was tried
  double accuracy = 0.0;  ///< of the soup with it, from 0 to 1
  bool added = false;     ///< it stayed in the soup
};

/// What a merge wrote. A value.
struct Merged {
  std::filesystem::path folder;    ///< with merge.json
  std::filesystem::path weights;   ///< the file
  std::filesystem::path model;     ///< what a description names: the file, or its folder as of Hugging Face
  std::vector<std::string> over;   ///< the members that became one
  std::vector<SoupChoice> soup;    ///< in the order of the decisions; empty: no soup
  std::vector<std::string> notes;  ///< decisions and warnings, for people
  std::string json;                ///< merge.json (docs/merging.md)
};

/// Merges the members of `spec` as its `merge` says, into its `output`. `tasks` hold out images of a soup, and are not
/// evaluated. Waits, and reads on several threads; workers are started only for a soup, or to estimate statistics.
/// Throws Error(usage), before anything is written, if there is no `merge`, or weights do not fit together;
/// Error(failed) if a file cannot be read or written, or a worker fails.
TUTTI_API Merged merge_weights(const Spec& spec, const MergeOptions& options = {});

}  // namespace tutti
