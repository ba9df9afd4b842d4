#include "config/shards.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/resample.hpp"
#include "config/assignment.hpp"
#include "config/balanced_cut.hpp"
#include "config/checks.hpp"
#include "config/input.hpp"
#include "config/reader.hpp"
#include "config/stages.hpp"
#include "config/takes.hpp"
#include "merge/checkpoint.hpp"
#include "merge/clip_config.hpp"
#include "merge/clip_layers.hpp"

namespace tutti::config {
namespace {

void read_cut(const Tree& tree, ReadShards& shards, Violations& violations) {
  if (tree.kind != Tree::Kind::list || tree.items.empty() || tree.items.size() >= kMaxStages) {
    violations.add(
        tree.position,
        fmt::format("'cut' must be a list of 1 to {} layers, each the first one of a shard, such as [4, 8], "
                    "not {}",
                    kMaxStages - 1,
                    tree.kind == Tree::Kind::list ? fmt::format("one of {}", tree.items.size()) : describe(tree)));
    return;
  }
  for (const Tree& item : tree.items) {
    const auto layer = read_whole(item, "each item of 'cut'", 1, kMaxModelWidth, violations);
    if (!layer) continue;
    if (!shards.cut.empty() && *layer <= shards.cut.back().layer)
      violations.add(item.position,
                     fmt::format("'cut' must ascend, and {} follows {}", *layer, shards.cut.back().layer));
    shards.cut.push_back({static_cast<std::uint32_t>(*layer), item.position});
  }
}

void read_devices(const Tree& tree, ReadShards& shards, Violations& violations) {
  if (tree.kind != Tree::Kind::list || tree.items.size() != shards.count) {
    violations.add(
        tree.position,
        fmt::format("'devices' must be a list with one for each of the {} shards, not {}", shards.count,
                    tree.kind == Tree::Kind::list ? fmt::format("one of {}", tree.items.size()) : describe(tree)));
    return;
  }
  for (const Tree& item : tree.items) shards.devices.push_back(read_device(item, violations));
}

/// The map; its `count` is 0 if it is wrong.
void read_fields_of(const Tree& tree, ReadShards& shards, Violations& violations) {
  Fields fields(tree, "'shards'", violations);
  const std::size_t before = violations.count();
  const Tree* const cut = fields.find("cut");
  if (cut != nullptr) {
    fields.refuse("count", "'cut' says how many shards there are; leave 'count' out");
    read_cut(*cut, shards, violations);
    shards.count = static_cast<std::uint32_t>(shards.cut.size()) + 1;
  } else if (fields.require("count", "the number of shards, or 'cut', the layers where they begin: [4, 8]") !=
             nullptr) {
    fields.whole("count", shards.count, 2, kMaxStages);
  }
  const bool sound = violations.count() == before;
  if (const Tree* const devices = fields.find("devices"); devices != nullptr && sound)
    read_devices(*devices, shards, violations);
  fields.finish();
}

/// What the first layer takes of a sample, as far as the description tells.
std::optional<std::uint64_t> values_taken(const MemberSpec& member, const InputSpec& input) {
  if (const auto tensors = known_tensors(input)) {
    std::vector<std::string> names;
    for (const NamedLayout& tensor : *tensors) names.push_back(tensor.name);
    const TakenNames taken = taken_names(member, names);
    if (!taken.wrong.what.empty() || taken.places.size() != 1) return std::nullopt;
    const SeenTensors seen = seen_tensors(member, std::vector{(*tensors)[taken.places.front()]});
    return seen.wrong.what.empty() ? std::optional(seen.layouts.front().elements()) : std::nullopt;
  }
  const auto shape = known_shape(input);
  if (!shape || !member.input) return shape ? std::optional(shape->elements()) : std::nullopt;
  const bool decoded = resizes_pictures(input);
  const Misfit wrong = decoded ? misfit_of_picture(*member.input, input) : misfit(*member.input, *shape);
  if (!wrong.what.empty()) return std::nullopt;
  const Resize& resize = member.input->resize;
  return (decoded ? fixed_shape(resize_of_picture(resize, input.resize)) : resized_shape(resize, *shape)).elements();
}

/// How many layers the network has. Throws Error(usage) if a file that says it cannot be read.
struct LayerCount {
  std::size_t operator()(const MlpModel& model) const { return model.layers.size(); }
  std::size_t operator()(const ClipVitModel& model) const {
    return static_cast<std::size_t>(merge::read_clip_config(model.path).layers);
  }
  std::size_t operator()(const auto&) const { return 0; }
};

/// The bytes of each layer. Throws Error(usage) if a file that says it cannot be read.
struct LayerBytes {
  const MemberSpec& member;
  const InputSpec& input;

  std::vector<std::uint64_t> operator()(const MlpModel& model) const {
    std::vector<std::uint64_t> bytes;
    std::uint64_t in = first_width();
    for (const std::uint64_t out : model.layers) {
      bytes.push_back(out * (in + 1) * sizeof(float));
      in = out;
    }
    return bytes;
  }
  std::vector<std::uint64_t> operator()(const ClipVitModel& model) const {
    const std::filesystem::path& own = member.model.weights;
    return merge::tower_layer_bytes(merge::Checkpoint::open(own.empty() ? std::filesystem::path(model.path) : own),
                                    LayerCount()(model), model.output == ClipOutput::projected);
  }
  std::vector<std::uint64_t> operator()(const auto&) const { return {}; }

 private:
  std::uint64_t first_width() const {
    if (const auto values = values_taken(member, input)) return *values;
    if (!member.model.weights.empty()) {
      const auto file = merge::Checkpoint::open(member.model.weights);
      if (const auto& shape = file.form("fc1.weight").shape; shape.size() == 2)
        return static_cast<std::uint64_t>(shape[1]);
    }
    throw Error(ErrorKind::usage, "how many values its first layer takes is known only at the start", {},
                "say where to cut: shards: {cut: [2]}");
  }
};

std::string one_line_of(const Error& error) {
  std::string text = error.message();
  for (const std::string& more : {error.detail(), error.hint()})
    if (!more.empty()) text += "; " + more;
  return text;
}

/// Why the model cannot be cut at all; empty if it can.
std::string why_whole(const MemberSpec& member) {
  const ModelSpec& model = member.model;
  if (!model.candidates.empty())
    return "its form is chosen at the start, and only a network that torch computes is cut: name its kind, and leave "
           "'backend' out";
  const LayerRange* const part = part_of(model.kind);
  if (part == nullptr) {
    std::vector<std::string> kinds;
    for (const ModelKind& kind : every_kind())
      if (part_of(kind) != nullptr) kinds.emplace_back(kind_name(kind));
    const bool program = holds_program(facts_of(model.kind));
    return fmt::format(
        "Tutti knows no layers of a {}, only of {}{}", kind_name(model.kind), fmt::join(kinds, " and "),
        program ? "; an nn.Sequential is cut when it is exported ('python -m tutti.export model ... --shards "
                  "3'), and other models in parts that 'stages' lists"
                : "");
  }
  if (!part->whole()) return "its model is already a 'part'; leave one of them out";
  if (const ComputedBy by = *backend_of(model.kind); by != ComputedBy::torch)
    return fmt::format("only torch computes a part of a network, not {}; leave 'backend' out", to_name(by));
  return {};
}

/// The cuts that the description names, or else balanced ones; nothing if they are wrong.
std::optional<std::vector<std::uint32_t>> cuts_of(const ReadMember& read, const InputSpec& input,
                                                  Violations& violations) {
  const MemberSpec& member = read.spec;
  const ReadShards& shards = *read.shards;
  const auto refuse = [&](const SourcePosition& position, const std::string& why) {
    violations.add(position, fmt::format("member '{}' cannot be cut into shards: {}", member.name, why));
    return std::nullopt;
  };
  if (const std::string why = why_whole(member); !why.empty()) return refuse(shards.position, why);
  try {
    const std::size_t layers = std::visit(LayerCount(), member.model.kind);
    const std::string there = fmt::format("its network has {}", counted(layers, "layer"));
    std::vector<std::uint32_t> cuts;
    for (const ReadCut& cut : shards.cut) {
      if (cut.layer >= layers) return refuse(cut.position, fmt::format("layer {} is outside: {}", cut.layer, there));
      cuts.push_back(cut.layer);
    }
    if (!cuts.empty()) return cuts;
    if (shards.count > layers)
      return refuse(shards.position, fmt::format("{}, and there would be {} shards", there, shards.count));
    return balanced_cut(std::visit(LayerBytes{member, input}, member.model.kind), shards.count);
  } catch (const Error& error) {
    return refuse(shards.position, one_line_of(error));
  }
}

/// Stages that are the same model but for the part of it.
void cut_member(ReadMember& read, const std::vector<std::uint32_t>& cuts) {
  MemberSpec& member = read.spec;
  const ModelSpec whole = member.model;
  std::uint32_t from = 0;
  for (const std::uint32_t cut : cuts) {
    StageSpec& stage = member.before.emplace_back();
    stage.model = whole;
    *part_of(stage.model.kind) = {from, cut};
    stage.place.text = read.shards->position.text();
    from = cut;
  }
  *part_of(member.model.kind) = {from, 0};
  read.stage_devices = read.shards->devices;
  read.stage_devices.resize(cuts.size() + 1);
}

}  // namespace

void read_shards(const Tree& tree, Fields& fields, ReadMember& read, Violations& violations) {
  fields.refuse("stages",
                "a member is cut into 'shards' or has 'stages', not both; a stage may have a 'part' of a model");
  fields.refuse("views",
                "the predictions of views cannot be put together behind several shards; leave 'views' out of a "
                "member with 'shards'");
  fields.refuse("train", "a member with 'shards' is not trained; train the whole model");
  ReadShards shards;
  shards.position = tree.position;
  const std::size_t before = violations.count();
  if (tree.kind == Tree::Kind::map)
    read_fields_of(tree, shards, violations);
  else
    fields.whole("shards", shards.count, 2, kMaxStages);
  if (violations.count() == before) read.shards = std::move(shards);
}

void cut_into_shards(std::vector<ReadMember>& members, const InputSpec& input, Violations& violations) {
  for (ReadMember& read : members) {
    if (!read.shards || !read.sound) continue;
    const auto cuts = cuts_of(read, input, violations);
    if (cuts)
      cut_member(read, *cuts);
    else
      read.sound = false;
  }
}

std::string part_text(const ModelKind& kind) {
  const LayerRange* const part = part_of(kind);
  if (part == nullptr || part->whole()) return {};
  if (part->to == 0) return fmt::format("layer {} to the last", part->from);
  if (part->to == part->from + 1) return fmt::format("layer {}", part->from);
  return fmt::format("layers {} to {}", part->from, part->to - 1);
}

std::string_view chain_key(const MemberSpec& member) {
  const LayerRange* const part = part_of(member.model.kind);
  return part != nullptr && !part->whole() && !member.before.empty() ? "shards" : "stages";
}

}  // namespace tutti::config
