// A prediction of all images of a description into a folder: it keeps a journal, and can be resumed. It prints nothing;
// the watcher shows how far it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <tutti/error.hpp>
#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "evaluation/evaluating_sink.hpp"
#include "evaluation/run/rule_evaluation.hpp"
#include "evaluation/run/run_files.hpp"
#include "evaluation/run/run_watcher.hpp"
#include "evaluation/run/scoreboard.hpp"
#include "evaluation/run/session.hpp"
#include "images/tiles.hpp"
#include "results/journal.hpp"
#include "results/table_columns.hpp"

namespace tutti {

class PredictionRun {
 public:
  /// A new run, or with `setup.resume` one that is continued. `columns` of predictions.csv; none: the usual ones. Finds
  /// what a Session finds, and whether an earlier run is in the way. `watcher` outlives it. Throws Error.
  PredictionRun(SessionSetup setup, config::EnsembleSpec spec, std::vector<images::TableColumn> columns,
                RunWatcher& watcher);
  PredictionRun(const PredictionRun&) = delete;
  PredictionRun& operator=(const PredictionRun&) = delete;

  /// Predicts, and writes results and report. Throws Error that says what is finished and how to continue.
  void perform();

  // After perform().
  const Session& session() const { return session_; }
  /// Every segment is finished: none has to be computed again.
  bool whole() const { return whole_; }
  /// How many of the segments an earlier run had finished.
  std::uint64_t resumed() const { return resumed_; }
  /// Rules were evaluated, too: their figures are in the report.
  bool has_rules() const { return rules_.has_value(); }
  /// How to compute the segments again that lack something.
  std::string command() const;

 private:
  const images::Tiling* tiling() { return images::tiling_of(session_.source()); }
  void find_journal();
  /// With `batch_images: auto`, a run continues with the batches that it measured at its start.
  void use_batches_of(const images::JournalHeader& begun);
  void check();
  /// Tiles are put together again, and have no table.
  void check_columns(std::uint32_t classes);
  void predict();
  /// Returns the sink of the rules, or null if there are none.
  EvaluatingSink* open_files(const Status& status);
  /// Whether labels are kept that the sink of the results does not get.
  bool saves_labels(const Status& status);
  void note_rules(std::uint64_t known);
  void open_journal(const Status& status);
  void compute_missing(Scoreboard& board, const Status& status);
  void note_blended();
  void note_finished();
  /// Writes what is finished. If that fails, it is only logged, so that the reason why the run ended is not hidden.
  void keep_partial() noexcept;
  /// The error, and how to continue from what is finished; if nothing is finished, the journal is removed. If the
  /// description or its images are wrong (a label that is not a class, an image that cannot be decoded), a run with
  /// corrected ones is a different run, and the finished segments may not belong to it. A file that was missing for a
  /// while does not make it a different run.
  Error with_resumption(const Error& error);

  RunWatcher& watcher_;
  const bool resume_;
  Session session_;
  const std::vector<images::TableColumn> columns_;
  std::optional<RuleEvaluation> rules_;
  std::optional<images::Journal> journal_;
  std::optional<RunFiles> files_;
  images::JournalHeader header_;
  std::uint64_t resumed_ = 0;
  bool whole_ = false;
  bool goes_on_ = false;  ///< the journal belongs to this run, and its images are being computed
};

}  // namespace tutti
