#include "config/effective.hpp"

#include <array>

#include <fmt/format.h>

#include "config/input.hpp"
#include "config/yaml.hpp"

namespace tutti::config {
namespace {

// Enough digits to read the same value back: fmt writes the shortest such text.
template <class Number>
Tree number(Number value) {
  return Tree::plain(fmt::format("{}", value));
}
Tree boolean(bool value) { return Tree::plain(value ? "true" : "false"); }
template <class Enum>
Tree name_of(Enum value) {
  return Tree::plain(std::string(to_name(value)));
}

template <class Range>
Tree numbers(const Range& values) {
  Tree list = Tree::list();
  for (const auto value : values) list.items.push_back(number(value));
  return list;
}

void set_path(Tree& map, std::string_view key, const std::filesystem::path& path) {
  if (!path.empty()) map.set(key, Tree::text(path.string()));
}

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
  void set(std::string_view key, const std::vector<ScriptedFault>& faults) const {
    Tree list = Tree::list();
    for (const ScriptedFault& fault : faults) list.items.push_back(tree_of(fault));
    map.set(key, std::move(list));
  }
};

Tree tree_of(const ModelSpec& model) {
  Tree map = Tree::map();
  map.set("kind", Tree::plain(std::string(kind_name(model.kind))));
  for_each_field(model.kind, [writer = FieldWriter{map}](std::string_view key, const auto& value, const auto&) {
    writer.set(key, value);
  });
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

/// 224, or [height, width].
Tree size_of(std::uint32_t height, std::uint32_t width, bool one_number) {
  return one_number ? number(height) : numbers(std::array{height, width});
}

void set_resize(Tree& map, const Resize& resize) {
  if (resize.rule != ResizeRule::none) {
    map.set("resize", size_of(resize.height, resize.width, resize.rule == ResizeRule::shorter));
    map.set("rule", name_of(resize.rule));
    map.set("interpolation", name_of(resize.interpolation));
  }
  if (resize.crop_height != 0) map.set("crop", size_of(resize.crop_height, resize.crop_width, false));
  if (resize.crop_height != 0 || resize.rule == ResizeRule::shorter)
    map.set("crop_rounding", name_of(resize.crop_rounding));
}

Tree tree_of(const MemberInput& input, const std::vector<std::string>& prepares) {
  Tree map = Tree::map();
  if (prepares.size() == 1) map.set("tensors", Tree::text(prepares.front()));
  if (prepares.size() > 1) {
    Tree names = Tree::list();
    for (const std::string& name : prepares) names.items.push_back(Tree::text(name));
    map.set("tensors", std::move(names));
  }
  set_resize(map, input.resize);
  if (!input.mean.empty()) map.set("mean", numbers(input.mean));
  if (!input.std.empty()) map.set("std", numbers(input.std));
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

Tree tree_of(const MemberSpec& member) {
  Tree map = Tree::map();
  map.set("name", Tree::text(member.name));
  map.set("model", tree_of(member.model));
  map.set("weight", number(member.weight));
  if (!facts_of(member.model.kind).output) map.set("output", name_of(member.output));
  if (!member.takes.empty()) map.set("takes", tree_of(member.takes));
  if (member.input) map.set("input", tree_of(*member.input, member.prepares));
  if (!member.views.empty()) map.set("views", tree_of(member.views));
  map.set("copy_input", boolean(member.copy_input));
  map.set("seed", number(member.seed));
  map.set("train", tree_of(member.train));
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

Tree tree_of(const ImageShape& shape) { return numbers(std::array{shape.channels, shape.height, shape.width}); }

Tree tree_of(const std::vector<InputTensor>& tensors) {
  if (tensors.size() == 1 && tensors[0].name.empty()) return Tree::text(tensors[0].file.string());
  Tree map = Tree::map();
  for (const InputTensor& tensor : tensors) {
    if (!tensor.file.empty()) {
      map.set(tensor.name, Tree::text(tensor.file.string()));
      continue;
    }
    Tree layout = Tree::map();
    layout.set("shape", numbers(tensor.layout.dims));
    layout.set("dtype", name_of(tensor.layout.dtype));
    map.set(tensor.name, std::move(layout));
  }
  return map;
}

/// The shape of an image, or the tensors.
void set_form(Tree& map, const InputSpec& input) {
  if (input.tensors.empty())
    map.set("shape", tree_of(input.shape));
  else
    map.set("inputs", tree_of(input.tensors));
}

void set_labels(Tree& map, const InputSpec& input) {
  set_path(map, "labels", input.labels);
  if (input.ignore_index) map.set("ignore_index", number(*input.ignore_index));
}

void set_decoding(Tree& map, const InputSpec& input) {
  if (!input.tiles) map.set("jpeg_scaling", boolean(input.jpeg_scaling));
  map.set("orientation", name_of(input.orientation));
  if (input.decode_threads != 0) map.set("decode_threads", number(input.decode_threads));
}

void set_keys_of_dataset(Tree& map, const InputSpec& input) {
  switch (input.dataset) {
    case Dataset::digits:
      map.set("split", name_of(input.split));
      return;
    case Dataset::cifar10:
      map.set("split", name_of(input.split));
      set_path(map, "path", input.path);
      return;
    case Dataset::npy:
      if (!input.tensors.empty()) map.set("inputs", tree_of(input.tensors));
      set_path(map, "images", input.images);
      set_labels(map, input);
      if (input.tensors.empty()) map.set("layout", name_of(input.layout));
      return;
    case Dataset::folder:
      set_path(map, "path", input.path);
      set_labels(map, input);
      set_resize(map, input.resize);
      map.set("on_broken", name_of(input.on_broken));
      set_decoding(map, input);
      return;
    case Dataset::random:
      map.set("count", number(input.count));
      map.set("seed", number(input.seed));
      set_form(map, input);
      return;
    case Dataset::memory:
      if (!resizes_pictures(input)) return set_form(map, input);
      set_resize(map, input.resize);
      set_decoding(map, input);
      return;
  }
}

Tree tree_of(const Tiles& tiles) {
  Tree map = Tree::map();
  map.set("size", tiles.size.size() == 1 ? number(tiles.size.front()) : numbers(tiles.size));
  map.set("overlap", number(tiles.overlap));
  map.set("blend", name_of(tiles.blend));
  return map;
}

Tree tree_of(const InputSpec& input) {
  Tree map = Tree::map();
  map.set("dataset", name_of(input.dataset));
  set_keys_of_dataset(map, input);
  if (input.tiles) map.set("tiles", tree_of(*input.tiles));
  if (input.classes > 0) map.set("classes", number(input.classes));
  if (input.skip > 0) map.set("skip", number(input.skip));
  if (input.limit) map.set("limit", number(*input.limit));
  Tree preprocess = Tree::map();
  if (!input.preprocess.mean.empty()) preprocess.set("mean", numbers(input.preprocess.mean));
  if (!input.preprocess.std.empty()) preprocess.set("std", numbers(input.preprocess.std));
  if (!preprocess.entries.empty()) map.set("preprocess", std::move(preprocess));
  return map;
}

/// Writes only the keys of the method: the reader rejects others.
/// Its device is that of its members.
Tree tree_of(const UnitSpec& unit, const std::vector<MemberSpec>& members) {
  Tree map = Tree::map();
  Tree names = Tree::list();
  for (const std::size_t rank : unit.members) names.items.push_back(Tree::text(members[rank].name));
  map.set("members", std::move(names));
  map.set("mode", name_of(unit.mode));
  return map;
}

Tree tree_of(const MergeSpec& merge, const std::vector<MemberSpec>& members) {
  Tree map = Tree::map();
  map.set("method", name_of(merge.method));
  Tree over = Tree::list();
  for (const std::size_t rank : merge.over) over.items.push_back(Tree::text(members[rank].name));
  map.set("over", std::move(over));
  if (merge.method == MergeMethod::weighted) {
    map.set("weights", numbers(merge.weights));
    map.set("normalize", boolean(merge.normalize));
  }
  const bool ties = merge.method == MergeMethod::ties;
  if (ties || merge.method == MergeMethod::task_arithmetic) map.set("scaling", number(merge.scaling));
  if (ties) map.set("density", number(merge.density));
  if (ties) map.set("disjoint", name_of(merge.disjoint));
  if (merge.method == MergeMethod::slerp) map.set("t", number(merge.t));
  map.set("accumulate", Tree::plain(merge.accumulate_f64 ? "float64" : "float32"));
  if (merge.batch_norm != BatchNorm::keep) map.set("batch_norm", name_of(merge.batch_norm));
  if (merge.input) map.set("input", tree_of(*merge.input));
  return map;
}

Tree tree_of(const TaskSpec& task) {
  Tree map = Tree::map();
  map.set("name", Tree::text(task.name));
  map.set("input", tree_of(task.input));
  if (task.held_out) map.set("held_out", tree_of(*task.held_out));
  Tree classes = Tree::list();
  for (const std::string& name : task.classes) classes.items.push_back(Tree::text(name));
  if (!classes.items.empty()) map.set("classes", std::move(classes));
  set_path(map, "head", task.head);
  return map;
}

Tree tree_of(const Device& device) {
  return std::holds_alternative<AutoDevice>(device) ? Tree::null() : Tree::text(to_text(device));
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

std::string to_yaml(const EnsembleSpec& spec) {
  Tree map = Tree::map();
  Tree members = Tree::list();
  Tree assignment = Tree::map();
  for (const MemberSpec& member : spec.members) {
    members.items.push_back(tree_of(member));
    assignment.set(member.name, tree_of(member.device));
  }
  map.set("members", std::move(members));
  map.set("assignment", std::move(assignment));
  Tree workers = Tree::list();
  for (const UnitSpec& unit : spec.workers) workers.items.push_back(tree_of(unit, spec.members));
  if (!workers.items.empty()) map.set("workers", std::move(workers));
  map.set("combine", tree_of(spec.combine));
  map.set("input", tree_of(spec.input));
  Tree classes = Tree::list();
  for (const std::string& name : spec.classes) classes.items.push_back(Tree::text(name));
  if (!classes.items.empty()) map.set("classes", std::move(classes));
  Tree tasks = Tree::list();
  for (const TaskSpec& task : spec.tasks) tasks.items.push_back(tree_of(task));
  if (!tasks.items.empty()) map.set("tasks", std::move(tasks));
  if (spec.base) map.set("base", tree_of(*spec.base));
  if (spec.merge) map.set("merge", tree_of(*spec.merge, spec.members));
  Tree train = Tree::map();
  train.set("input", tree_of(spec.train_input));
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
  return emit_yaml(map);
}

}  // namespace tutti::config
