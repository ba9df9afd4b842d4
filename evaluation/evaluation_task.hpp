// The tasks of an evaluation, opened: their images, their heads, and whether all of it fits together. It computes
// nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>
#include <tutti/images.hpp>

#include "config/spec.hpp"
#include "merge/head.hpp"
#include "results/report.hpp"

namespace tutti {

/// Which images of the tasks to open: those that they are evaluated on, or those that a greedy soup is chosen by.
enum class TaskImages { input, held_out };

struct EvaluationTask {
  std::string name;
  std::string images;              ///< for messages: "the images of task 't'"
  std::unique_ptr<Source> source;  ///< with labels, and with the names of the task's classes
  std::optional<merge::Head> head;
  std::vector<std::string> class_names;  ///< from the configuration, or from the head; empty: not known
  config::InputSpec input{};
  config::CombineSpec combine{};  ///< what the predictions are
  bool other_labels = false;      ///< that are not one class per image: LabelScores compares them

  const merge::Head* head_or_null() const { return head ? &*head : nullptr; }
  images::TaskReport report() const;
};

/// Opens the tasks in `tasks:`, or the one task that consists of `input`, named after its data set. Throws Error(usage)
/// if images have no labels, labels of another kind than what the members predict, or different shapes, if there are no
/// images, if a head does not fit the classes of its task, if the classes of the images do not match those of the task
/// (class_names.hpp), and if heads were made with different text towers.
std::vector<EvaluationTask> open_tasks(const config::EnsembleSpec& spec);

/// The labelled samples that a program hands over, as a task with the head in a file, or, if that is empty, without
/// one; `source` outlives it. Throws Error(usage) as open_tasks() does.
EvaluationTask given_task(const config::EnsembleSpec& spec, Source& source, const std::filesystem::path& head);

/// A description whose tasks have, as `input`, the images that a greedy soup is chosen by: the held-out images of the
/// tasks, or those of `merge`, as the only task, without a name.
config::EnsembleSpec by_held_out(config::EnsembleSpec spec);
/// Opens the tasks of such a description. Like open_tasks(), but their images may have different shapes.
std::vector<EvaluationTask> open_held_out(const config::EnsembleSpec& held_out);

/// Whether a pool that was planned for the images of one task of `spec` can also process those of another opened task.
bool same_form(const config::EnsembleSpec& spec, const std::vector<EvaluationTask>& tasks, std::size_t a,
               std::size_t b);

/// Checks that need the loaded models. Throws Error(usage) that names the model and the head if a head takes features
/// of another width; two members if they have different outputs and are combined; and the task if its images have more
/// classes than a model outputs, or labels of another shape. The first `members` of `models` are members.
void check_widths(const std::vector<EvaluationTask>& tasks, const std::vector<MemberStatus>& models,
                  std::size_t members, bool combined);

/// Throws Error(usage) if `classes` of the description does not name as many classes as a member outputs. Call it once
/// the models are loaded.
void check_named_classes(const config::EnsembleSpec& spec, const std::vector<MemberStatus>& members);

/// Throws Error(usage) if `source` has labels with more classes than a model outputs. Call it once the models are
/// loaded.
void check_classes(const Source& source, const std::vector<MemberStatus>& models);

}  // namespace tutti
