// An evaluation of a description into a folder: every task goes through one pool, and each model and the members under
// each rule are scored from the same outputs. It prints nothing; the watcher shows how far it is. It keeps no journal.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tutti/error.hpp>
#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "evaluation/cascade_sweep.hpp"
#include "evaluation/evaluation.hpp"
#include "evaluation/evaluation_report.hpp"
#include "evaluation/evaluation_task.hpp"
#include "evaluation/hosted_models.hpp"
#include "evaluation/run/run_watcher.hpp"
#include "evaluation/run/session.hpp"
#include "results/run_folder.hpp"
#include "results/sinks.hpp"
#include "results/table_columns.hpp"

namespace tutti {

/// What is evaluated besides what the description says, and the rules of the setup.
struct EvaluationExtras {
  std::vector<std::string> merged{};           ///< as of host_models()
  std::vector<images::TableColumn> columns{};  ///< of predictions.csv; none: the usual ones
  bool cascade_sweep = false;                  ///< what other thresholds of the cascade would do
};

class EvaluationRun {
 public:
  /// Finds what a Session finds, and whether models, tasks, rules and labels fit together. `watcher` outlives it.
  /// Throws Error.
  EvaluationRun(SessionSetup setup, config::EnsembleSpec spec, EvaluationExtras extras, RunWatcher& watcher);
  EvaluationRun(const EvaluationRun&) = delete;
  EvaluationRun& operator=(const EvaluationRun&) = delete;

  /// Results go there, into a folder that this program has locked already.
  void work_in(images::RunFolder folder) { session_.work_in(std::move(folder)); }

  /// Evaluates, and writes results and report. If it throws Error, the report has the tasks that are finished, and the
  /// finished part of the current one.
  void perform();

  const Session& session() const { return session_; }
  /// What was found so far; nothing before the first task.
  const std::optional<images::EvaluationReport>& found() const { return session_.report().evaluation; }
  /// All tasks, in order.
  std::vector<TaskLength> lengths() const;
  /// Where the files of a task are.
  std::filesystem::path folder_of(std::size_t task) const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Files;  // of a task

  void check();
  void evaluate();
  void evaluate_task(std::size_t number);
  void note_sweep();
  /// Writes what is finished. If that fails, it is only logged, so that the reason why the run ended is not hidden.
  static void keep_partial(Files& files) noexcept;
  /// One pool serves all tasks, so the segment is that of the task with the most images.
  config::EnsembleSpec for_largest_task() const;
  /// One task is scored at a time.
  std::uint64_t held_scores() const;
  images::ResultForm saved_form(const EvaluationTask& task);
  std::uint32_t classes_of(const EvaluationTask& task);
  EvaluationForm form_for(const std::vector<MemberStatus>& models) const;
  Error in_task(const Error& error, const EvaluationTask& task) const;

  RunWatcher& watcher_;
  const EvaluationExtras extras_;
  const HostedModels hosting_;
  const EvaluationForm form_;
  std::vector<EvaluationTask> tasks_;
  std::optional<CascadeSweep> sweep_;
  Session session_;
};

}  // namespace tutti
