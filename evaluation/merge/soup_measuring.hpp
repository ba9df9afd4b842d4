// Measures models side by side on the held-out images of a greedy soup, those of `merge` or those of every task. A pool
// lasts for one round, or for those tasks of it whose images have the same form.
#pragma once

#include <filesystem>
#include <vector>

#include <tutti/ensemble.hpp>

#include "config/spec.hpp"
#include "evaluation/evaluation_task.hpp"
#include "evaluation/merge/greedy_soup.hpp"
#include "evaluation/merge/merge_watcher.hpp"

namespace tutti {

class SoupMeasuring {
 public:
  /// Opens the images and heads. `watcher` outlives it. Throws Error if that fails, and Error(usage) if something
  /// does not fit together or has no labels or images.
  SoupMeasuring(const config::EnsembleSpec& spec, std::filesystem::path worker, MergeWatcher& watcher);

  /// How many candidates to measure at the same time: one for each core.
  std::size_t at_once() const;

  /// The score of each model. Throws Error if a worker fails, if models and tasks do not fit together, if an image has
  /// no prediction, or if it was given up.
  std::vector<SoupScore> operator()(const std::vector<config::MemberSpec>& models);

 private:
  /// The tasks from `first` on that one pool can process, up to the one that is returned.
  std::size_t measure_tasks(std::size_t first, const std::vector<config::MemberSpec>& models,
                            std::vector<SoupScore>& scores);
  void measure_task(Ensemble& ensemble, const EvaluationTask& task, std::vector<SoupScore>& scores) const;

  const config::EnsembleSpec spec_;  ///< its tasks have the held-out images as their input
  const std::vector<EvaluationTask> tasks_;
  const std::filesystem::path worker_;
  MergeWatcher& watcher_;
  int round_ = 0;
};

}  // namespace tutti
