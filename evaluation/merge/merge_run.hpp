// One merge, from its description to its report: weights of members become one file, a greedy soup chooses them, and
// statistics are estimated. It prints nothing; the watcher shows how far it is.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/spec.hpp"
#include "evaluation/merge/merge_folder.hpp"
#include "evaluation/merge/merge_report.hpp"
#include "evaluation/merge/merge_watcher.hpp"
#include "evaluation/merge/soup_measuring.hpp"
#include "evaluation/merge/statistics.hpp"
#include "evaluation/merge/weights_file.hpp"

namespace tutti {

class MergeRun {
 public:
  /// Finds every mistake in checkpoints, images and heads before anything is measured or merged. `spec` has a `merge`;
  /// `worker` is as in Options, and looked for only if one is needed; `watcher` outlives it. Throws Error(usage).
  MergeRun(config::EnsembleSpec spec, const std::filesystem::path& worker, MergeWatcher& watcher);

  /// Makes the folder of the result. Throws Error.
  void open_folder();
  /// Merges, and writes the weights and merge.json; after open_folder(). Throws Error; one that is interrupted says
  /// what was written.
  void perform();

  /// What a merge that is given up has written, for messages; any thread.
  std::string written() const;
  /// Whether it writes weights, so that there is a partial file; any thread.
  bool computing() const noexcept { return computing_; }

  MergeFolder& folder() { return *folder_; }
  const config::EnsembleSpec& spec() const noexcept { return spec_; }
  const MergeReport& report() const noexcept { return report_; }
  /// The inputs that became one.
  std::vector<merge::MergeInput> chosen() const;

 private:
  const merge::MergeInput* base() const { return report_.base ? &*report_.base : nullptr; }
  void prepare_estimation(const std::filesystem::path& worker);
  void cook();
  std::vector<SoupScore> measure_estimated(std::vector<config::MemberSpec> models);
  std::map<std::string, std::string> metadata(const std::vector<merge::MergeInput>& inputs) const;
  void merge_to(const merge::ByteSink& sink, const std::vector<merge::MergeInput>& inputs);
  std::optional<WeightsFile> average_and_estimate(const std::vector<merge::MergeInput>& inputs);
  void write_result();
  void write_report();

  const config::EnsembleSpec spec_;
  MergeWatcher& watcher_;
  merge::MergeSettings settings_;
  std::optional<SoupMeasuring> measuring_;  ///< greedy_soup, until it has chosen
  MergeReport report_;
  std::optional<StatisticsEstimation> estimation_;
  std::optional<MergeFolder> folder_;
  std::atomic<bool> computing_ = false;
  std::atomic<bool> in_place_ = false;
  std::atomic<bool> reported_ = false;
};

}  // namespace tutti
