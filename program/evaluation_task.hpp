// The tasks of an evaluation, opened: their images, their heads, and whether all of it fits together. It computes
// nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>
#include <tutti/images.hpp>

#include "config/spec.hpp"
#include "merge/head.hpp"
#include "results/report.hpp"

namespace tutti::program {

/// Which images of the tasks are opened: those that they are evaluated on, or those that a greedy soup is chosen by.
enum class TaskImages { input, held_out };

struct EvaluationTask {
  std::string name;
  std::string images;              ///< for messages: "the images of task 't'"
  std::unique_ptr<Source> source;  ///< labelled, with the names of the task's classes
  std::optional<merge::Head> head;
  std::vector<std::string> class_names;  ///< of the configuration, or of the head; empty: not known

  const merge::Head* head_or_null() const { return head ? &*head : nullptr; }
  images::TaskReport report() const;
};

/// Those of `tasks:`, or the one task that `input` is, called as its data set is. Throws Error(usage) where images have
/// no labels or are of different shapes, where there are none, where a head does not fit the classes of its task or
/// these are not those of the images (class_names.hpp), and where heads were made with different text towers.
std::vector<EvaluationTask> open_tasks(const config::EnsembleSpec& spec);

/// The description whose tasks have, as `input`, the images that its greedy soup is chosen by: those that its own tasks
/// hold out, or, as the only task, which has no name, those of `merge`.
config::EnsembleSpec by_held_out(config::EnsembleSpec spec);
/// The tasks of such a description. As open_tasks(), but their images may be of different shapes.
std::vector<EvaluationTask> open_held_out(const config::EnsembleSpec& held_out);

/// Whether a pool that was planned for the images of one task of `spec` serves those of another, opened one as well.
bool same_form(const config::EnsembleSpec& spec, const std::vector<EvaluationTask>& tasks, std::size_t a,
               std::size_t b);

/// What is known once the models are loaded. Throws Error(usage) that names model and head where a head takes features
/// of another width, two members where they answer different widths and are to be combined, and the task where its
/// images have more classes than a model answers. The first `members` of `models` are members.
void check_widths(const std::vector<EvaluationTask>& tasks, const std::vector<MemberStatus>& models,
                  std::size_t members, bool combined);

/// Throws Error(usage) where `source` has labels, of more classes than a model answers. Once the models are loaded.
void check_classes(const Source& source, const std::vector<MemberStatus>& models);

}  // namespace tutti::program
