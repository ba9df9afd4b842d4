// tutti::run_to_folder(): a PredictionRun that a program watches.
#include <tutti/run.hpp>

#include <memory>
#include <utility>

#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "evaluation/evaluated_row.hpp"
#include "evaluation/evaluation_report.hpp"
#include "evaluation/run/lacking.hpp"
#include "evaluation/run/prediction_run.hpp"
#include "results/table_columns.hpp"

namespace tutti {
namespace {

class ToldSamples final : public ShownImages {
 public:
  ToldSamples(const RunOptions& options, std::uint64_t total) : options_(options), total_(total) {}
  void show(std::uint64_t done) override {
    if (options_.on_progress) options_.on_progress({done, total_});
  }

 private:
  const RunOptions& options_;
  const std::uint64_t total_;
};

/// The options of the caller.
class RunCaller final : public CallerWatcher {
 public:
  explicit RunCaller(const RunOptions& options) : CallerWatcher(options.stop), options_(options) {}
  std::unique_ptr<ShownImages> show_images(const Ensemble& /*ensemble*/, const ShownWork& work) override {
    return std::make_unique<ToldSamples>(options_, work.total);
  }
  std::string resume_option() const override { return "'resume'"; }
  std::string resume_command(const std::filesystem::path& folder, bool named) const override {
    return named ? "tutti::run_to_folder() with 'resume'"
                 : "tutti::run_to_folder() with 'resume', and 'output' " + folder.string();
  }

 private:
  const RunOptions& options_;
};

}  // namespace

FolderRun run_to_folder(const Spec& spec, const RunOptions& options) {
  RunCaller caller(options);
  SessionSetup setup = setup_of("run", options);
  setup.resume = options.resume;
  PredictionRun run(std::move(setup), spec.checked(), images::asked_columns(options.csv), caller);
  run.perform();
  const images::Report& report = run.session().report();
  FolderRun done;
  done.folder = run.session().folder();
  done.images = report.counts.images;
  done.resumed = run.resumed();
  done.complete = run.whole() && !is_incomplete(report);
  if (report.evaluation) {
    for (const images::ModelReport& model : report.evaluation->models) done.rows.push_back(row_of(model, 0));
    done.table = evaluation_table(*report.evaluation);
  }
  done.json = read_text(done.folder / "report.json", "the report of the run");
  return done;
}

}  // namespace tutti
