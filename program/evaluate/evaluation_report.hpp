// What an evaluation says in the report and on the terminal: rows of models and rules, columns of tasks. Pure.
#pragma once

#include <string>
#include <vector>

#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "program/evaluate/evaluation.hpp"
#include "program/scores.hpp"
#include "results/report.hpp"

namespace tutti::program {

/// A model that is evaluated; `role` as in images::ModelReport.
struct EvaluatedModel {
  std::string name;
  std::string role;
};

/// The rows of a report before any task: the models, then one per rule.
images::EvaluationReport begin_evaluation(const std::vector<EvaluatedModel>& models, const EvaluationForm& form);

/// Adds what `evaluation` found of `task`, whose name, source, head and classes are set already. The ranks in
/// `incomplete` are places among the models.
void add_task(images::EvaluationReport& report, images::TaskReport task, const Evaluation& evaluation,
              std::vector<IncompleteSegment> incomplete, double seconds, std::uint64_t known);

/// "cnn-0", "ensemble mean": how people are told which row it is.
std::string label_of(const images::ModelReport& model);

/// Fills in the models' numbers of parameters. All are trainable but those of files that are frozen (torchscript,
/// aoti); a rule has those of all its members.
void add_parameters(images::EvaluationReport& report, const std::vector<images::MemberReport>& models);

/// Accuracy of each row on each task, and on several tasks their average; average loss and calibration error; below it,
/// per task, how much the members disagree. Empty where there is nothing to show.
std::string evaluation_table(const images::EvaluationReport& report);

/// A task that was to be evaluated.
struct TaskLength {
  std::string name;
  std::uint64_t images = 0;
};
/// Below the table of an evaluation that ended early: "not finished: u (40 of 70 images), v, w\n", and what the
/// averages are over. `all` are the tasks in order, of which the report has the first ones.
std::string unfinished_tasks_text(const images::EvaluationReport& report, const std::vector<TaskLength>& all);

}  // namespace tutti::program
