#include "config/value.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/resample.hpp"
#include "common/utf8.hpp"
#include "config/arguments.hpp"
#include "config/device.hpp"
#include "config/effective.hpp"
#include "config/failure.hpp"
#include "config/include.hpp"
#include "config/input.hpp"
#include "config/load.hpp"
#include "config/reader.hpp"
#include "config/stages.hpp"
#include "config/steps.hpp"

namespace tutti::config {
namespace {

SourcePosition at(std::string field) { return {std::move(field), 0, 0}; }

/// What must be right before the value can be written as keys.
class Writable {
 public:
  Writable(const EnsembleSpec& value, Violations& violations) : value_(value), violations_(violations) {}

  void check() {
    for (std::size_t m = 0; m < value_.members.size(); ++m) {
      const MemberSpec& member = value_.members[m];
      check_model(member.model, fmt::format("members[{}].model", m));
      for (std::size_t s = 0; s < member.before.size(); ++s) {
        check_model(member.before[s].model, fmt::format("members[{}].before[{}].model", m, s));
        check_unit(member.before[s].workers, fmt::format("members[{}].before[{}].workers", m, s));
      }
      check_unit(member.last, fmt::format("members[{}].last", m));
    }
    if (value_.base) check_model(*value_.base, "base");
    for (std::size_t u = 0; u < value_.workers.size(); ++u)
      check_unit(value_.workers[u], fmt::format("workers[{}]", u));
    for (std::size_t s = 0; s < value_.cascade.size(); ++s) {
      check_ranks(value_.cascade[s].after, fmt::format("cascade[{}].after", s));
      check_ranks(value_.cascade[s].then, fmt::format("cascade[{}].then", s));
    }
    if (value_.merge) check_ranks(value_.merge->over, "merge.over");
    if (const double seconds = value_.failure.kill_deadline; !kDeadline.accept(seconds))  // it is not a key
      violations_.add(at("failure.kill_deadline"), fmt::format("it must be {}, not {}", kDeadline.wanted, seconds));
  }

 private:
  void check_model(const ModelSpec& model, const std::string& field) {
    const auto* python = std::get_if<PythonModel>(&model.kind);
    if (python == nullptr) return;
    try {
      arguments_tree(python->arguments);
    } catch (const Error& error) {
      violations_.add(at(field + ".arguments"), fmt::format("it is not a JSON object: {}{}{}", error.message(),
                                                            error.detail().empty() ? "" : "; ", error.detail()));
    }
  }

  /// In YAML, devices are keys with their numbers of replicas.
  void check_unit(const UnitSpec& unit, const std::string& field) {
    check_ranks(unit.members, field + ".members");
    const std::vector<Device>& devices = unit.devices;
    if (!devices.empty() && devices.size() != unit.replicas)
      violations_.add(at(field + ".devices"), fmt::format("it has {}, and 'replicas' is {}; name one for each replica",
                                                          counted(devices.size(), "device"), unit.replicas));
    for (auto device = devices.begin(); device != devices.end(); ++device)
      if (const auto first = std::find(devices.begin(), device, *device);
          first != device && *std::prev(device) != *device)
        violations_.add(at(fmt::format("{}.devices[{}]", field, device - devices.begin())),
                        fmt::format("the replicas on {} must be next to each other", to_text(*device)));
  }

  void check_ranks(const std::vector<std::size_t>& ranks, const std::string& field) {
    for (std::size_t i = 0; i < ranks.size(); ++i)
      if (ranks[i] >= value_.members.size())
        violations_.add(at(fmt::format("{}[{}]", field, i)),
                        fmt::format("there is no member {}; the ensemble has {}", ranks[i], value_.members.size()));
  }

  const EnsembleSpec& value_;
  Violations& violations_;
};

/// Fields that are called otherwise than their keys; the longer key before the shorter.
constexpr std::array<std::pair<std::string_view, std::string_view>, 20> kFields{{
    {"restarts.limit", "failure.restart_limit"},
    {"restarts.window_s", "failure.restart_window"},
    {"restarts.back_off_s", "failure.back_off"},
    {"restarts", "failure"},
    {"on_worker_failure", "failure.on_worker_failure"},
    {"progress_deadline_s", "failure.progress_deadline"},
    {"on_poison", "failure.on_poison"},
    {"poison_limit", "failure.poison_limit"},
    {"on_nan", "failure.on_nan"},
    {"spares", "failure.spares"},
    {"core_files", "failure.core_files"},
    {"drain_deadline_s", "failure.drain_deadline"},
    {"start_deadline_s", "start_deadline"},
    {"stop_deadline_s", "stop_deadline"},
    {"quorum.deadline_s", "quorum.deadline"},
    {"combine.accumulate", "combine.accumulate_f64"},
    {"merge.accumulate", "merge.accumulate_f64"},
    {"train.input", "train_input"},
    {"train.checkpoint_segments", "checkpoint_segments"},
    {"train", "checkpoint_segments"},
}};

std::string field_of(std::string_view key) {
  for (const auto& [other, field] : kFields) {
    if (!key.starts_with(other)) continue;
    const std::string_view rest = key.substr(other.size());
    if (rest.empty() || rest.front() == '.' || rest.front() == '[') return fmt::format("{}{}", field, rest);
  }
  return std::string(key);
}

/// Gives every part of the tree, which is the value of `key`, the name of its field as its position.
void name_fields(Tree& tree, const std::string& key) {
  tree.position = at(field_of(key));
  for (std::size_t i = 0; i < tree.items.size(); ++i) name_fields(tree.items[i], fmt::format("{}[{}]", key, i));
  for (Tree::Entry& entry : tree.entries) {
    const std::string inner = key.empty() ? entry.key : fmt::format("{}.{}", key, entry.key);
    entry.key_position = at(field_of(inner));
    name_fields(entry.value, inner);
  }
}

/// The stages of a member are in two places of the value: those `before` the last, and the member itself. Each is
/// followed by its steps.
void name_stages(Tree& stages, std::size_t before, const std::string& member) {
  std::size_t s = 0;
  std::size_t step = 0;
  std::string stage;
  for (Tree& item : stages.items) {
    if (is_step(item)) {
      name_fields(item, fmt::format("{}.steps[{}]", stage, step++));
      continue;
    }
    const bool last = s == before;
    stage = last ? member : fmt::format("{}.before[{}]", member, s);
    ++s;
    step = 0;
    for (Tree::Entry& entry : item.entries) {
      const bool of_workers = entry.key == "replicas" || entry.key == "same_bits";
      const std::string of = !of_workers ? stage : last ? member + ".last" : stage + ".workers";
      name_fields(entry.value, fmt::format("{}.{}", of, entry.key));
      entry.key_position = entry.value.position;
    }
  }
}

/// YAML would say something else with them.
void check_texts(const Tree& tree, Violations& violations) {
  for (const Tree& item : tree.items) check_texts(item, violations);
  for (const Tree::Entry& entry : tree.entries) check_texts(entry.value, violations);
  if (!tree.quoted) return;
  const std::string& text = tree.scalar;
  if (as_utf8(text) != text)
    violations.add(tree.position, fmt::format("{} is not UTF-8", describe(tree)));
  else if (is_expanded(text))
    violations.add(tree.position,
                   fmt::format("'{}' begins with '{}', which only YAML replaces; write the folder out", one_line(text),
                               text.substr(0, text.starts_with("${") ? 2 : text.find('/') + 1)));
}

/// The device of a member is that of its worker unless it has another than the default.
Device device_of(const EnsembleSpec& value, std::size_t member) {
  if (value.members[member].device != MemberSpec().device) return value.members[member].device;
  for (const UnitSpec& unit : value.workers)
    if (!unit.devices.empty() && std::ranges::count(unit.members, member) > 0) return unit.devices.front();
  return MemberSpec().device;
}

/// One that was made of `input`, and is as it was then, is made of it again.
void let_train_input_follow(EnsembleSpec& value) {
  InputSpec made = value.train_input;
  made.found.reset();
  if (value.followed.train_input && made == *value.followed.train_input) value.train_input = InputSpec();
}

/// If not, it is as by default in YAML.
bool names_train_input(const EnsembleSpec& value) { return value.train_input != InputSpec(); }

Tree named_tree(const EnsembleSpec& value) {
  Tree tree = to_tree(value);
  name_fields(tree, "");
  tree.position = at("the description");
  for (std::size_t m = 0; m < value.members.size(); ++m)
    if (Tree* stages = tree.find("members")->items[m].find("stages"); stages != nullptr)
      name_stages(*stages, value.members[m].before.size(), fmt::format("members[{}]", m));
  if (!names_train_input(value)) tree.find("train")->remove("input");
  // By rank, whatever the members are called.
  Tree devices = Tree::list();
  for (std::size_t m = 0; m < value.members.size(); ++m) {
    // Stages say where they run themselves.
    const bool one = !has_stages(value.members[m]);
    Tree& device = devices.items.emplace_back(device_tree(one ? device_of(value, m) : Device(AutoDevice{})));
    name_fields(device, fmt::format("members[{}].device", m));
  }
  devices.position = at("members");
  tree.set("assignment", std::move(devices));
  return tree;
}

/// Whether all of a value is in what was read of it. Where a field is Tutti's own, or empty means a default, it is that
/// of what was read.
class Kept {
 public:
  Kept(const EnsembleSpec& given, const EnsembleSpec& read, Violations& violations)
      : given_(given), read_(read), violations_(violations) {}

  void check() {
    for (std::size_t m = 0; m < given_.members.size(); ++m)
      check_member(fmt::format("members[{}]", m), given_.members[m], read_.members[m]);
    same("combine", given_.combine, read_.combine);
    same_input("input", given_.input, read_.input);
    if (names_train_input(given_)) same_input("train_input", given_.train_input, read_.train_input);
    for (std::size_t t = 0; t < given_.tasks.size(); ++t) {
      same_input(fmt::format("tasks[{}].input", t), given_.tasks[t].input, read_.tasks[t].input);
      if (given_.tasks[t].held_out)
        same_input(fmt::format("tasks[{}].held_out", t), *given_.tasks[t].held_out, *read_.tasks[t].held_out);
    }
    if (given_.base) same_model("base", *given_.base, *read_.base);
    for (std::size_t u = 0; u < given_.workers.size(); ++u) {
      const std::string field = fmt::format("workers[{}]", u);
      same(field + ".replicas", given_.workers[u].replicas, read_.workers[u].replicas);
      same(field + ".same_bits", given_.workers[u].same_bits, read_.workers[u].same_bits);
      check_modes(field + ".modes", given_.workers[u].modes, read_.workers[u].modes);
    }
    if (given_.merge) check_merge(*given_.merge, *read_.merge);
    same("segment_images", given_.segment_images, read_.segment_images);
    same("batch_images", given_.batch_images, read_.batch_images);
    same("failure.progress_deadline", given_.failure.progress_deadline, read_.failure.progress_deadline);
  }

 private:
  template <class Value>
  void same(const std::string& field, const Value& given, const Value& read) {
    if (given == read) return;
    violations_.add(at(field),
                    "it has a value that means nothing with the other fields, so it would not count; leave it at its "
                    "default");
  }

  void check_member(const std::string& field, const MemberSpec& given, const MemberSpec& read) {
    same_model(field + ".model", given.model, read.model);
    for (std::size_t s = 0; s < given.before.size(); ++s) {
      const std::string stage = fmt::format("{}.before[{}]", field, s);
      same_model(stage + ".model", given.before[s].model, read.before[s].model);
      same(stage + ".workers", given.before[s].workers, read.before[s].workers);
      same(stage + ".steps", given.before[s].steps, read.before[s].steps);
      if (given.before[s].device != Device(AutoDevice{}))
        same(stage + ".device", given.before[s].device, read.before[s].device);
    }
    same(field + ".steps", given.steps, read.steps);
    if (has_stages(given) && given.device != Device(AutoDevice{})) same(field + ".device", given.device, read.device);
    same(field + ".last", given.last, read.last);
    const KindFacts facts = facts_of(read.model.kind);
    if (facts.output && given.output != MemberSpec().output) same(field + ".output", given.output, read.output);
    same(field + ".takes", given.takes, read.takes);
    if (given.input) same(field + ".input", given.input, read.input);
    if (given.input || !given.prepares.empty()) same(field + ".prepares", given.prepares, read.prepares);
    same(field + ".views", given.views, read.views);
    TrainSpec train = given.train;
    train.learns = read.train.learns;
    same(field + ".train", train, read.train);
  }

  /// `mode: auto` always means all that are possible.
  void check_modes(const std::string& field, const std::vector<UnitMode>& given, const std::vector<UnitMode>& read) {
    if (given.empty() || given == read) return;
    std::vector<std::string_view> names;
    for (const UnitMode mode : read) names.push_back(to_name(mode));
    violations_.add(at(field), read.empty()
                                   ? "one member has no modes to choose from; leave it empty"
                                   : fmt::format("it must be all that these members can have, in this order: {}",
                                                 fmt::join(names, ", ")));
  }

  void same_model(const std::string& field, ModelSpec given, const ModelSpec& read) {
    if (!given.candidates.empty()) given.kind = read.kind;
    if (auto* python = std::get_if<PythonModel>(&given.kind); python != nullptr) {
      if (python->folder.empty()) python->folder = std::get<PythonModel>(read.kind).folder;
      python->arguments = read_arguments(arguments_tree(python->arguments), violations_);  // written alike
    }
    same(field, given, read);
  }

  void same_input(const std::string& field, InputSpec given, const InputSpec& read) {
    given.has_bytes = read.has_bytes;
    given.label_form = read.label_form;
    given.found = read.found;
    complete_pictures(given, read);
    same(field, given, read);
  }

  /// The size of pictures is one by default, and their shape, and that of tiles, follows from what says their size.
  static void complete_pictures(InputSpec& given, const InputSpec& read) {
    const bool resized = resizes_pictures(read);
    if ((resized || read.tiles) && read.tensors.empty() && given.shape == InputSpec().shape) given.shape = read.shape;
    if (!resized) return;
    if (given.resize.rule == ResizeRule::shorter && given.resize.width == 0) given.resize.width = given.resize.height;
    given.resize = resize_of_picture(given.resize, read.resize);
  }

  void check_merge(MergeSpec given, const MergeSpec& read) {
    if (given.over.empty()) given.over = read.over;
    if (given.weights.empty()) given.weights = read.weights;
    if (given.input) same_input("merge.input", *given.input, *read.input);
    given.input = read.input;
    same("merge", given, read);
  }

  const EnsembleSpec& given_;
  const EnsembleSpec& read_;
  Violations& violations_;
};

}  // namespace

EnsembleSpec checked_value(const EnsembleSpec& given) {
  EnsembleSpec value = given;
  let_train_input_follow(value);
  if (value.checkpoint_segments == EnsembleSpec{}.checkpoint_segments)  // nobody has set it: as without the key in YAML
    value.checkpoint_segments = std::min(value.checkpoint_segments, most_checkpoint_segments(value.slots));
  constexpr std::string_view kWhat = "the description";
  Violations violations;
  Writable(value, violations).check();
  violations.raise(kWhat);
  const Tree tree = named_tree(value);
  check_texts(tree, violations);
  EnsembleSpec read = read_spec(tree, {}, violations);
  violations.raise(kWhat);
  Kept(value, read, violations).check();
  violations.raise(kWhat);
  // Those that are not keys.
  read.failure.kill_deadline = value.failure.kill_deadline;
  read.input.has_bytes = value.input.has_bytes;
  complete(read, {});
  return read;
}

}  // namespace tutti::config
