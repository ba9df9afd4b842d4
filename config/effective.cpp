#include "config/effective.hpp"

#include <algorithm>

#include "config/arguments.hpp"
#include "config/candidates.hpp"
#include "config/effective_input.hpp"
#include "config/effective_tree.hpp"
#include "config/stages.hpp"
#include "config/steps.hpp"
#include "config/yaml.hpp"

namespace tutti::config {
namespace {

Tree tree_of(const ScriptedFault& fault) {
  Tree map = Tree::map();
  map.set("kind", name_of(fault.kind));
  map.set("phase", name_of(fault.phase));
  if (fault.at_value)
    map.set("at_value", number(*fault.at_value));
  else
    map.set("at_batch", number(fault.at_batch));
  return map;
}

/// Sets the key of one field of a model, depending on the field's type. An optional text that is empty is left out.
struct FieldWriter {
  Tree& map;

  template <class Number>
  void set(std::string_view key, Number value) const {
    if constexpr (std::is_enum_v<Number>)
      map.set(key, name_of(value));
    else
      map.set(key, number(value));
  }
  void set(std::string_view key, bool value) const { map.set(key, boolean(value)); }
  void set(std::string_view key, const std::string& text) const {
    if (!text.empty()) map.set(key, Tree::text(text));
  }
  void set(std::string_view key, const std::vector<std::string>& texts) const {
    if (texts.empty()) return;
    if (texts.size() == 1) return set(key, texts.front());
    Tree list = Tree::list();
    for (const std::string& text : texts) list.items.push_back(Tree::text(text));
    map.set(key, std::move(list));
  }
  void set(std::string_view key, const std::vector<std::uint32_t>& values) const { map.set(key, numbers(values)); }
  void set(std::string_view key, const LayerRange& part) const {
    if (part.whole()) return;
    Tree range = Tree::map();
    if (part.from > 0) range.set("from", number(part.from));
    if (part.to > 0) range.set("to", number(part.to));
    map.set(key, std::move(range));
  }
  void set(std::string_view key, const Arguments& arguments) const { map.set(key, arguments_tree(arguments)); }
  void set(std::string_view key, const std::vector<ScriptedFault>& faults) const {
    Tree list = Tree::list();
    for (const ScriptedFault& fault : faults) list.items.push_back(tree_of(fault));
    map.set(key, std::move(list));
  }
};

/// Of `kind: auto`.
Tree tree_of_candidates(const ModelSpec& model) {
  Tree map = Tree::map();
  map.set("kind", Tree::plain(std::string(kAutoKind)));
  Tree files = Tree::list();
  for (const std::string& file : files_of_candidates(model)) files.items.push_back(Tree::text(file));
  map.set("files", std::move(files));
  if (const auto entries = entries_of(model.kind); !entries.empty()) map.set("output", Tree::text(entries.front()));
  return map;
}

Tree tree_of(const ModelSpec& model) {
  if (!files_of_candidates(model).empty()) return tree_of_candidates(model);
  Tree map = Tree::map();
  map.set("kind", Tree::plain(std::string(kind_name(model.kind))));
  for_each_field(model.kind, [writer = FieldWriter{map}](std::string_view key, const auto& value, const auto&) {
    writer.set(key, value);
  });
  if (!model.candidates.empty()) map.set("backend", Tree::plain(std::string(kAutoKind)));
  set_path(map, "weights", model.weights);
  return map;
}

Tree tree_of(const TrainSpec& train) {
  Tree map = Tree::map();
  map.set("epochs", number(train.epochs));
  map.set("batch_images", number(train.batch_images));
  map.set("learning_rate", number(train.learning_rate));
  set_path(map, "init", train.init);
  map.set("bootstrap", boolean(train.bootstrap));
  return map;
}

/// A word for one tensor, a list for several by their places, a map for those with the names of arguments.
Tree tree_of(const std::vector<TakesSpec>& takes) {
  if (takes.size() == 1 && takes[0].as.empty()) return Tree::text(takes[0].tensor);
  Tree all = takes[0].as.empty() ? Tree::list() : Tree::map();
  for (const TakesSpec& taken : takes)
    if (taken.as.empty())
      all.items.push_back(Tree::text(taken.tensor));
    else
      all.set(taken.as, Tree::text(taken.tensor));
  return all;
}

Tree tree_of(const std::vector<View>& views) {
  Tree list = Tree::list();
  for (const View& view : views) {
    if (view.kind != ViewKind::crops && view.kind != ViewKind::scale) {
      list.items.push_back(name_of(view.kind));
      continue;
    }
    Tree map = Tree::map();
    map.set(to_name(view.kind), view.kind == ViewKind::crops ? number(view.crops) : number(view.scale));
    if (view.kind == ViewKind::crops) map.set("size", size_of(view.height, view.width, view.height == view.width));
    list.items.push_back(std::move(map));
  }
  return list;
}

Tree tree_of(const Device& device) {
  return std::holds_alternative<AutoDevice>(device) ? Tree::null() : Tree::text(to_text(device));
}

/// Its replicas, unless it has one worker; and whether they may be on devices of several kinds.
void set_replicas(Tree& map, const UnitSpec& unit) {
  if (unit.devices.empty()) {
    if (unit.replicas > 1) map.set("replicas", number(unit.replicas));
    return;
  }
  Tree on = Tree::map();
  for (auto device = unit.devices.begin(); device != unit.devices.end();) {
    const auto end = std::find_if(device, unit.devices.end(), [&](const Device& other) { return other != *device; });
    on.set(to_text(*device), number(static_cast<std::uint64_t>(end - device)));
    device = end;
  }
  map.set("replicas", std::move(on));
  if (!unit.same_bits) map.set("same_bits", boolean(false));
}

/// Sets the keys of one field of a step, depending on its form.
struct StepWriter {
  Tree& map;

  template <class Value, class Form>
  void operator()(std::string_view key, Value value, const Form&) const {
    if constexpr (std::is_enum_v<Value>)
      map.set(key, name_of(value));
    else
      map.set(key, number(value));
  }
  void operator()(std::string_view key, const std::vector<float>& values, const form::Channels&) const {
    if (!values.empty()) map.set(key, numbers(values));
  }
  void operator()(std::string_view, const Resize& resize, const form::Resizing&) const { set_resize(map, resize); }
};

Tree tree_of(const Step& step) {
  Tree map = Tree::map();
  map.set("step", Tree::plain(std::string(step_name(step))));
  for_each_step_field(step, StepWriter{map});
  return map;
}

Tree stage_tree(const ModelSpec& model, const Device& device, const UnitSpec& workers) {
  Tree map = Tree::map();
  map.set("model", tree_of(model));
  if (workers.devices.empty()) map.set("device", tree_of(device));
  set_replicas(map, workers);
  return map;
}

Tree tree_of_stages(const MemberSpec& member) {
  Tree list = Tree::list();
  const auto add_steps = [&](const std::vector<StepSpec>& steps) {
    for (const StepSpec& step : steps) list.items.push_back(tree_of(step.step));
  };
  for (const StageSpec& stage : member.before) {
    list.items.push_back(stage_tree(stage.model, stage.device, stage.workers));
    add_steps(stage.steps);
  }
  list.items.push_back(stage_tree(member.model, member.device, member.last));
  add_steps(member.steps);
  return list;
}

Tree tree_of(const MemberSpec& member) {
  Tree map = Tree::map();
  map.set("name", Tree::text(member.name));
  if (has_stages(member))
    map.set("stages", tree_of_stages(member));
  else
    map.set("model", tree_of(member.model));
  map.set("weight", number(member.weight));
  if (!facts_of(member.model.kind).output || !member.steps.empty()) map.set("output", name_of(member.output));
  if (!member.takes.empty()) map.set("takes", tree_of(member.takes));
  if (member.input) map.set("input", input_tree(*member.input, member.prepares));
  if (!member.views.empty()) map.set("views", tree_of(member.views));
  map.set("copy_input", boolean(member.copy_input));
  if (member.max_memory != 0) map.set("max_memory", Tree::text(fmt::format("{} B", member.max_memory)));
  map.set("seed", number(member.seed));
  if (!has_stages(member)) map.set("train", tree_of(member.train));
  return map;
}

Tree tree_of(const CombineSpec& combine) {
  Tree map = Tree::map();
  map.set("rule", name_of(combine.rule));
  map.set("over", name_of(combine.over));
  if (has_classes(combine.over)) map.set("axis", number(combine.axis));
  if (combine.over == OutputKind::probabilities) map.set("activation", name_of(combine.activation));
  if (combine.rule == CombineRule::weighted) map.set("normalize", boolean(combine.normalize));
  map.set("accumulate", Tree::plain(combine.accumulate_f64 ? "float64" : "float32"));
  map.set("spread", boolean(combine.spread));
  return map;
}

/// Its device is that of its members, unless its replicas have others.
Tree tree_of(const UnitSpec& unit, const std::vector<MemberSpec>& members) {
  Tree map = Tree::map();
  Tree names = Tree::list();
  for (const std::size_t rank : unit.members) names.items.push_back(Tree::text(members[rank].name));
  map.set("members", std::move(names));
  map.set("mode", unit.modes.empty() ? name_of(unit.mode) : Tree::plain(std::string(kAutoKind)));
  set_replicas(map, unit);
  return map;
}

Tree tree_of(const CascadeStep& step, const std::vector<MemberSpec>& members) {
  const auto names = [&](const std::vector<std::size_t>& ranks) {
    Tree list = Tree::list();
    for (const std::size_t rank : ranks) list.items.push_back(Tree::text(members[rank].name));
    return list;
  };
  Tree when = Tree::map();
  when.set(std::string(to_name(step.when)), number(step.threshold));
  Tree map = Tree::map();
  map.set("after", names(step.after));
  map.set("when", std::move(when));
  map.set("then", names(step.then));
  return map;
}

/// Writes only the keys of the method: the reader rejects others.
Tree tree_of(const MergeSpec& merge, const std::vector<MemberSpec>& members) {
  Tree map = Tree::map();
  map.set("method", name_of(merge.method));
  Tree over = Tree::list();
  for (const std::size_t rank : merge.over) over.items.push_back(Tree::text(members[rank].name));
  if (!over.items.empty()) map.set("over", std::move(over));
  if (merge.method == MergeMethod::weighted) {
    if (!merge.weights.empty()) map.set("weights", numbers(merge.weights));
    map.set("normalize", boolean(merge.normalize));
  }
  const bool ties = merge.method == MergeMethod::ties;
  if (ties || merge.method == MergeMethod::task_arithmetic) map.set("scaling", number(merge.scaling));
  if (ties) map.set("density", number(merge.density));
  if (ties) map.set("disjoint", name_of(merge.disjoint));
  if (merge.method == MergeMethod::slerp) map.set("t", number(merge.t));
  map.set("accumulate", Tree::plain(merge.accumulate_f64 ? "float64" : "float32"));
  if (merge.batch_norm != BatchNorm::keep) map.set("batch_norm", name_of(merge.batch_norm));
  if (merge.input) map.set("input", input_tree(*merge.input));
  return map;
}

Tree tree_of(const TaskSpec& task) {
  Tree map = Tree::map();
  map.set("name", Tree::text(task.name));
  map.set("input", input_tree(task.input));
  if (task.held_out) map.set("held_out", input_tree(*task.held_out));
  Tree classes = Tree::list();
  for (const std::string& name : task.classes) classes.items.push_back(Tree::text(name));
  if (!classes.items.empty()) map.set("classes", std::move(classes));
  set_path(map, "head", task.head);
  return map;
}

Tree limit(const std::optional<std::uint32_t>& value) { return value ? number(*value) : Tree::plain("off"); }

Tree progress_deadline(const FailureSpec& failure) {
  switch (failure.progress) {
    case FailureSpec::Deadline::automatic:
      return Tree::plain("auto");
    case FailureSpec::Deadline::off:
      return Tree::plain("off");
    case FailureSpec::Deadline::fixed:
      break;
  }
  return number(failure.progress_deadline);
}

void set_failure(Tree& map, const FailureSpec& failure) {
  map.set("on_worker_failure", name_of(failure.on_worker_failure));
  Tree restarts = Tree::map();
  restarts.set("limit", limit(failure.restart_limit));
  restarts.set("window_s", number(failure.restart_window));
  restarts.set("back_off_s", number(failure.back_off));
  map.set("restarts", std::move(restarts));
  map.set("progress_deadline_s", progress_deadline(failure));
  map.set("on_poison", name_of(failure.on_poison));
  map.set("poison_limit", limit(failure.poison_limit));
  map.set("on_nan", name_of(failure.on_nan));
  map.set("spares", name_of(failure.spares));
  map.set("core_files", boolean(failure.core_files));
  map.set("drain_deadline_s", number(failure.drain_deadline));
}

}  // namespace

Tree device_tree(const Device& device) {
  return std::holds_alternative<AutoDevice>(device) ? Tree::null() : Tree::text(to_text(device));
}

Tree to_tree(const EnsembleSpec& spec) {
  Tree map = Tree::map();
  Tree members = Tree::list();
  Tree assignment = Tree::map();
  for (const MemberSpec& member : spec.members) {
    members.items.push_back(tree_of(member));
    if (!has_stages(member)) assignment.set(member.name, device_tree(member.device));  // of stages, they say it
  }
  map.set("members", std::move(members));
  map.set("assignment", std::move(assignment));
  Tree workers = Tree::list();
  for (const UnitSpec& unit : spec.workers) workers.items.push_back(tree_of(unit, spec.members));
  if (!workers.items.empty()) map.set("workers", std::move(workers));
  map.set("combine", tree_of(spec.combine));
  if (spec.quorum) {
    Tree quorum = Tree::map();
    if (spec.quorum->members) quorum.set("members", number(*spec.quorum->members));
    if (spec.quorum->deadline) quorum.set("deadline_s", number(*spec.quorum->deadline));
    map.set("quorum", std::move(quorum));
  }
  if (spec.coalesce) {
    Tree coalesce = Tree::map();
    coalesce.set("max_delay_us", number(spec.coalesce->max_delay_us));
    map.set("coalesce", std::move(coalesce));
  }
  Tree cascade = Tree::list();
  for (const CascadeStep& step : spec.cascade) cascade.items.push_back(tree_of(step, spec.members));
  if (!cascade.items.empty()) map.set("cascade", std::move(cascade));
  map.set("input", input_tree(spec.input));
  Tree classes = Tree::list();
  for (const std::string& name : spec.classes) classes.items.push_back(Tree::text(name));
  if (!classes.items.empty()) map.set("classes", std::move(classes));
  Tree tasks = Tree::list();
  for (const TaskSpec& task : spec.tasks) tasks.items.push_back(tree_of(task));
  if (!tasks.items.empty()) map.set("tasks", std::move(tasks));
  if (spec.base) map.set("base", tree_of(*spec.base));
  if (spec.merge) map.set("merge", tree_of(*spec.merge, spec.members));
  Tree train = Tree::map();
  train.set("input", input_tree(spec.train_input));
  train.set("checkpoint_segments", number(spec.checkpoint_segments));
  map.set("train", std::move(train));
  map.set("segment_images", spec.choose_segment_images ? Tree::plain("auto") : number(spec.segment_images));
  map.set("batch_images", spec.measure_batch_images ? Tree::plain("auto") : number(spec.batch_images));
  map.set("slots", number(spec.slots));
  map.set("threads", number(spec.threads));
  map.set("seed", number(spec.seed));
  map.set("save_members", boolean(spec.save_members));
  map.set("masks", name_of(spec.masks));
  set_failure(map, spec.failure);
  map.set("start_method", name_of(spec.start_method));
  map.set("start_deadline_s", number(spec.start_deadline));
  map.set("stop_deadline_s", number(spec.stop_deadline));
  set_path(map, "output", spec.output);
  return map;
}

std::string to_yaml(const EnsembleSpec& spec) { return emit_yaml(to_tree(spec)); }

std::string to_yaml(const ModelSpec& model) {
  Tree map = Tree::map();
  map.set("model", tree_of(model));
  return emit_yaml(map);
}

}  // namespace tutti::config
