#include "config/tasks.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "config/checks.hpp"
#include "config/classes.hpp"
#include "config/input.hpp"
#include "config/input_labels.hpp"
#include "config/reader.hpp"

namespace tutti::config {
namespace {

/// Names become folders, keys of the report and columns: what is wrong with this one, or nothing.
std::string task_name_problem(const std::string& name) {
  if (name == "average") return "the name 'average' stands for the mean over all tasks; choose another one";
  return name_problem(name, " of a task");
}

class TaskReader {
 public:
  TaskReader(const Tree& tree, std::size_t number, const std::vector<ReadMember>& members, const CombineSpec& combine,
             Violations& violations)
      : tree_(tree),
        members_(members),
        combine_(combine),
        violations_(violations),
        what_(fmt::format("task {}", number)) {}

  TaskSpec read() {
    Fields fields(tree_, what_, violations_);
    fields.require("name", "a word such as mnist");
    fields.text("name", task_.name);
    if (!task_.name.empty()) {
      if (std::string problem = task_name_problem(task_.name); !problem.empty())
        violations_.add(fields.position_of("name"), std::move(problem));
      what_ = fmt::format("task '{}'", task_.name);
    }
    if (const Tree* tree = fields.find("classes"); tree != nullptr)
      task_.classes = read_class_names(*tree, violations_);
    read_images(fields.require("input", "such as {dataset: npy, images: test.npy, labels: labels.npy}"));
    read_held_out(fields.find("held_out"));
    fields.path("head", task_.head);
    if (tree_.kind == Tree::Kind::map) check_head(fields.position_of("head"));
    fields.finish();
    return std::move(task_);
  }

 private:
  void read_images(const Tree* tree) {
    if (tree != nullptr) task_.input = read_set(*tree, "images").value_or(InputSpec());
  }

  void read_held_out(const Tree* tree) {
    if (tree == nullptr) return;
    task_.held_out = read_set(*tree, "held-out images");
    if (task_.held_out && *task_.held_out == task_.input)
      violations_.add(tree->position, fmt::format("the held-out images of {} are also its 'input', which the soup "
                                                  "is measured on; separate them, for example with 'skip' and 'limit'",
                                                  what_));
  }

  /// Nothing if something is wrong. `images` names them in messages.
  std::optional<InputSpec> read_set(const Tree& tree, std::string_view images) {
    const std::size_t before = violations_.count();
    InputSpec input = read_input(tree, Split::test, violations_);
    set_label_form(input, &tree, combine_, violations_);
    if (violations_.count() != before) return std::nullopt;
    if (input.dataset == Dataset::memory) {
      violations_.add(tree.position,
                      fmt::format("the {} of {} need a 'dataset': they cannot come through the API", images, what_));
      return std::nullopt;
    }
    refuse_tiles(input, tree.position, fmt::format("the {} of {}", images, what_), violations_);
    check_input(members_, input, tree.position, violations_);
    const std::uint32_t classes = known_classes(input);
    if (!task_.classes.empty() && classes > task_.classes.size())
      violations_.add(tree.position, fmt::format("{} names {}, but its {} have {}", what_,
                                                 counted(task_.classes.size(), "class"), images, classes));
    return input;
  }

  void check_head(const SourcePosition& position) {
    const bool features = combine_.over == OutputKind::features;
    if (features && task_.head.empty())
      violations_.add(position, fmt::format("{} has no 'head', and the members' features have no classes; "
                                            "add 'head', or combine over probabilities",
                                            what_));
    if (!features && !task_.head.empty())
      violations_.add(position,
                      fmt::format("{} has a head, which takes features, but the members are combined over {}; "
                                  "set combine: {{over: features}}",
                                  what_, to_name(combine_.over)));
  }

  const Tree& tree_;
  const std::vector<ReadMember>& members_;
  const CombineSpec& combine_;
  Violations& violations_;
  std::string what_;
  TaskSpec task_;
};

void refuse_twins(const Tree& list, const std::vector<TaskSpec>& tasks, Violations& violations) {
  for (std::size_t later = 1; later < tasks.size(); ++later)
    for (std::size_t first = 0; first < later; ++first) {
      if (tasks[later].name.empty() || tasks[later].name != tasks[first].name) continue;
      violations.add(list.items[later].position, fmt::format("task {} is called '{}' like task {}; names must differ",
                                                             later, tasks[later].name, first));
      break;
    }
}

}  // namespace

std::vector<TaskSpec> read_tasks(const Tree& list, const std::vector<ReadMember>& members, const CombineSpec& combine,
                                 Violations& violations) {
  std::vector<TaskSpec> tasks;
  if (list.kind != Tree::Kind::list || list.items.empty() || list.items.size() > kMaxTasks) {
    violations.add(
        list.position,
        fmt::format("'tasks' must be a list of 1 to {} tasks, not {}", kMaxTasks,
                    list.kind == Tree::Kind::list ? fmt::format("one of {}", list.items.size()) : describe(list)));
    return tasks;
  }
  for (const Tree& item : list.items)
    tasks.push_back(TaskReader(item, tasks.size(), members, combine, violations).read());
  refuse_twins(list, tasks, violations);
  return tasks;
}

}  // namespace tutti::config
