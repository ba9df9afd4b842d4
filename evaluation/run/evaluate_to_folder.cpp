// tutti::evaluate_to_folder(): an EvaluationRun that a program watches.
#include <memory>
#include <utility>

#include <tutti/evaluate.hpp>

#include "common/atomic_file.hpp"
#include "evaluation/evaluated_row.hpp"
#include "evaluation/evaluation_report.hpp"
#include "evaluation/run/evaluation_run.hpp"
#include "evaluation/run/lacking.hpp"
#include "results/table_columns.hpp"

namespace tutti {
namespace {

class ToldTask final : public ShownImages {
 public:
  ToldTask(const FolderEvaluationOptions& options, const ShownWork& work) : options_(options), work_(work) {}
  void show(std::uint64_t done) override {
    if (options_.on_progress) options_.on_progress({work_.what, work_.part.number, work_.part.of, done, work_.total});
  }

 private:
  const FolderEvaluationOptions& options_;
  const ShownWork work_;
};

/// The options of the caller. An evaluation is not continued.
class EvaluationCaller final : public CallerWatcher {
 public:
  explicit EvaluationCaller(const FolderEvaluationOptions& options) : CallerWatcher(options.stop), options_(options) {}
  std::unique_ptr<ShownImages> show_images(const Ensemble& /*ensemble*/, const ShownWork& work) override {
    return std::make_unique<ToldTask>(options_, work);
  }
  std::string resume_option() const override { return {}; }
  std::string resume_command(const std::filesystem::path& /*folder*/, bool /*named*/) const override { return {}; }

 private:
  const FolderEvaluationOptions& options_;
};

EvaluatedTask task_of(const EvaluationRun& run, std::size_t number) {
  const images::EvaluationReport& report = *run.found();
  const images::TaskReport& task = report.tasks[number];
  EvaluatedTask found{task.name, run.folder_of(number), task.images, task.seconds, {}, task.incomplete};
  for (const images::ModelReport& model : report.models) found.rows.push_back(row_of(model, number));
  return found;
}

}  // namespace

FolderEvaluation evaluate_to_folder(const Spec& spec, const FolderEvaluationOptions& options) {
  EvaluationCaller caller(options);
  EvaluationRun run(setup_of("evaluate", options), spec.checked(),
                    {options.merged, images::asked_columns(options.csv), options.cascade_sweep}, caller);
  run.perform();
  const images::EvaluationReport& report = *run.found();
  FolderEvaluation found;
  found.folder = run.session().folder();
  for (std::size_t number = 0; number < report.tasks.size(); ++number) found.tasks.push_back(task_of(run, number));
  for (const images::ModelReport& model : report.models) found.average.push_back(average_row(model));
  if (report.cascade_sweep)
    for (const images::SweepRow& row : report.cascade_sweep->rows)
      found.cascade.push_back({row.threshold, row.described, row.share, row.accuracy, row.seconds});
  found.complete = !is_incomplete(run.session().report());
  found.table = evaluation_table(report);
  found.json = read_text(found.folder / "report.json", "the report of the evaluation");
  return found;
}

}  // namespace tutti
