#include "config/model.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "config/members.hpp"
#include "config/reader.hpp"

namespace tutti::config {
namespace {

/// The longest scripted delay: an hour.
constexpr std::uint64_t kMaxDelayMs = 3'600'000;
/// Batches of fixed sizes that one model may be packaged for.
constexpr std::size_t kMaxPackages = 16;

/// Which kinds take which key; a key outside its kinds is explained instead of called unknown.
struct KeyOfKinds {
  std::string_view key;
  std::array<std::string_view, 5> kinds;  ///< unused places are empty
};
constexpr KeyOfKinds kKeys[] = {
    {"classes", {"small-cnn", "fake"}},
    {"weights", {"small-cnn", "mlp", "torchscript", "clip-vit", "fake"}},
    {"layers", {"mlp"}},
    {"path", {"torchscript", "aoti", "clip-vit"}},
    {"optimize", {"torchscript"}},
    {"output", {"torchscript", "aoti", "clip-vit"}},
    {"head", {"clip-vit"}},
    {"delay_us", {"fake"}},
    {"delay_ms", {"fake"}},
    {"load_delay_ms", {"fake"}},
    {"reads_input", {"fake"}},
    {"writes_input", {"fake"}},
    {"faults", {"fake"}},
};

void refuse_keys_of_other_kinds(Fields& fields, std::string_view kind) {
  for (const KeyOfKinds& row : kKeys) {
    if (std::find(row.kinds.begin(), row.kinds.end(), kind) != row.kinds.end()) continue;
    std::vector<std::string> owners;
    for (const std::string_view owner : row.kinds)
      if (!owner.empty()) owners.emplace_back(owner);
    const std::string remedy =
        row.key == "weights" ? fmt::format("; a file of {} holds its own weights, name it with 'path'", kind) : "";
    fields.refuse(row.key, fmt::format("'{}' belongs to {}, not to {}{}", row.key, one_of(owners), kind, remedy));
  }
}

MlpModel read_mlp(Fields& fields, Violations& violations) {
  MlpModel model;
  const Tree* layers = fields.require("layers", "the hidden widths and then the number of classes: [64, 10]");
  if (layers == nullptr) return model;
  if (layers->kind != Tree::Kind::list || layers->items.empty() || layers->items.size() > kMaxLayers) {
    violations.add(layers->place,
                   fmt::format("'layers' must be a list of 1 to {} widths such as [64, 10], not {}", kMaxLayers,
                               layers->kind == Tree::Kind::list ? fmt::format("one of {}", layers->items.size())
                                                                : describe(*layers)));
    return model;
  }
  for (const Tree& item : layers->items)
    if (const auto width = read_whole(item, "each item of 'layers'", 1, kMaxWidth, violations); width)
      model.layers.push_back(static_cast<std::uint32_t>(*width));
  return model;
}

/// An image is found by its first value instead of by its place in a worker's life, in which others may come before it.
void read_at_value(Fields& fields, FaultPoint& fault, Violations& violations) {
  const Tree* tree = fields.find("at_value");
  if (tree == nullptr) return;
  if (const auto value = read_number(*tree, "'at_value'", kFloat, violations); value)
    fault.at_value = static_cast<float>(*value);
  if (fields.find("at_batch") != nullptr)
    violations.add(tree->place, "'at_batch' does not count where 'at_value' says when; give one of them");
  if (fault.phase == FaultPhase::load)
    violations.add(tree->place, "'at_value' has no meaning in phase load: no image has come yet");
}

FaultPoint read_fault(const Tree& tree, Violations& violations) {
  FaultPoint fault;
  Fields fields(tree, "a fault", violations);
  std::vector<std::string> kinds;
  for (const auto& entry : enum_names(FaultKind{}))
    if (entry.value != FaultKind::none) kinds.emplace_back(entry.name);
  if (fields.require("kind", one_of(kinds)) != nullptr)
    if (const auto word = fields.one_of_words("kind", kinds); word) fault.kind = *from_name<FaultKind>(*word);
  fields.choice("phase", fault.phase);
  fields.whole("at_batch", fault.at_batch, 0);
  read_at_value(fields, fault, violations);
  if (fault.phase == FaultPhase::load && fault.at_batch > 0)
    violations.add(fields.place_of("at_batch"), "'at_batch' has no meaning in phase load: no batch has come yet");
  if (fault.kind == FaultKind::nan && fault.phase == FaultPhase::load)
    violations.add(fields.place_of("kind"), "a nan has no meaning in phase load: nothing is computed yet");
  fields.finish();
  return fault;
}

FakeModel read_fake(Fields& fields, Violations& violations) {
  FakeModel model;
  fields.whole("classes", model.classes, 1, kMaxWidth);
  fields.whole("delay_us", model.delay_us, 0, kMaxDelayMs * 1000);
  std::uint64_t delay_ms = 0;
  fields.whole("delay_ms", delay_ms, 0, kMaxDelayMs);
  if (fields.find("delay_us") != nullptr && fields.find("delay_ms") != nullptr)
    violations.add(fields.place_of("delay_ms"), "'delay_us' and 'delay_ms' are the same delay; give one of them");
  else if (delay_ms > 0)
    model.delay_us = delay_ms * 1000;
  std::uint64_t load_delay_ms = 0;
  fields.whole("load_delay_ms", load_delay_ms, 0, kMaxDelayMs);
  model.load_delay_us = load_delay_ms * 1000;
  fields.boolean("reads_input", model.reads_input);
  fields.boolean("writes_input", model.writes_input);
  const Tree* faults = fields.find("faults");
  if (faults == nullptr) return model;
  if (faults->kind != Tree::Kind::list || faults->items.size() > kMaxFaults) {
    violations.add(faults->place,
                   fmt::format("'faults' must be a list of at most {} maps with kind, phase, and at_batch or at_value",
                               kMaxFaults));
    return model;
  }
  for (const Tree& item : faults->items) model.faults.push_back(read_fault(item, violations));
  return model;
}

AotiModel read_aoti(Fields& fields, Violations& violations) {
  AotiModel model;
  fields.text("output", model.entry);
  const Tree* tree =
      fields.require("path", "the package that AOTInductor wrote, or a list of several for fixed batches");
  if (tree == nullptr) return model;
  if (tree->kind != Tree::Kind::list) {
    std::filesystem::path path;
    fields.path("path", path);
    model.paths = {path.string()};
    return model;
  }
  if (tree->items.empty() || tree->items.size() > kMaxPackages)
    violations.add(tree->place, fmt::format("'path' must be a file or a list of 1 to {} files", kMaxPackages));
  for (const Tree& item : tree->items) {
    if (item.kind == Tree::Kind::scalar && !item.scalar.empty())
      model.paths.push_back(item.scalar);
    else
      violations.add(item.place, fmt::format("each item of 'path' must be a file, not {}", describe(item)));
  }
  return model;
}

ClipVitModel read_clip_vit(Fields& fields, Violations& violations) {
  ClipVitModel model;
  fields.require("path", "the folder with config.json and model.safetensors");
  std::filesystem::path path;
  std::filesystem::path head;
  fields.path("path", path);
  fields.path("head", head);
  model.path = path.string();
  model.head = head.string();
  fields.choice("output", model.output);
  if (model.output == ClipOutput::logits && head.empty())
    violations.add(fields.place_of("output"),
                   "'output: logits' needs 'head', the file that turns features into logits");
  if (model.output != ClipOutput::logits && !head.empty())
    violations.add(fields.place_of("head"),
                   fmt::format("'head' has no meaning with 'output: {}'; set 'output: logits'", to_name(model.output)));
  return model;
}

ModelKind read_kind(std::string_view kind, Fields& fields, Violations& violations) {
  if (kind == "small-cnn") {
    SmallCnnModel model;
    fields.whole("classes", model.classes, 1, kMaxWidth);
    return model;
  }
  if (kind == "mlp") return read_mlp(fields, violations);
  if (kind == "fake") return read_fake(fields, violations);
  if (kind == "aoti") return read_aoti(fields, violations);
  if (kind == "clip-vit") return read_clip_vit(fields, violations);
  TorchScriptModel model;
  fields.require("path", "the file that torch.jit.save wrote");
  std::filesystem::path path;
  fields.path("path", path);
  model.path = path.string();
  fields.boolean("optimize", model.optimize);
  fields.text("output", model.entry);
  return model;
}

}  // namespace

ModelSpec read_model(const Tree& tree, Violations& violations) {
  ModelSpec model;
  Fields fields(tree, "'model'", violations);
  const std::vector<std::string> kinds{"small-cnn", "mlp", "torchscript", "aoti", "clip-vit", "fake"};
  const std::size_t before = violations.count();
  if (tree.kind == Tree::Kind::map) fields.require("kind", one_of(kinds));
  const auto kind = violations.count() == before ? fields.one_of_words("kind", kinds) : std::nullopt;
  if (!kind) return model;  // without it no key can be judged
  model.kind = read_kind(*kind, fields, violations);
  if (*kind != "aoti") fields.path("weights", model.weights);
  refuse_keys_of_other_kinds(fields, *kind);
  fields.finish();
  return model;
}

}  // namespace tutti::config
