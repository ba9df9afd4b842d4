#include "evaluation/task_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "coordinator/plan/input.hpp"
#include "evaluation/class_names.hpp"

namespace tutti {
namespace {

class OnlyNumbers final : public TensorSource {
 public:
  explicit OnlyNumbers(std::uint64_t count) : count_(count) {}

  std::string name() const override { return "predictions"; }
  std::uint64_t count() const override { return count_; }
  std::uint32_t classes() const override { return 0; }
  bool labelled() const override { return false; }
  std::vector<NamedLayout> tensors() const override { return {}; }
  void read_tensors(std::span<const std::uint64_t> /*indices*/, std::span<const std::span<std::byte>> /*tensors*/,
                    std::span<std::int64_t> /*labels*/) override {}

 private:
  const std::uint64_t count_;
};

std::unique_ptr<Source> open_for_names(const config::EnsembleSpec& spec, const config::InputSpec& input) {
  try {
    return open_source(spec, input);
  } catch (const Error& error) {
    throw Error(ErrorKind::usage, fmt::format("--csv: the data set of the run cannot be opened: {}", error.message()),
                error.detail(),
                "the names of images and classes are those of its 'input': have it where this folder sees it, or leave "
                "--csv out");
  }
}

}  // namespace

std::unique_ptr<Source> task_names(const config::EnsembleSpec& spec, const SavedTask& task, const merge::Head* head,
                                   std::uint64_t count) {
  const auto named = std::ranges::find(spec.tasks, task.name, &config::TaskSpec::name);
  const bool whole = named == spec.tasks.end();
  std::unique_ptr<Source> source = open_for_names(spec, whole ? spec.input : named->input);
  if (source->count() != count)
    throw Error(
        ErrorKind::usage,
        fmt::format("--csv: the data set is not that of the run: it has {} now", counted(source->count(), "image")),
        fmt::format("{}; the run predicted {}", source->name(), count),
        "put the images of the run there, or leave --csv out");
  std::vector<std::string> classes = whole ? spec.classes : named->classes;
  if (classes.empty() && head != nullptr) classes = head->class_names();
  return with_task_classes(std::move(source), classes,
                           whole ? "the images of 'input'" : fmt::format("the images of task '{}'", task.name),
                           whole ? "'classes'" : "the task");
}

std::unique_ptr<Source> only_numbers(std::uint64_t count) { return std::make_unique<OnlyNumbers>(count); }

}  // namespace tutti
