#include "evaluation/run/evaluation_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "common/clock.hpp"
#include "common/log.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/segments.hpp"
#include "evaluation/evaluating_sink.hpp"
#include "evaluation/label_scores.hpp"
#include "evaluation/run/advice.hpp"
#include "evaluation/run/run_report.hpp"
#include "evaluation/run/saved_labels.hpp"
#include "evaluation/spread_sink.hpp"
#include "evaluation/watched_sink.hpp"

namespace tutti {

EvaluationRun::EvaluationRun(SessionSetup setup, config::EnsembleSpec spec, EvaluationExtras extras,
                             RunWatcher& watcher)
    : watcher_(watcher),
      extras_(std::move(extras)),
      hosting_(without_saved(with_files(host_models(std::move(spec), extras_.merged)))),
      form_(form_of(hosting_, setup.rules)),
      tasks_(open_tasks(hosting_.described)),
      session_(std::move(setup), for_largest_task(), watcher, *tasks_.front().source, held_scores()) {
  if (!hosting_.described.cascade.empty()) log::info("the cascade is left out: every member predicts every image");
  if (hosting_.described.quorum) log::info("the quorum is left out: every member is waited for");
  warn_of(ignored_weights(hosting_.described, form_.rules));
  if (!extras_.cascade_sweep) return;
  if (const std::string why = why_not_swept(hosting_.described); !why.empty())
    throw Error(ErrorKind::usage, fmt::format("a cascade sweep is not possible: {}", why), {},
                "it shows what other thresholds of a cascade of one step would cost");
}

config::EnsembleSpec EvaluationRun::for_largest_task() const {
  const config::EnsembleSpec& spec = hosting_.hosted;
  InputForm form = form_of(*tasks_.front().source, spec, spec.input);
  for (const EvaluationTask& task : tasks_) form.images = std::max(*form.images, task.source->count());
  return with_segment(spec, form, false);
}

std::uint64_t EvaluationRun::held_scores() const {
  std::uint64_t most = 0;
  const std::size_t rows = hosting_.models.size() + form_.rules.size();
  for (const EvaluationTask& task : tasks_)
    if (task.other_labels) most = std::max(most, held_score_bytes(task.combine, *task.source, rows));
  return most;
}

std::vector<TaskLength> EvaluationRun::lengths() const {
  std::vector<TaskLength> all;
  for (const EvaluationTask& task : tasks_) all.push_back({task.name, task.source->count()});
  return all;
}

std::filesystem::path EvaluationRun::folder_of(std::size_t task) const {
  return hosting_.described.tasks.empty() ? session_.folder() : session_.folder() / "tasks" / tasks_[task].name;
}

void EvaluationRun::perform() {
  std::vector<images::MemberReport>& members = session_.report().members;
  members.resize(hosting_.models.size());
  for (std::size_t rank = 0; rank < members.size(); ++rank) members[rank].role = hosting_.models[rank].role;
  session_.perform([this] { check(); },
                   [this] {
                     session_.measure([this] { evaluate(); });
                     if (sweep_) note_sweep();
                   });
}

void EvaluationRun::check() {
  const std::vector<MemberStatus> models = session_.ensemble().status().members;
  check_widths(tasks_, models, form_.members, !form_.rules.empty());
  for (const EvaluationTask& task : tasks_) {
    if (extras_.columns.empty()) break;
    const Evaluation evaluation(form_for(models), task.head_or_null());
    images::check_table(extras_.columns, !form_.rules.empty() && evaluation.has_classes(), *task.source,
                        classes_of(task));
  }
  for (const EvaluationTask& task : tasks_)
    if (!task.head && task.class_names.empty()) warn_of(doubts(hosting_.described, *task.source, models));
}

void EvaluationRun::note_sweep() {
  images::Report& report = session_.report();
  std::vector<std::optional<double>> seconds;
  for (const images::MemberReport& member : report.members) {
    std::optional<double> each;
    if (member.images > 0 && member.busy_seconds) each = *member.busy_seconds / static_cast<double>(member.images);
    seconds.push_back(each);
  }
  report.evaluation->cascade_sweep = sweep_->report(seconds);
}

void EvaluationRun::evaluate() {
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

images::ResultForm EvaluationRun::saved_form(const EvaluationTask& task) {
  images::ResultForm form;
  form.images = task.source->count();
  form.labels = task.source->labelled();
  for (const MemberStatus& model : session_.ensemble().status().members)
    form.members.push_back({model.name, model.output});
  return form;
}

std::uint32_t EvaluationRun::classes_of(const EvaluationTask& task) {
  return task.head ? task.head->classes() : session_.ensemble().status().members.front().width();
}

EvaluationForm EvaluationRun::form_for(const std::vector<MemberStatus>& models) const {
  EvaluationForm form = form_;
  form.output = models.front().output;
  return form;
}

/// The files of a task, each only if it was asked for. The scores come first, and then what is saved.
struct EvaluationRun::Files {
  std::optional<images::NpySink> saved;
  std::optional<SpreadSink> spread;
  std::optional<EvaluatingSink> evaluating;
};

void EvaluationRun::evaluate_task(std::size_t number) {
  EvaluationTask& task = tasks_[number];
  const std::filesystem::path folder = images::make_run_folder(folder_of(number), {});
  const std::vector<MemberStatus> models = session_.ensemble().status().members;
  const std::uint64_t count = task.source->count();
  Evaluation evaluation(form_for(models), task.head_or_null());
  if (task.other_labels) evaluation.compare_with({*task.source, task.input.ignore_index, outputs_of(models)});
  Files files;
  Sink* next = session_.spec().save_members ? &files.saved.emplace(folder, saved_form(task)) : nullptr;
  if (const config::EnsembleSpec& spec = hosting_.described; spec.combine.spread)
    next = &files.spread.emplace(folder, spec.combine, spec.failure.on_nan, form_.members, models.front().output, count,
                                 next);
  if (extras_.cascade_sweep) next = &sweep_.emplace(hosting_.described, form_.weights, next);
  EvaluatingSink& evaluating = files.evaluating.emplace(evaluation, folder, count, next);
  if (!form_.rules.empty() && evaluation.has_classes())
    evaluating.add_table(folder / "predictions.csv", *task.source, classes_of(task), extras_.columns);
  const std::unique_ptr<ShownImages> shown =
      watcher_.show_images(session_.ensemble(), {task.name, count, 0, {number, tasks_.size()}});
  WatchedSink sink(evaluating, *shown);
  const Clock::time_point begin = Clock::now();
  const auto note = [&] {
    add_task(*session_.report().evaluation, task.report(), evaluation, sink.incomplete(), seconds_since(begin), 0);
  };
  try {
    session_.ensemble().run(*task.source, sink);
  } catch (const Error& error) {
    if (evaluation.images() > 0) note();
    if (error.kind() == ErrorKind::interrupted) keep_partial(files);
    throw in_task(error, task);
  }
  evaluating.finish();
  if (files.saved && has_other_labels(*task.source)) save_labels(folder, *task.source);
  if (files.saved) files.saved->finish();
  if (files.spread) files.spread->finish();
  note();
}

void EvaluationRun::keep_partial(Files& files) noexcept {
  try {
    files.evaluating->finish_partial();
    if (files.saved) files.saved->finish_partial();
    if (files.spread) files.spread->finish_partial();
  } catch (const std::exception& error) {
    log::error("could not write the finished part: {}", error.what());
  }
}

Error EvaluationRun::in_task(const Error& error, const EvaluationTask& task) const {
  if (tasks_.size() == 1 || error.kind() == ErrorKind::interrupted) return error;
  return Error(error.kind(), fmt::format("task '{}': {}", task.name, error.message()), error.detail(), error.hint());
}

}  // namespace tutti
