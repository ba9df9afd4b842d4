#include "evaluation/merge/soup_measuring.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "common/usable_cores.hpp"
#include "evaluation/evaluating_sink.hpp"
#include "evaluation/evaluation.hpp"
#include "evaluation/watched_sink.hpp"

namespace tutti {
namespace {

/// The models side by side on these images; their outputs are not combined.
config::EnsembleSpec side_by_side(const config::EnsembleSpec& spec, const std::vector<config::MemberSpec>& models,
                                  const config::InputSpec& input) {
  config::EnsembleSpec side(spec);
  side.members = models;
  // Every round has the first form: which one is fastest is not worth trials in each of them.
  for (config::MemberSpec& member : side.members) member.model.candidates.clear();
  side.workers.clear();
  side.ask_all();
  side.input = input;
  side.combine = {};
  side.combine.rule = CombineRule::none;
  side.combine.over = spec.combine.over;
  side.tasks.clear();
  side.save_members = false;
  return side;
}

void check_complete(const EvaluationTask& task, const std::vector<IncompleteSegment>& incomplete) {
  if (incomplete.empty()) return;
  const IncompleteSegment& first = incomplete.front();
  throw Error(ErrorKind::failed, "the soup's candidates cannot be compared: some did not predict all held-out images",
              fmt::format("{}images {} to {}", task.name.empty() ? "" : fmt::format("task '{}', ", task.name),
                          first.first, first.first + first.count - 1));
}

}  // namespace

SoupMeasuring::SoupMeasuring(const config::EnsembleSpec& spec, std::filesystem::path worker, MergeWatcher& watcher)
    : spec_(by_held_out(spec)), tasks_(open_held_out(spec_)), worker_(std::move(worker)), watcher_(watcher) {}

std::size_t SoupMeasuring::at_once() const { return usable_cores(); }

std::vector<SoupScore> SoupMeasuring::operator()(const std::vector<config::MemberSpec>& models) {
  std::vector<SoupScore> scores(models.size());
  for (std::size_t first = 0; first < tasks_.size();) first = measure_tasks(first, models, scores);
  ++round_;
  for (SoupScore& score : scores) {
    const double sum = std::accumulate(score.tasks.begin(), score.tasks.end(), 0.0);
    score.accuracy = sum / static_cast<double>(score.tasks.size());
    if (tasks_.front().name.empty()) score.tasks.clear();
  }
  return scores;
}

std::size_t SoupMeasuring::measure_tasks(std::size_t first, const std::vector<config::MemberSpec>& models,
                                         std::vector<SoupScore>& scores) {
  Options options;
  options.worker = worker_;
  options.stop = watcher_.stop();
  Ensemble ensemble(
      Spec(std::make_shared<const config::EnsembleSpec>(side_by_side(spec_, models, spec_.tasks[first].input))),
      options);
  const std::shared_ptr<void> guard = watcher_.guard(ensemble);
  // Opens all tasks before anything is computed.
  if (first == 0) check_widths(tasks_, ensemble.status().members, models.size(), false);
  std::size_t next = first;
  while (next < tasks_.size() && same_form(spec_, tasks_, first, next)) measure_task(ensemble, tasks_[next++], scores);
  return next;
}

void SoupMeasuring::measure_task(Ensemble& ensemble, const EvaluationTask& task, std::vector<SoupScore>& scores) const {
  const std::string round = round_ == 0 ? "members" : fmt::format("soup {}", round_);
  const std::unique_ptr<ShownImages> shown = watcher_.show_images(
      ensemble, {task.name.empty() ? round : fmt::format("{}, {}", round, task.name), task.source->count()});
  Evaluation evaluation({spec_.combine.over, 0, {}, {}}, task.head_or_null());
  EvaluatingSink evaluating(evaluation);
  WatchedSink sink(evaluating, *shown);
  ensemble.run(*task.source, sink);
  check_complete(task, sink.incomplete());
  for (std::size_t model = 0; model < scores.size(); ++model)
    scores[model].tasks.push_back(evaluation.models()[model]->accuracy().value());
}

}  // namespace tutti
