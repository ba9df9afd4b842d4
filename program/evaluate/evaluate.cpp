// `tutti evaluate`: runs every task through one pool, and scores each model and the members under each rule from the
// same outputs.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/clock.hpp"
#include "common/log.hpp"
#include "config/rules.hpp"
#include "coordinator/plan/segments.hpp"
#include "evaluation/evaluating_sink.hpp"
#include "evaluation/evaluation_report.hpp"
#include "evaluation/evaluation_task.hpp"
#include "evaluation/hosted_models.hpp"
#include "evaluation/label_scores.hpp"
#include "evaluation/run/advice.hpp"
#include "evaluation/run/run_report.hpp"
#include "evaluation/run/saved_labels.hpp"
#include "evaluation/spread_sink.hpp"
#include "program/commands.hpp"
#include "program/evaluate/cascade_sweep.hpp"
#include "program/evaluate/picture.hpp"
#include "program/progress.hpp"
#include "program/say.hpp"
#include "program/session.hpp"
#include "program/task_sink.hpp"
#include "results/run_folder.hpp"
#include "results/sinks.hpp"
#include "results/table_columns.hpp"

namespace tutti::program {
namespace {

using Clock = std::chrono::steady_clock;

class Evaluate {
 public:
  Evaluate(const CommandLine& line, Interruption& interruption)
      : line_(line),
        hosting_(without_saved(with_files(host_models(load(line, "evaluate"), line.merged)))),
        form_(form_of(hosting_, line.rules)),
        tasks_(open_tasks(hosting_.described)),
        user_(line, interruption),
        session_(setup_of("evaluate", line), for_largest_task(), user_, *tasks_.front().source, held_scores()) {
    columns_ = images::asked_columns(line.csv);
    if (!hosting_.described.cascade.empty()) log::info("the cascade is left out: every member predicts every image");
    if (hosting_.described.quorum) log::info("the quorum is left out: every member is waited for");
    warn_of(ignored_weights(hosting_.described, form_.rules));
    if (!line.picture.empty()) check_picture(line.picture);
    if (!line.cascade_sweep) return;
    if (const std::string why = why_not_swept(hosting_.described); !why.empty())
      throw Error(ErrorKind::usage, fmt::format("--cascade-sweep is not possible: {}", why), {},
                  "it shows what other thresholds of a cascade of one step would cost");
  }

  void work_in(images::RunFolder folder) { session_.work_in(std::move(folder)); }

  Outcome perform() {
    session_.report().members.resize(hosting_.models.size());
    for (std::size_t rank = 0; rank < hosting_.models.size(); ++rank)
      session_.report().members[rank].role = hosting_.models[rank].role;
    try {
      session_.perform([this] { check(); },
                       [this] {
                         session_.measure([this] { evaluate(); });
                         if (sweep_) note_sweep();
                       });
    } catch (...) {
      say_finished();
      throw;
    }
    const images::EvaluationReport& found = *session_.report().evaluation;
    const std::string sweep = found.cascade_sweep ? sweep_table(*found.cascade_sweep) : "";
    const Outcome outcome = conclude(session_, line_, evaluation_table(found) + sweep, "");
    if (!line_.picture.empty()) draw(found);
    return outcome;
  }

 private:
  void draw(const images::EvaluationReport& found) const {
    if (found.cascade_sweep && !found.cascade_sweep->rows.empty())
      write_sweep_picture(line_.picture, *found.cascade_sweep);
    else if (has_picture(found))
      write_picture(line_.picture, found);
    else
      log::warning("{} was not drawn: no model has a figure to show", line_.picture.string());
  }

  void check() {
    const std::vector<MemberStatus> models = session_.ensemble().status().members;
    check_widths(tasks_, models, form_.members, !form_.rules.empty());
    for (const EvaluationTask& task : tasks_)
      if (!columns_.empty()) {
        const Evaluation evaluation(form_for(models), task.head_or_null());
        images::check_table(columns_, !form_.rules.empty() && evaluation.has_classes(), *task.source, classes_of(task));
      }
    for (const EvaluationTask& task : tasks_)
      if (!task.head && task.class_names.empty()) warn_of(doubts(hosting_.described, *task.source, models));
  }

  void note_sweep() {
    images::Report& report = session_.report();
    std::vector<std::optional<double>> seconds;
    for (const images::MemberReport& member : report.members) {
      std::optional<double> each;
      if (member.images > 0 && member.busy_seconds) each = *member.busy_seconds / static_cast<double>(member.images);
      seconds.push_back(each);
    }
    report.evaluation->cascade_sweep = sweep_->report(seconds);
  }

  /// One pool serves all tasks, so the segment is that of the task with the most images.
  config::EnsembleSpec for_largest_task() const {
    const config::EnsembleSpec& spec = hosting_.hosted;
    InputForm form = form_of(*tasks_.front().source, spec, spec.input);
    for (const EvaluationTask& task : tasks_) form.images = std::max(*form.images, task.source->count());
    return with_segment(spec, form, false);
  }

  /// One task is scored at a time.
  std::uint64_t held_scores() const {
    std::uint64_t most = 0;
    for (const EvaluationTask& task : tasks_)
      if (task.other_labels)
        most =
            std::max(most, held_score_bytes(task.combine, *task.source, hosting_.models.size() + form_.rules.size()));
    return most;
  }

  /// For an evaluation that ended early: reports what is finished.
  void say_finished() const {
    const auto& found = session_.report().evaluation;
    if (line_.quiet || !found || found->tasks.empty()) return;
    std::vector<TaskLength> all;
    for (const EvaluationTask& task : tasks_) all.push_back({task.name, task.source->count()});
    say(stdout, evaluation_table(*found) + unfinished_tasks_text(*found, all));
  }

  void evaluate() {
    session_.report().evaluation = begin_evaluation(hosting_.models, form_);
    const Clock::time_point begin = Clock::now();
    const auto note = [&] {
      images::Report& report = session_.report();
      add_status(report, session_.ensemble().status());
      add_parameters(*report.evaluation, report.members);
      report.phases.predict = seconds_since(begin);
      report.counts.images = 0;
      for (const images::TaskReport& task : report.evaluation->tasks) report.counts.images += task.images;
    };
    try {
      for (std::size_t number = 0; number < tasks_.size(); ++number) evaluate_task(number);
    } catch (...) {
      note();
      throw;
    }
    note();
  }

  std::filesystem::path folder_of(const EvaluationTask& task) const {
    const std::filesystem::path folder =
        session_.spec().tasks.empty() ? session_.folder() : session_.folder() / "tasks" / task.name;
    return images::make_run_folder(folder, {});
  }

  images::ResultForm saved_form(const EvaluationTask& task) {
    images::ResultForm form;
    form.images = task.source->count();
    form.labels = task.source->labelled();
    for (const MemberStatus& model : session_.ensemble().status().members)
      form.members.push_back({model.name, model.output});
    return form;
  }

  std::uint32_t classes_of(const EvaluationTask& task) {
    return task.head ? task.head->classes() : session_.ensemble().status().members.front().width();
  }

  EvaluationForm form_for(const std::vector<MemberStatus>& models) const {
    EvaluationForm form = form_;
    form.output = models.front().output;
    return form;
  }

  void evaluate_task(std::size_t number) {
    EvaluationTask& task = tasks_[number];
    const std::filesystem::path folder = folder_of(task);
    const std::vector<MemberStatus> models = session_.ensemble().status().members;
    Evaluation evaluation(form_for(models), task.head_or_null());
    if (task.other_labels) evaluation.compare_with({*task.source, task.input.ignore_index, outputs_of(models)});
    std::optional<images::NpySink> saved;
    if (session_.spec().save_members) saved.emplace(folder, saved_form(task));
    Sink* next = saved ? &*saved : nullptr;
    std::optional<SpreadSink> spread;
    if (const config::EnsembleSpec& spec = hosting_.described; spec.combine.spread)
      next = &spread.emplace(folder, spec.combine, spec.failure.on_nan, form_.members, models.front().output,
                             task.source->count(), next);
    if (line_.cascade_sweep) next = &sweep_.emplace(hosting_.described, form_.weights, next);
    EvaluatingSink evaluating(evaluation, folder, task.source->count(), next);
    if (!form_.rules.empty() && evaluation.has_classes())
      evaluating.add_table(folder / "predictions.csv", *task.source, classes_of(task), columns_);
    Progress progress(style_for(stderr, line_.quiet), task.name, task.source->count(), 0,
                      [this] { return session_.ensemble().status(); }, {number, tasks_.size()});
    TaskSink sink(evaluating, progress);
    const Clock::time_point begin = Clock::now();
    const auto note = [&] {
      add_task(*session_.report().evaluation, task.report(), evaluation, sink.incomplete(), seconds_since(begin), 0);
    };
    try {
      session_.ensemble().run(*task.source, sink);
    } catch (const Error& error) {
      if (evaluation.images() > 0) note();
      if (error.kind() == ErrorKind::interrupted) keep_partial(evaluating, saved, spread);
      throw in_task(error, task);
    }
    evaluating.finish();
    if (saved && has_other_labels(*task.source)) save_labels(folder, *task.source);
    if (saved) saved->finish();
    if (spread) spread->finish();
    note();
  }

  /// Writes what is finished. If that fails, it is only logged, so that the reason why the run ended is not hidden.
  static void keep_partial(EvaluatingSink& evaluating, std::optional<images::NpySink>& saved,
                           std::optional<SpreadSink>& spread) noexcept {
    try {
      evaluating.finish_partial();
      if (saved) saved->finish_partial();
      if (spread) spread->finish_partial();
    } catch (const std::exception& error) {
      log::error("could not write the finished part: {}", error.what());
    }
  }

  Error in_task(const Error& error, const EvaluationTask& task) const {
    if (tasks_.size() == 1 || error.kind() == ErrorKind::interrupted) return error;
    return Error(error.kind(), fmt::format("task '{}': {}", task.name, error.message()), error.detail(), error.hint());
  }

  const CommandLine& line_;
  const HostedModels hosting_;
  const EvaluationForm form_;
  std::vector<images::TableColumn> columns_;  ///< of --csv
  std::vector<EvaluationTask> tasks_;
  std::optional<CascadeSweep> sweep_;
  User user_;
  Session session_;
};

}  // namespace

Outcome evaluate(const CommandLine& line, Interruption& interruption) { return Evaluate(line, interruption).perform(); }

Outcome evaluate(const CommandLine& line, Interruption& interruption, images::RunFolder folder) {
  Evaluate evaluation(line, interruption);
  evaluation.work_in(std::move(folder));
  return evaluation.perform();
}

}  // namespace tutti::program
