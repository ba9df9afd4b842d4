#include "evaluation/evaluation_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/unsigned_nan.hpp"
#include "common/wire/model_kinds.hpp"
#include "evaluation/figure_columns.hpp"

namespace tutti {
namespace {

/// `figures` are those of all models or rules, empty if one class per image is right.
images::ScoreReport score_of(const MaybeMetrics& metrics, std::size_t number,
                             const std::vector<images::Figures>& figures) {
  images::ScoreReport score;
  if (metrics)
    score = {metrics->accuracy(), metrics->loss(), metrics->calibration_error(), metrics->images(), std::nullopt};
  if (figures.empty()) return score;
  score.images = figures.at(number).images;
  score.scores = figures[number];
  return score;
}

std::optional<images::DisagreementReport> disagreement_of(const images::Disagreement& disagreement) {
  const auto means = disagreement.means();
  if (!means) return std::nullopt;
  return images::DisagreementReport{(*means)[0], (*means)[1], (*means)[2], (*means)[3], disagreement.images()};
}

std::string cell(const std::optional<double>& value, const char* format, double factor = 1) {
  return value ? fmt::format(fmt::runtime(format), unsigned_nan(*value * factor)) : "-";
}

/// Columns as wide as their widest cell; the first is left-aligned, the others are right-aligned.
std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : rows) {
    text += fmt::format("{:<{}}", row.front(), widths.front());
    for (std::size_t i = 1; i < row.size(); ++i) text += fmt::format("  {:>{}}", row[i], widths[i]);
    text += "\n";
  }
  return text;
}

}  // namespace

std::string label_of(const images::ModelReport& model) {
  return model.role == "ensemble" ? fmt::format("ensemble {}", model.name) : model.name;
}

images::EvaluationReport begin_evaluation(const std::vector<EvaluatedModel>& models, const EvaluationForm& form) {
  images::EvaluationReport report;
  for (const EvaluatedModel& model : models) report.models.push_back({model.name, model.role, {}, {}, 0, 0, {}});
  for (const config::CombineSpec& rule : form.rules) {
    const std::string name(to_name(rule.rule));
    report.models.push_back({name, "ensemble", name, std::string(to_name(rule.over)), 0, 0, {}});
  }
  return report;
}

void add_task(images::EvaluationReport& report, images::TaskReport task, const Evaluation& evaluation,
              std::vector<IncompleteSegment> incomplete, double seconds, std::uint64_t known) {
  task.images = evaluation.images();
  task.seconds = seconds;
  if (seconds > 0) task.images_per_second = static_cast<double>(task.images - std::min(known, task.images)) / seconds;
  task.disagreement = disagreement_of(evaluation.disagreement());
  task.incomplete = std::move(incomplete);
  const std::size_t models = report.models.size() - evaluation.rules().size();
  std::vector<images::Figures> of_models;
  std::vector<images::Figures> of_rules;
  if (evaluation.labels() != nullptr) {
    of_models = evaluation.labels()->members();
    of_rules = evaluation.labels()->rules();
  }
  for (std::size_t row = 0; row < report.models.size(); ++row) {
    // A task without any images so far has no figures.
    images::ScoreReport score;
    if (row >= models)
      score = score_of(evaluation.rules()[row - models], row - models, of_rules);
    else if (row < evaluation.models().size())
      score = score_of(evaluation.models()[row], row, of_models);
    report.models[row].tasks.push_back(std::move(score));
  }
  report.tasks.push_back(std::move(task));
}

void add_parameters(images::EvaluationReport& report, const std::vector<images::MemberReport>& models) {
  std::uint64_t all = 0;
  std::uint64_t trainable = 0;
  for (std::size_t row = 0; row < models.size(); ++row) {
    images::ModelReport& model = report.models.at(row);
    const MemberStatus& status = models[row].status;
    const auto kind = kind_called(status.kind);
    const bool frozen = kind && holds_program(facts_of(*kind));
    model.all_params = status.parameters;
    model.trainable_params = frozen ? 0 : model.all_params;
    if (model.role != "member") continue;
    all += model.all_params;
    trainable += model.trainable_params;
  }
  for (images::ModelReport& model : report.models) {
    if (model.role != "ensemble") continue;
    model.all_params = all;
    model.trainable_params = trainable;
  }
}

namespace {

/// A column of the table: a figure of each task, and of their average.
struct Columns {
  std::vector<FigureColumn> figures;  ///< empty: accuracy, loss and calibration error

  std::string main_cell(const images::ScoreReport& score) const {
    return figures.empty() ? cell(score.accuracy, "{:.2f} %", 100) : cell_of(figures.front(), score);
  }
  static std::string cell_of(const FigureColumn& column, const images::ScoreReport& score) {
    return column.cell(score.scores ? score.scores->value(std::string(column.figure)) : std::nullopt);
  }
  void add_titles(const images::EvaluationReport& report, std::vector<std::string>& row) const {
    for (const images::TaskReport& task : report.tasks)
      row.push_back(figures.empty() ? task.name : fmt::format("{} {}", task.name, figures.front().title));
    if (report.tasks.size() > 1) row.emplace_back("average");
    if (figures.empty()) row.insert(row.end(), {"loss", "calibration"});
    for (std::size_t i = 1; i < figures.size(); ++i) row.emplace_back(figures[i].title);
  }
  void add_cells(const images::ModelReport& model, std::vector<std::string>& row) const {
    for (const images::ScoreReport& task : model.tasks) row.push_back(main_cell(task));
    const images::ScoreReport average = images::average_of(model.tasks);
    if (model.tasks.size() > 1) row.push_back(main_cell(average));
    if (figures.empty())
      row.insert(row.end(), {cell(average.loss, "{:.4f}"), cell(average.calibration_error, "{:.4f}")});
    for (std::size_t i = 1; i < figures.size(); ++i) row.push_back(cell_of(figures[i], average));
  }
};

/// Those of the first figures that there are.
Columns columns_of(const images::EvaluationReport& report) {
  for (const images::ModelReport& model : report.models)
    for (const images::ScoreReport& task : model.tasks)
      if (task.scores) return {figure_columns(task.scores->kind)};
  return {};
}

}  // namespace

std::string evaluation_table(const images::EvaluationReport& report) {
  if (report.tasks.empty() || report.models.empty()) return {};
  const Columns columns = columns_of(report);
  std::vector<std::vector<std::string>> rows(1, {"model"});
  columns.add_titles(report, rows[0]);
  for (const images::ModelReport& model : report.models) {
    std::vector<std::string> row{label_of(model)};
    columns.add_cells(model, row);
    rows.push_back(std::move(row));
  }
  std::string text = aligned(rows);
  std::vector<std::vector<std::string>> dissent(
      1, {"members disagree on", "entropy", "mutual information", "variance", "dissent"});
  for (const images::TaskReport& task : report.tasks)
    if (task.disagreement)
      dissent.push_back(
          {task.name, cell(task.disagreement->entropy, "{:.4f}"), cell(task.disagreement->mutual_information, "{:.4f}"),
           cell(task.disagreement->variance, "{:.6f}"), cell(task.disagreement->dissent, "{:.2f} %", 100)});
  return dissent.size() > 1 ? text + "\n" + aligned(dissent) : text;
}

std::string unfinished_tasks_text(const images::EvaluationReport& report, const std::vector<TaskLength>& all) {
  std::string text;
  for (std::size_t number = 0; number < all.size(); ++number) {
    const std::uint64_t images = number < report.tasks.size() ? report.tasks[number].images : 0;
    if (images == all[number].images) continue;
    text += text.empty() ? "not finished: " : ", ";
    text += all[number].name;
    if (images > 0) text += fmt::format(" ({} of {} images)", images, all[number].images);
  }
  if (text.empty()) return text;
  return fmt::format("{}; averages are over the figures above\n", text);
}

}  // namespace tutti
