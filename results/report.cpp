// The report as JSON.
#include "results/report.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "common/atomic_file.hpp"
#include "common/utf8.hpp"
#include "results/json_values.hpp"
#include "results/status_json.hpp"

namespace tutti::images {
namespace {

using as_json::list;
using as_json::number;
using as_json::or_null;

json::value epoch_json(const EpochReport& epoch) {
  return {{"epoch", epoch.epoch},
          {"loss", number(epoch.loss)},
          {"accuracy", number(epoch.accuracy)},
          {"seconds", number(epoch.seconds)}};
}

json::array rows_json(const std::vector<std::vector<std::uint64_t>>& rows) {
  return list(rows, [](const std::vector<std::uint64_t>& counts) { return json::array(counts.begin(), counts.end()); });
}

/// The fields depend on the kind.
json::value figures_json(const std::optional<Figures>& scores) {
  if (!scores) return nullptr;
  json::object object{{"kind", scores->kind}, {"compared", scores->compared}};
  for (const Figure& figure : scores->figures) object[figure.name] = number(figure.value);
  for (const FigureList& figures : scores->lists) object[figures.name] = list(figures.values, number);
  if (scores->kind == "masks") object["confusion_matrix"] = rows_json(scores->confusion_matrix);
  if (scores->kind == "labels") object["left_out"] = or_null(scores->left_out);
  return object;
}

json::value member_json(const MemberReport& member, std::size_t rank) {
  const MemberStatus& status = member.status;
  const auto if_hosted = [&](double value) { return member.hosted ? number(value) : json::value(nullptr); };
  return {{"name", status.name},
          {"rank", rank},
          {"role", member.role},
          {"kind", status.kind},
          {"library", or_null(status.backend.empty() ? std::optional<std::string>() : status.backend)},
          {"note", as_utf8(status.note)},
          {"device", status.device},
          {"cores", json::array(status.cores.begin(), status.cores.end())},
          {"threads", status.threads},
          {"batch_images", status.batch_images},
          {"batch_images_measured", status.batch_images_measured},
          {"batch_speeds", list(status.batch_speeds, speed_json)},
          {"forms", list(status.forms, form_json)},
          {"modes", list(status.modes, form_json)},
          {"replicas", list(status.replicas, replica_json)},
          {"same_bits", status.same_bits},
          {"stages", stages_json(status)},
          {"worker", status.worker},
          {"pid", status.pid != 0 ? json::value(status.pid) : json::value(nullptr)},
          {"parameters", status.parameters},
          {"outputs", outputs_json(status.parts)},
          {"steps", json::array(status.steps.begin(), status.steps.end())},
          {"accuracy", number(member.accuracy)},
          {"loss", number(member.loss)},
          {"calibration_error", number(member.calibration_error)},
          {"scores", figures_json(member.scores)},
          {"busy_seconds", number(member.busy_seconds)},
          {"images", member.images},
          {"images_per_second", number(member.images_per_second)},
          {"load_seconds", if_hosted(status.load_seconds)},
          {"warm_up_seconds", if_hosted(status.warm_up_seconds)},
          {"pss_bytes", or_null(status.pss_bytes)},
          {"segments_handed_out", status.segments_handed_out},
          {"segments_answered", status.segments_answered},
          {"epochs", list(member.epochs, epoch_json)},
          {"weights", or_null(member.weights)},
          {"state", member.hosted ? to_text(status.state) : ""},
          {"generation", status.generation},
          {"deaths", status.deaths},
          {"absent_reason", status.absent_reason.empty() ? json::value(nullptr) : json::value(status.absent_reason)},
          {"absent_from_segment", or_null(status.absent_from_segment)}};
}

json::array members_json(const std::vector<MemberReport>& members) {
  json::array rows;
  for (const MemberReport& member : members) rows.push_back(member_json(member, rows.size()));
  return rows;
}

const std::string& name_of(const MemberReport& member) { return member.status.name; }
const std::string& name_of(const ModelReport& model) { return model.name; }

/// `named` are the rows of members or models whose ranks the segments tell.
template <class Named>
json::array incomplete_json(const std::vector<IncompleteSegment>& segments, const std::vector<Named>& named) {
  return list(segments, [&](const IncompleteSegment& lacks) -> json::value {
    return {{"first", lacks.first},
            {"count", lacks.count},
            {"members_present", lacks.members_present},
            {"absent", list(lacks.absent, [&](std::size_t rank) { return json::value(name_of(named.at(rank))); })},
            {"set_aside", lacks.set_aside}};
  });
}

json::value spread_json(const std::optional<SpreadReport>& spread) {
  if (!spread) return nullptr;
  return json::object{{"kind", spread->kind}, {"shape", json::array(spread->shape.begin(), spread->shape.end())}};
}

json::value cascade_json(const CascadeReport& step) {
  const auto names = [](const std::vector<std::string>& list) { return json::array(list.begin(), list.end()); };
  std::optional<double> share;
  if (step.of > 0) share = static_cast<double>(step.images) / static_cast<double>(step.of);
  return {{"after", names(step.after)},  {"when", step.when},
          {"threshold", step.threshold}, {"then", names(step.then)},
          {"images", step.images},       {"of", step.of},
          {"share", number(share)},      {"saved_seconds", number(step.saved_seconds)}};
}

json::value ensemble_json(const EnsembleReport& ensemble, const std::vector<MemberReport>& members) {
  return {{"rule", ensemble.rule},
          {"over", ensemble.over},
          {"accuracy", number(ensemble.accuracy)},
          {"loss", number(ensemble.loss)},
          {"calibration_error", number(ensemble.calibration_error)},
          {"scores", figures_json(ensemble.scores)},
          {"spread", spread_json(ensemble.spread)},
          {"seconds", number(ensemble.seconds)},
          {"images", ensemble.images},
          {"images_per_second", number(ensemble.images_per_second)},
          {"confusion_matrix", rows_json(ensemble.confusion_matrix)},
          {"per_class_accuracy", list(ensemble.per_class_accuracy, number)},
          {"cascade", list(ensemble.cascade, cascade_json)},
          {"incomplete", incomplete_json(ensemble.incomplete, members)}};
}

json::value phases_json(const PhasesReport& phases) {
  return {{"start_up", number(phases.start_up)},         {"warm_up", number(phases.warm_up)},
          {"batch_search", number(phases.batch_search)}, {"train", number(phases.train)},
          {"predict", number(phases.predict)},           {"total", number(phases.total)}};
}

json::object score_json(const ScoreReport& score) {
  return {{"accuracy", number(score.accuracy)},
          {"loss", number(score.loss)},
          {"calibration_error", number(score.calibration_error)},
          {"images", score.images},
          {"scores", figures_json(score.scores)}};
}

/// The name that FusionBench uses; in spite of it, the value is a fraction of 1.
json::value model_info_json(const ModelReport& model) {
  std::optional<double> part;
  if (model.all_params > 0) part = static_cast<double>(model.trainable_params) / static_cast<double>(model.all_params);
  return {{"trainable_params", model.trainable_params},
          {"all_params", model.all_params},
          {"trainable_percentage", number(part)}};
}

json::value model_json(const ModelReport& model, const std::vector<TaskReport>& names) {
  json::object tasks;
  for (std::size_t i = 0; i < model.tasks.size() && i < names.size(); ++i)
    tasks[names[i].name] = score_json(model.tasks[i]);
  return {{"name", model.name},
          {"role", model.role},
          {"rule", or_null(model.rule)},
          {"over", or_null(model.over)},
          {"model_info", model_info_json(model)},
          {"tasks", std::move(tasks)},
          {"average", score_json(average_of(model.tasks))}};
}

json::value disagreement_json(const DisagreementReport& mean) {
  return {{"entropy", number(mean.entropy)},
          {"mutual_information", number(mean.mutual_information)},
          {"variance", number(mean.variance)},
          {"dissent", number(mean.dissent)},
          {"images", mean.images}};
}

json::value task_json(const TaskReport& task, const std::vector<ModelReport>& models) {
  return {{"name", task.name},
          {"source", task.source},
          {"head", or_null(task.head)},
          {"classes", task.classes},
          {"images", task.images},
          {"seconds", number(task.seconds)},
          {"images_per_second", number(task.images_per_second)},
          {"disagreement", task.disagreement ? disagreement_json(*task.disagreement) : json::value(nullptr)},
          {"incomplete", incomplete_json(task.incomplete, models)}};
}

json::value sweep_json(const std::optional<SweepReport>& sweep) {
  if (!sweep) return nullptr;
  return json::object{{"when", sweep->when}, {"rows", list(sweep->rows, [](const SweepRow& row) -> json::value {
                                                return {{"threshold", number(row.threshold)},
                                                        {"described", row.described},
                                                        {"share", row.share},
                                                        {"accuracy", row.accuracy},
                                                        {"seconds_per_1000", number(row.seconds)}};
                                              })}};
}

json::value memory_json(const MemoryReport& memory) {
  const auto bound = [](const Bound& term) { return json::object{{"name", term.name}, {"bytes", term.bytes}}; };
  return {{"pss_bytes_family", or_null(memory.pss_bytes_family)},
          {"arena_bytes", memory.arena_bytes},
          {"bounds", list(memory.bounds, bound)}};
}

json::value skipped_json(const SkippedReport& skipped) {
  json::array first;
  for (const std::string& name : skipped.first) first.emplace_back(as_utf8(name));
  return {{"count", skipped.count}, {"first", std::move(first)}};
}

json::value finished_json(const FinishedReport& finished) {
  const auto range = [](const ImageRange& images) {
    return json::object{{"first", images.first}, {"count", images.count}};
  };
  return {{"segments", finished.segments},   {"of", finished.of},           {"images", finished.images},
          {"of_images", finished.of_images}, {"resumed", finished.resumed}, {"ranges", list(finished.ranges, range)}};
}

/// Nothing if a task has none, or figures of another kind.
std::optional<Figures> average_figures(const std::vector<ScoreReport>& tasks) {
  std::optional<Figures> average;
  for (const ScoreReport& task : tasks) {
    if (!task.scores || (average && task.scores->kind != average->kind)) return std::nullopt;
    if (!average) {
      average = Figures{task.scores->kind, 0, task.scores->figures, {}, {}, {}};
      for (Figure& figure : average->figures) figure.value = 0.0;
    }
    average->compared += task.scores->compared;
    for (Figure& figure : average->figures) {
      const std::optional<double> value = task.scores->value(figure.name);
      figure.value = figure.value && value ? std::optional(*figure.value + *value) : std::nullopt;
    }
  }
  if (!average) return average;
  for (Figure& figure : average->figures)
    if (figure.value) *figure.value /= static_cast<double>(tasks.size());
  return average;
}

}  // namespace

ScoreReport average_of(const std::vector<ScoreReport>& tasks) {
  const auto mean = [&](std::optional<double> ScoreReport::*figure) -> std::optional<double> {
    double sum = 0;
    for (const ScoreReport& task : tasks) {
      if (!(task.*figure)) return std::nullopt;
      sum += *(task.*figure);
    }
    return tasks.empty() ? std::nullopt : std::optional(sum / static_cast<double>(tasks.size()));
  };
  ScoreReport average{mean(&ScoreReport::accuracy), mean(&ScoreReport::loss), mean(&ScoreReport::calibration_error), 0,
                      average_figures(tasks)};
  for (const ScoreReport& task : tasks) average.images += task.images;
  return average;
}

std::string iso_8601(std::int64_t unix_seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(unix_seconds)));
}

json::value to_json(const EvaluationReport& evaluation) {
  const auto model = [&](const ModelReport& row) { return model_json(row, evaluation.tasks); };
  const auto task = [&](const TaskReport& row) { return task_json(row, evaluation.models); };
  return {{"tasks", list(evaluation.tasks, task)},
          {"models", list(evaluation.models, model)},
          {"cascade_sweep", sweep_json(evaluation.cascade_sweep)}};
}

json::value to_json(const Report& report) {
  return {{"schema", kReportSchema},
          {"version", report.version},
          {"build_id", report.build_id},
          {"command", report.command},
          {"completed", report.completed},
          {"interrupted_by", or_null(report.interrupted_by)},
          {"finished", report.finished ? finished_json(*report.finished) : json::value(nullptr)},
          {"started", report.started},
          {"seed", report.seed},
          {"machine",
           {{"cpu", report.machine.cpu},
            {"usable_cores", report.machine.usable_cores},
            {"memory_bytes", report.machine.memory_bytes}}},
          {"skipped", report.skipped ? skipped_json(*report.skipped) : json::value(nullptr)},
          {"configuration", report.configuration},
          {"phases", phases_json(report.phases)},
          {"members", members_json(report.members)},
          {"ensemble", report.ensemble ? ensemble_json(*report.ensemble, report.members) : json::value(nullptr)},
          {"evaluation", report.evaluation ? to_json(*report.evaluation) : json::value(nullptr)},
          {"counts",
           {{"images", report.counts.images},
            {"segments_handed_out", report.counts.segments_handed_out},
            {"segments_answered", report.counts.segments_answered},
            {"input_bytes_copied", report.counts.input_bytes_copied}}},
          {"faults", faults_json(report.faults)},
          {"memory", memory_json(report.memory)}};
}

void write_report(const std::filesystem::path& file, const Report& report) {
  AtomicFile out(file);
  out.write(pretty_json(to_json(report)));
  out.commit();
}

}  // namespace tutti::images
