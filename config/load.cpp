#include "config/load.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "common/atomic_file.hpp"
#include "config/assignment.hpp"
#include "config/cascade.hpp"
#include "config/checks.hpp"
#include "config/classes.hpp"
#include "config/effective.hpp"
#include "config/failure.hpp"
#include "config/include.hpp"
#include "config/input.hpp"
#include "config/input_labels.hpp"
#include "config/members.hpp"
#include "config/merge.hpp"
#include "config/overrides.hpp"
#include "config/read_keys.hpp"
#include "config/reader.hpp"
#include "config/saved.hpp"
#include "config/shards.hpp"
#include "config/shorthand.hpp"
#include "config/stages.hpp"
#include "config/tasks.hpp"
#include "config/views.hpp"
#include "config/workers.hpp"

namespace tutti::config {
namespace {

/// Where the classes are, and how logits become probabilities.
void read_axis(Fields& fields, CombineSpec& combine, Violations& violations) {
  if (const Tree* tree = fields.find("axis"); tree != nullptr) {
    if (const auto axis = read_number(*tree, "'axis'", kAxis, violations))
      combine.axis = static_cast<std::int32_t>(*axis);
    if (!has_classes(combine.over) && combine.axis != CombineSpec().axis)
      violations.add(tree->position,
                     fmt::format("'axis' says where the classes are, and {} have none", to_name(combine.over)));
  }
  fields.choice("activation", combine.activation);
  if (combine.over == OutputKind::probabilities || combine.activation == CombineSpec().activation) return;
  fields.refuse("activation",
                fmt::format("'activation' makes probabilities of logits, and the members are combined over "
                            "{}",
                            to_name(combine.over)));
}

CombineSpec read_combine(Fields& top, Violations& violations) {
  CombineSpec combine;
  const Tree* tree = top.find("combine");
  if (tree == nullptr) return combine;
  Fields fields(*tree, "'combine'", violations);
  fields.choice("rule", combine.rule);
  fields.choice("over", combine.over);
  if (combine.rule == CombineRule::weighted)
    fields.boolean("normalize", combine.normalize);
  else
    fields.refuse("normalize", fmt::format("'normalize' belongs to rule weighted, not to {}", to_name(combine.rule)));
  read_axis(fields, combine, violations);
  fields.boolean("spread", combine.spread);
  if (combine.spread && combine.rule == CombineRule::none)
    violations.add(fields.position_of("spread"),
                   "'spread' says how far apart the predictions are that are combined, and rule none combines nothing; "
                   "choose a rule such as mean");
  fields.find("device_map");  // read with 'assignment'
  combine.accumulate_f64 =
      fields.one_of_words("accumulate", std::vector<std::string>{"float32", "float64"}) == "float64";
  fields.finish();
  return combine;
}

/// `train:` without its input. Settings of all members together go into `spec`, whose slots were read before.
TrainSpec read_whole_train(Fields& top, const Tree*& input, EnsembleSpec& spec, Violations& violations) {
  TrainSpec train;
  const Tree* tree = top.find("train");
  if (tree == nullptr) {
    read_checkpoint_segments(nullptr, spec, violations);
    return train;
  }
  Fields fields(*tree, "'train'", violations);
  read_train(fields, train, violations);
  read_checkpoint_segments(&fields, spec, violations);
  input = fields.find("input");
  fields.finish();
  return train;
}

void read_inputs(Fields& top, const Tree* train_input, EnsembleSpec& spec, Violations& violations) {
  if (const Tree* tree = top.find("input"); tree != nullptr) spec.input = read_input(*tree, Split::test, violations);
  if (train_input != nullptr) {
    spec.train_input = read_input(*train_input, Split::train, violations);
    // Without `train.input`, the description in effect repeats `input`.
    if (spec.train_input != spec.input)
      refuse_tiles(spec.train_input, train_input->position, "what members are trained on", violations);
    return;
  }
  spec.train_input = spec.input;
  const bool has_splits = spec.input.dataset == Dataset::digits || spec.input.dataset == Dataset::cifar10;
  if (has_splits) spec.train_input.split = Split::train;
}

/// What the labels are depends on what the members predict.
void choose_label_form(Fields& top, const Tree* train_input, EnsembleSpec& spec, Violations& violations) {
  set_label_form(spec.input, top.find("input"), spec.combine, violations);
  set_label_form(spec.train_input, train_input, spec.combine, violations);
}

/// A whole number, or the word auto, which is all that a similar word can be.
void refuse_number_or_auto(const Tree& tree, std::string_view key, Violations& violations) {
  const std::array words{std::string("auto")};
  violations.add(tree.position, fmt::format("'{}' must be auto or a whole number of at least 1, not {}{}", key,
                                            describe(tree), did_you_mean(tree.scalar, words)));
}

bool is_other_word(const Tree& tree) {
  return tree.kind == Tree::Kind::scalar && tree.scalar.find_first_of("0123456789") == std::string::npos;
}

/// A number, or `auto`, which is the default.
void read_segment_images(Fields& top, EnsembleSpec& spec, Violations& violations) {
  const Tree* tree = top.find("segment_images");
  spec.choose_segment_images = tree == nullptr || tree->is_word("auto");
  if (spec.choose_segment_images) return;
  if (is_other_word(*tree)) return refuse_number_or_auto(*tree, "segment_images", violations);
  top.whole("segment_images", spec.segment_images, 1, kMaxSegmentImages);
}

/// A number, or `auto`.
void read_batch_images(Fields& top, EnsembleSpec& spec, Violations& violations) {
  const Tree* tree = top.find("batch_images");
  if (tree == nullptr) return;
  spec.measure_batch_images = tree->is_word("auto");
  if (spec.measure_batch_images) return;
  if (is_other_word(*tree)) return refuse_number_or_auto(*tree, "batch_images", violations);
  top.whole("batch_images", spec.batch_images, 1, kMaxSegmentImages);
}

void read_bounds_and_rest(Fields& top, EnsembleSpec& spec, Violations& violations) {
  read_segment_images(top, spec, violations);
  read_batch_images(top, spec, violations);
  top.whole("slots", spec.slots, 1, kMaxSlots);
  top.whole("threads", spec.threads, 0, kMaxThreads);
  top.whole("seed", spec.seed, 0);
  top.boolean("save_members", spec.save_members);
  top.choice("masks", spec.masks);
  read_failure(top, spec.failure, violations);
  top.choice("start_method", spec.start_method);
  top.number("start_deadline_s", spec.start_deadline, kDeadline);
  top.number("stop_deadline_s", spec.stop_deadline, kDeadline);
  top.path("output", spec.output);
}

/// FusionBench's `device_map`, in `combine` or at the top, is the same as `assignment`.
Assignment find_assignment(Fields& top, Violations& violations) {
  Assignment found{"assignment", top.find("assignment")};
  const Tree* combine = top.find("combine");
  const Tree* beside_rule = combine != nullptr ? combine->find("device_map") : nullptr;
  for (const Tree* tree : {top.find("device_map"), beside_rule}) {
    if (tree == nullptr || tree->kind == Tree::Kind::null) continue;
    if (found.tree != nullptr)
      violations.add(tree->position, fmt::format("'device_map' is another word for 'assignment'; {} is already given",
                                                 found.key == "assignment" ? "'assignment'" : "a 'device_map'"));
    else
      found = {"device_map", tree};
  }
  return found;
}

/// The whole ensemble's images, or those of a task, are normalised for all members.
bool normalises(const Tree* input) {
  const Tree* preprocess = input != nullptr ? input->find("preprocess") : nullptr;
  return preprocess != nullptr && (preprocess->find("mean") != nullptr || preprocess->find("std") != nullptr);
}

/// Whether members may take their input from their folders: images come from a data set, and nothing else normalises
/// them. What a program gives through the API may be ready for the models.
bool members_prepare(Fields& top, const EnsembleSpec& spec) {
  const Tree* tasks = top.find("tasks");
  if (normalises(top.find("input"))) return false;
  if (tasks == nullptr) return !is_prepared(spec.input);
  return std::none_of(tasks->items.begin(), tasks->items.end(),
                      [](const Tree& task) { return normalises(task.find("input")); });
}

/// Where the rule and what it is applied over come from: the command line, if that says any of it.
const SourcePosition& position_of_combine(const Fields& top, const Tree& root) {
  const Tree* const combine = root.find("combine");
  if (combine != nullptr)
    for (const Tree::Entry& entry : combine->entries)
      if (entry.value.position.line == 0) return entry.value.position;
  return top.position_of("combine");
}

/// As many slots as keep all workers busy, as far as there may be so many.
std::uint32_t slots_that_keep_busy(const EnsembleSpec& spec) {
  std::uint32_t slots = std::max({spec.slots, slots_for(spec.workers), slots_for_stages(spec.members)});
  if (spec.quorum) slots = std::max(slots, slots_for_quorum(*spec.quorum, spec.members));
  return std::min(slots, kMaxSlots);
}

}  // namespace

EnsembleSpec read_spec(const Tree& root, const Overrides& overrides, Violations& violations) {
  EnsembleSpec spec;
  Fields top(root, "the configuration", violations);
  read_bounds_and_rest(top, spec, violations);
  const Tree* train_input = nullptr;
  const TrainSpec train = read_whole_train(top, train_input, spec, violations);
  const std::size_t before = violations.count();
  read_inputs(top, train_input, spec, violations);
  const bool inputs_sound = violations.count() == before;
  const std::size_t before_combine = violations.count();
  spec.combine = read_combine(top, violations);
  const bool combine_sound = violations.count() == before_combine;
  choose_label_form(top, train_input, spec, violations);
  if (train_input == nullptr) spec.followed.train_input = spec.train_input;

  std::vector<ReadMember> members;
  const Tree* list = top.require("members", "a list such as [{name: cnn-0, model: {kind: small-cnn}}]");
  MemberDefaults defaults{train, spec.seed, {}};
  if (const Tree* views = top.find("views"); views != nullptr) defaults.views = read_views(*views, violations);
  if (list != nullptr) members = read_members(*list, defaults, violations);
  if (members_prepare(top, spec)) take_inputs_of_folders(members, violations);
  cut_into_shards(members, spec.input, violations);
  const Assignment assignment = find_assignment(top, violations);
  std::vector<ReadUnit> workers;
  if (const Tree* units = top.find("workers"); units != nullptr) workers = read_workers(*units, members, violations);
  if (!members.empty())
    read_assignment(assignment, overrides.devices, devices_of(workers, members.size()), members, violations);
  place_stages(members);
  check_devices(workers, members, violations);
  for (ReadUnit& worker : workers) spec.workers.push_back(std::move(worker.spec));
  if (const Tree* cascade = top.find("cascade"); cascade != nullptr) {
    spec.cascade = read_cascade(*cascade, members, violations);
    leave_out_fused(spec, members.size());
    if (combine_sound) check_cascade(spec, members, top.position_of("cascade"), violations);
  }
  if (const Tree* quorum = top.find("quorum"); quorum != nullptr)
    spec.quorum = read_quorum(*quorum, spec, members.size(), violations);
  if (const Tree* coalesce = top.find("coalesce"); coalesce != nullptr)
    spec.coalesce = read_coalesce(*coalesce, spec, violations);
  take_as_combined(members, spec.combine);
  check_saved(members, violations);
  if (combine_sound) check_combination(members, spec.combine, position_of_combine(top, root), violations);
  if (inputs_sound) {
    // With tasks and no images to run on, only an evaluation is possible.
    if (top.find("input") != nullptr || top.find("tasks") == nullptr) {
      check_input(members, spec.input, top.position_of("input"), violations);
      check_saved_input(members, spec.input, violations);
    }
    if (train_input != nullptr) check_train_input(members, spec.train_input, train_input->position, violations);
  }
  check_training(members, violations);
  if (const Tree* classes = top.find("classes"); classes != nullptr) {
    spec.classes = read_class_names(*classes, violations);
    if (combine_sound && inputs_sound && !spec.classes.empty())
      check_classes(members, spec, classes->position, violations);
  }
  if (const Tree* tasks = top.find("tasks"); tasks != nullptr && combine_sound)
    spec.tasks = read_tasks(*tasks, members, spec.combine, violations);
  for (TaskSpec& task : spec.tasks)
    if (task.classes.empty() && task.head.empty()) task.classes = spec.classes;
  read_merging(top, members, spec, violations);
  check_stages(spec, members, violations);
  top.finish();
  for (ReadMember& member : members) spec.members.push_back(std::move(member.spec));
  if (top.find("slots") == nullptr) spec.slots = slots_that_keep_busy(spec);
  return spec;
}

void complete(EnsembleSpec& spec, const std::filesystem::path& folder) {
  const auto look_beside = [&](ModelSpec& model) {
    if (auto* python = std::get_if<PythonModel>(&model.kind); python != nullptr && python->folder.empty())
      python->folder = folder.empty() ? "." : folder.string();
  };
  for (MemberSpec& member : spec.members) {
    look_beside(member.model);
    for (StageSpec& stage : member.before) look_beside(stage.model);
  }
  spec.effective_yaml = to_yaml(spec);
}

namespace {

EnsembleSpec load(std::string_view yaml, const std::string& name, const std::filesystem::path& folder,
                  const std::filesystem::path& identity, const Overrides& overrides) {
  Violations violations;
  auto root = read_with_includes(yaml, name, folder, identity, violations);
  // An incomplete tree would report keys as missing that a broken file may hold: stop here.
  if (!root) violations.raise(name);
  apply_overrides(*root, overrides.assignments, violations);
  remove_extensions(*root);
  expand_here(*root, folder, violations);  // in what the command line set
  if (!write_out(*root, violations)) violations.raise(name);
  EnsembleSpec spec = read_spec(*root, overrides, violations);
  violations.raise(name);
  complete(spec, folder);
  return spec;
}

}  // namespace

EnsembleSpec load_file(const std::filesystem::path& file, const Overrides& overrides) {
  std::error_code ignored;  // a path that cannot be resolved cannot be read either, which read_text() reports
  return load(read_text(file, "the configuration"), file.string(), file.parent_path(),
              std::filesystem::weakly_canonical(file, ignored), overrides);
}

EnsembleSpec load_text(std::string_view yaml, std::string_view name, const Overrides& overrides,
                       const std::filesystem::path& folder) {
  return load(yaml, std::string(name), folder, {}, overrides);
}

ReadMaps maps_read(std::string_view yaml) {
  ReadMaps maps;
  Violations mistakes(maps);
  if (auto root = read_with_includes(yaml, "a description", {}, {}, mistakes)) {
    write_out(*root, mistakes);
    read_spec(*root, {}, mistakes);
  }
  return maps;
}

EnsembleSpec load_combination(const std::vector<std::string>& assignments) {
  Violations violations;
  Tree root = Tree::map();
  apply_overrides(root, assignments, violations);
  Fields top(root, "what is combined", violations);
  EnsembleSpec spec;
  spec.combine = read_combine(top, violations);
  top.choice("on_nan", spec.failure.on_nan);
  top.finish();
  violations.raise("the command line");
  return spec;
}

}  // namespace tutti::config
