// The report of an evaluation, and what it prints: rows of models and rules, columns of tasks. Pure.
#pragma once

#include <string>
#include <vector>

#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "evaluation/evaluation.hpp"
#include "evaluation/scores.hpp"
#include "results/report.hpp"

namespace tutti {

/// A model that is evaluated; `role` as in images::ModelReport.
struct EvaluatedModel {
  std::string name;
  std::string role;
};

/// The rows of a report before any task: the models, then one row per rule.
images::EvaluationReport begin_evaluation(const std::vector<EvaluatedModel>& models, const EvaluationForm& form);

/// Adds the results of `evaluation` to `task`, whose name, source, head and classes are set already. The ranks in
/// `incomplete` are indices of the models.
void add_task(images::EvaluationReport& report, images::TaskReport task, const Evaluation& evaluation,
              std::vector<IncompleteSegment> incomplete, double seconds, std::uint64_t known);

/// "cnn-0", "ensemble mean": the label of a row for the user.
std::string label_of(const images::ModelReport& model);

/// Fills in the models' numbers of parameters. All parameters are trainable, except in frozen files (torchscript,
/// aoti); a rule has the parameters of all its members.
void add_parameters(images::EvaluationReport& report, const std::vector<images::MemberReport>& models);

/// Accuracy of each row on each task, and the average if there are several tasks; average loss and calibration error.
/// Of masks, numbers and several labels, the first figure on each task, and the average of the second
/// (figure_columns.hpp). Below that, for each task, how much the members disagree. Empty if there is nothing to show.
std::string evaluation_table(const images::EvaluationReport& report);

/// A task to evaluate.
struct TaskLength {
  std::string name;
  std::uint64_t images = 0;
};
/// Follows the table of an evaluation that ended early: "not finished: u (40 of 70 images), v, w; averages are over the
/// figures above
/// ". `all` are the tasks in order, and the report has the first ones.
std::string unfinished_tasks_text(const images::EvaluationReport& report, const std::vector<TaskLength>& all);

}  // namespace tutti
