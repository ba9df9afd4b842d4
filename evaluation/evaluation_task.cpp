#include "evaluation/evaluation_task.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include <tutti/error.hpp>

#include "common/axis.hpp"
#include "common/counted.hpp"
#include "common/tensor_text.hpp"
#include "coordinator/plan/input.hpp"
#include "evaluation/class_names.hpp"
#include "evaluation/label_scores.hpp"
#include "images/planes.hpp"

namespace tutti {
namespace {

[[noreturn]] void refuse(std::string message, std::string detail, std::string hint) {
  throw Error(ErrorKind::usage, std::move(message), std::move(detail), std::move(hint));
}

/// `key` is the configuration key of the images.
void check_images(const EvaluationTask& task, std::string_view key) {
  if (task.source->count() == 0)
    refuse(fmt::format("{}: there are none", task.images), task.source->name(),
           fmt::format("check 'limit', 'skip' and 'count' of its '{}'", key));
  if (!task.source->label_layout())
    refuse(fmt::format("{} have no labels", task.images), task.source->name(),
           fmt::format("give its '{}' labels ('labels' for npy, 'classes' for random), or use a data set that has them",
                       key));
}

std::string label_text(const Source& source) {
  if (source.labelled()) return "one class per image as labels";
  const TensorLayout label = source.label_layout().value();
  return fmt::format("{} of {} as labels", label.dtype == Dtype::int64 ? "classes" : "numbers", dims_text(label.dims));
}

/// What the labels must be.
std::string needed_text(const config::CombineSpec& combine, bool one_class) {
  if (one_class) return "one class per image";
  if (combine.over == OutputKind::values) return "numbers, as many as the members predict";
  if (combine.activation == Activation::sigmoid) return "0 or 1 for each label that the members predict";
  return "classes";
}

/// Whether the labels are compared as LabelScores does. Throws if they are of a kind that says nothing about what is
/// predicted. `one_class`: a head or a greedy soup needs one class per image.
bool compares_labels(const EvaluationTask& task, const config::CombineSpec& combine, bool one_class) {
  if (!one_class && has_label_scores(combine, *task.source)) return true;
  const bool scored = has_classes(combine.over) && combine.activation != Activation::sigmoid;
  if (task.source->labelled() && (one_class || scored)) return false;
  refuse(fmt::format("{} have {}, and they are compared with {}", task.images, label_text(*task.source),
                     one_class ? "one class per image" : fmt::format("predicted {}", to_name(combine.over))),
         task.source->name(),
         fmt::format("give {}; 'over' and 'activation' of 'combine' say what the members predict",
                     needed_text(combine, one_class)));
}

void check_head(const EvaluationTask& task, const std::vector<std::string>& named) {
  if (!task.head) return;
  const std::string file = task.head->file().string();
  if (!named.empty() && named.size() != task.head->classes())
    refuse(fmt::format("task '{}' names {}, but its head has {}", task.name, counted(named.size(), "class"),
                       task.head->classes()),
           file, "make the head for these classes, in the order of the labels, or correct 'classes'");
  if (task.source->classes() > task.head->classes())
    refuse(fmt::format("{} have {}, but its head has {}", task.images, counted(task.source->classes(), "class"),
                       task.head->classes()),
           file, "make the head for the classes of these images, in the order of the labels");
}

bool in_same_arrays(const config::EnsembleSpec& spec, const std::vector<EvaluationTask>& tasks, std::size_t a,
                    std::size_t b) {
  return same_arrays(spec, {spec.tasks[a].input, *tasks[a].source}, {spec.tasks[b].input, *tasks[b].source});
}

void check_shapes(const config::EnsembleSpec& spec, const std::vector<EvaluationTask>& tasks) {
  for (std::size_t i = 1; i < tasks.size(); ++i) {
    if (in_same_arrays(spec, tasks, 0, i)) continue;
    const std::string first = sample_text(tasks.front().source->tensors());
    const std::string other = sample_text(tasks[i].source->tensors());
    const EvaluationTask& task = tasks[i];
    if (task.source->shape() == tasks.front().source->shape() && task.source->shape() != ImageShape{})
      refuse(
          fmt::format("the images of tasks '{}' and '{}' would be resized differently", tasks.front().name, task.name),
          "one pool serves all tasks, and members that see the same images in one of them do so in all",
          "give both the same 'resize' and 'crop', or every member an 'input' with its own");
    refuse(fmt::format("task '{}' has images of {}, task '{}' of {}", tasks.front().name, first, task.name, other),
           "one pool serves all tasks, and each of its members sees images of one shape",
           "resize the images to one shape, or evaluate these tasks separately");
  }
}

/// Whether the workers would prepare the images of two tasks in the same way; sets `same_kind` if only their
/// `preprocess` matters.
bool prepared_alike(const config::EnsembleSpec& spec, const std::vector<EvaluationTask>& tasks, std::size_t a,
                    std::size_t b, bool& same_kind) {
  const bool own = std::all_of(spec.members.begin(), spec.members.end(),
                               [](const config::MemberSpec& member) { return member.input.has_value(); });
  const config::InputSpec& first = spec.tasks[a].input;
  const config::InputSpec& other = spec.tasks[b].input;
  const bool prepared = workers_prepare(spec, first);
  same_kind = prepared == workers_prepare(spec, other) &&
              same_types(form_of(*tasks[a].source, spec, first), form_of(*tasks[b].source, spec, other));
  if (!prepared && same_kind) return true;
  return same_kind && (own || first.preprocess == other.preprocess);
}

/// The pool is planned for the images of the first task, and the workers prepare those of the others in the same way.
void check_preparation(const config::EnsembleSpec& spec, const std::vector<EvaluationTask>& tasks) {
  for (std::size_t i = 1; i < spec.tasks.size(); ++i) {
    bool same_kind = false;
    if (prepared_alike(spec, tasks, 0, i, same_kind)) continue;
    refuse(fmt::format("the images of tasks '{}' and '{}' would be prepared differently", tasks[0].name, tasks[i].name),
           fmt::format("{}; {}: one pool serves all tasks, and its workers prepare the images", tasks[0].source->name(),
                       tasks[i].source->name()),
           same_kind ? "give both the same 'preprocess', or give every member an 'input'"
                     : "use one kind of data set for both, or evaluate these tasks separately");
  }
}

void check_towers(const std::vector<EvaluationTask>& tasks) {
  const EvaluationTask* first = nullptr;
  for (const EvaluationTask& task : tasks) {
    if (!task.head || task.head->tower().empty()) continue;
    if (first == nullptr) first = &task;
    if (task.head->tower() == first->head->tower()) continue;
    refuse(fmt::format("the heads of tasks '{}' and '{}' were made with different text towers", first->name, task.name),
           fmt::format("{}: {}; {}: {}", first->head->file().string(), first->head->tower(), task.head->file().string(),
                       task.head->tower()),
           "make all heads with the tower that the members' features belong to");
  }
}

EvaluationTask open_task(const config::EnsembleSpec& whole, const config::TaskSpec& spec, TaskImages which) {
  const bool held_out = which == TaskImages::held_out;
  const std::string title = spec.name.empty() ? "'merge'" : fmt::format("task '{}'", spec.name);
  EvaluationTask task{spec.name,
                      fmt::format("the {}images of {}", held_out ? "held-out " : "", title),
                      open_source(whole, spec.input),
                      std::nullopt,
                      spec.classes,
                      spec.input,
                      whole.combine,
                      false};
  check_images(task, held_out && !spec.name.empty() ? "held_out" : "input");
  task.other_labels = compares_labels(task, whole.combine, held_out || !spec.head.empty());
  say_skipped(*task.source);  // would warn that there are no images, which is an error here
  if (!spec.head.empty()) task.head = merge::Head::read(spec.head);
  check_head(task, spec.classes);
  if (task.class_names.empty() && task.head) task.class_names = task.head->class_names();
  task.source = with_task_classes(std::move(task.source), task.class_names, task.images);
  return task;
}

void refuse_tiles(const config::EnsembleSpec& spec) {
  if (!spec.input.tiles) return;
  refuse("the predictions of 'tiles' cannot be evaluated",
         "an evaluation compares the predictions of samples, and here these are tiles",
         "'tutti run' blends the predictions of tiles");
}

/// `way_out`: how to give a head.
void refuse_features(const config::EnsembleSpec& spec, std::string_view way_out) {
  if (spec.combine.over != OutputKind::features) return;
  refuse(fmt::format("{} cannot be evaluated without classes", to_name(spec.combine.over)),
         fmt::format("the members are combined over {}", to_name(spec.combine.over)),
         fmt::format("{}, or combine over probabilities", way_out));
}

/// `images` names the images of `source` in messages.
void check_classes(const std::string& images, const Source& source, const MemberStatus& model) {
  if (source.classes() <= model.width()) return;
  refuse(fmt::format("{} have {}, but '{}' outputs {}", images, counted(source.classes(), "class"), model.name,
                     model.width()),
         {}, "give images whose labels are classes of the models");
}

void check_width(const EvaluationTask& task, const MemberStatus& model) {
  if (model.output.size() != 1)
    refuse(fmt::format("{} have {}, but '{}' predicts {}", task.images, label_text(*task.source), model.name,
                       dims_text(model.output)),
           task.source->name(), "give labels of the shape of the predictions, without 'axis' if they are classes");
  if (task.head) {
    if (model.width() == task.head->features()) return;
    refuse(fmt::format("the head of task '{}' takes {}, but '{}' outputs {}", task.name,
                       counted(task.head->features(), "feature"), model.name, model.width()),
           task.head->file().string(), "make the head with the tower that these features belong to");
  }
  if (!task.class_names.empty() && model.width() != task.class_names.size())
    refuse(fmt::format("task '{}' names {}, but '{}' outputs {}", task.name, counted(task.class_names.size(), "class"),
                       model.name, model.width()),
           {}, "correct 'classes', or evaluate models of these classes");
  check_classes(task.images, *task.source, model);
}

void check_alike(const MemberStatus& first, const MemberStatus& other) {
  if (first.output == other.output) return;
  const bool rows = first.output.size() == 1 && other.output.size() == 1;
  refuse(rows ? fmt::format("'{}' outputs {} per image and '{}' outputs {}: they cannot be combined", first.name,
                            counted(first.width(), "value"), other.name, other.width())
              : fmt::format("'{}' predicts {} and '{}' predicts {}: they cannot be combined", first.name,
                            dims_text(first.output), other.name, dims_text(other.output)),
         {}, "combine members of equal width, or evaluate each alone with combine: {rule: none}");
}

}  // namespace

images::TaskReport EvaluationTask::report() const {
  images::TaskReport report;
  report.name = name;
  report.source = source->name();
  if (head) report.head = head->file().string();
  report.classes = head ? head->classes() : source->classes();
  return report;
}

std::vector<EvaluationTask> open_tasks(const config::EnsembleSpec& spec) {
  std::vector<EvaluationTask> tasks;
  for (const config::TaskSpec& task : spec.tasks) tasks.push_back(open_task(spec, task, TaskImages::input));
  if (spec.tasks.empty()) {
    refuse_tiles(spec);
    refuse_features(spec, "name 'tasks' with heads");
    config::TaskSpec only;
    only.name = to_name(spec.input.dataset);
    only.input = spec.input;
    only.classes = spec.classes;
    tasks.push_back(open_task(spec, only, TaskImages::input));
  }
  check_shapes(spec, tasks);
  check_preparation(spec, tasks);
  check_towers(tasks);
  return tasks;
}

EvaluationTask given_task(const config::EnsembleSpec& spec, Source& source, const std::filesystem::path& head) {
  refuse_tiles(spec);
  if (head.empty()) refuse_features(spec, "give a 'head'");
  if (!head.empty() && spec.combine.over != OutputKind::features)
    refuse(
        fmt::format("a head cannot be applied to {}", to_name(spec.combine.over)),
        fmt::format("it turns features into classes, and the members are combined over {}", to_name(spec.combine.over)),
        "leave 'head' out, or combine over features");
  EvaluationTask task{"samples",    "the samples", std::make_unique<images::Forwarding>(source),
                      std::nullopt, spec.classes,  spec.input,
                      spec.combine, false};
  if (source.count() == 0)
    refuse("there are no samples to evaluate", source.name(), "give at least one, with its label");
  if (!source.label_layout())
    refuse("the samples have no labels", source.name(), "give a label for each sample: labelled() or label_layout()");
  task.other_labels = compares_labels(task, spec.combine, !head.empty());
  if (!head.empty()) task.head = merge::Head::read(head);
  check_head(task, spec.classes);
  return task;
}

void check_named_classes(const config::EnsembleSpec& spec, const std::vector<MemberStatus>& members) {
  for (const MemberStatus& member : members) {
    const auto axis = size_at(member.output, spec.combine.axis);
    const std::uint64_t classes = axis ? member.output[*axis] : member.width();
    if (!spec.classes.empty() && classes != spec.classes.size())
      refuse(fmt::format("'classes' names {}, but '{}' outputs {}", counted(spec.classes.size(), "class"), member.name,
                         classes),
             {}, "name the classes of the members, in the order of their outputs");
  }
}

void check_classes(const Source& source, const std::vector<MemberStatus>& models) {
  if (!source.labelled()) return;
  for (const MemberStatus& model : models)
    if (model.output.size() == 1) check_classes(fmt::format("the images of {}", source.name()), source, model);
}

config::EnsembleSpec by_held_out(config::EnsembleSpec spec) {
  std::vector<config::MemberSpec> merged;
  for (const std::size_t rank : spec.merge->over) merged.push_back(spec.members[rank]);
  spec.members = std::move(merged);
  spec.workers.clear();
  spec.ask_all();
  if (spec.tasks.empty() || !spec.tasks.front().held_out) {
    config::TaskSpec only;
    only.input = *spec.merge->input;
    spec.tasks = {only};
  } else {
    for (config::TaskSpec& task : spec.tasks) task.input = *std::exchange(task.held_out, std::nullopt);
  }
  return spec;
}

std::vector<EvaluationTask> open_held_out(const config::EnsembleSpec& held_out) {
  std::vector<EvaluationTask> tasks;
  for (const config::TaskSpec& task : held_out.tasks) tasks.push_back(open_task(held_out, task, TaskImages::held_out));
  check_towers(tasks);
  return tasks;
}

bool same_form(const config::EnsembleSpec& spec, const std::vector<EvaluationTask>& tasks, std::size_t a,
               std::size_t b) {
  bool same_kind = false;
  return in_same_arrays(spec, tasks, a, b) && prepared_alike(spec, tasks, a, b, same_kind);
}

void check_widths(const std::vector<EvaluationTask>& tasks, const std::vector<MemberStatus>& models,
                  std::size_t members, bool combined) {
  for (const EvaluationTask& task : tasks) {
    if (task.other_labels)
      check_labels(task.combine, task.input, *task.source, models);
    else
      for (const MemberStatus& model : models) check_width(task, model);
  }
  for (std::size_t rank = 1; combined && rank < members; ++rank) check_alike(models[0], models[rank]);
}

}  // namespace tutti
