// `shards` of a member: where a model is cut, and what is refused.
#include "config/shards.hpp"

#include <doctest/doctest.h>

#include <array>
#include <fstream>

#include <fmt/format.h>

#include "config/load.hpp"
#include "config/value.hpp"
#include "merge/safetensors.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

/// The messages about a description.
std::string refusals(const std::string& yaml) { return test::problem(yaml); }

using Ranges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

/// A member that is an mlp over 10 values with these keys besides, and one without shards; then these lines.
std::string mlp_with(const std::string& keys, const std::string& lines = {}) {
  return "members:\n"
         "  - {name: m, model: {kind: mlp, layers: [8, 8, 8, 4]}, " +
         keys +
         "}\n"
         "  - {name: n, model: {kind: mlp, layers: [4]}}\n"
         "input: {dataset: random, count: 3, shape: [1, 2, 5]}\n" +
         lines;
}

/// The layers of each shard of the first member.
Ranges ranges_of(const config::EnsembleSpec& spec) {
  Ranges ranges;
  const config::MemberSpec& member = spec.members.front();
  const auto add = [&](const ModelKind& kind) {
    if (const LayerRange* part = part_of(kind)) ranges.emplace_back(part->from, part->to);
  };
  for (const config::StageSpec& stage : member.before) add(stage.model.kind);
  add(member.model.kind);
  return ranges;
}

Ranges cut(const std::string& keys, const std::string& lines = {}) {
  return ranges_of(config::load_text(mlp_with(keys, lines), "e.yaml"));
}

TEST_CASE("shards are stages with the same model and consecutive layers") {
  CHECK(cut("shards: {cut: [1, 3]}") == Ranges{{0, 1}, {1, 3}, {3, 0}});
  CHECK(cut("shards: 4") == Ranges{{0, 1}, {1, 2}, {2, 3}, {3, 0}});
  const auto spec = config::load_text(mlp_with("seed: 9, shards: {cut: [2]}", "slots: 3\n"), "e.yaml");
  const config::MemberSpec& member = spec.members[0];
  REQUIRE(member.before.size() == 1);
  CHECK(std::get<MlpModel>(member.before[0].model.kind).layers == std::vector<std::uint32_t>{8, 8, 8, 4});
  CHECK(facts_of(member.before[0].model.kind).prediction() == Dims{8});
  CHECK(facts_of(member.before[0].model.kind).output->kind == OutputKind::values);
  CHECK_FALSE(facts_of(member.before[0].model.kind).trainable);
  CHECK(facts_of(member.model.kind).prediction() == Dims{4});
  CHECK(member.output == OutputKind::logits);
  CHECK(config::chain_key(member) == "shards");
  CHECK(config::part_text(member.before[0].model.kind) == "layers 0 to 1");
  CHECK(config::part_text(member.model.kind) == "layer 2 to the last");
  CHECK(config::part_text(spec.members[1].model.kind).empty());
}

TEST_CASE("layers are cut where the bytes of the parts are about the same") {
  // 8 x 11, 8 x 9, 8 x 9 and 4 x 9 values with their biases.
  CHECK(cut("shards: 2") == Ranges{{0, 2}, {2, 0}});
  CHECK(cut("shards: {count: 3}") == Ranges{{0, 1}, {1, 2}, {2, 0}});
  // The first layer alone has 8 x 2001.
  CHECK(cut("input: {resize: [40, 50]}, shards: 2") == Ranges{{0, 1}, {1, 0}});
}

TEST_CASE("what the first layer takes may be told by its weights") {
  const TemporaryFolder folder;
  const std::array<float, 800> zeros{};
  const merge::TensorView first{"fc1.weight", merge::Dtype::f32, {8, 100}, std::as_bytes(std::span(zeros))};
  merge::write_safetensors(folder / "w.safetensors", std::span(&first, 1), {});
  const auto yaml = [&](const std::string& weights) {
    return fmt::format(
        "members: [{{name: m, model: {{kind: mlp, layers: [8, 8, 8, 4]{}}}, shards: 2}}]\n"
        "input: {{dataset: npy, images: a.npy}}\n",
        weights);
  };
  CHECK(ranges_of(config::load_text(yaml(fmt::format(", weights: '{}'", (folder / "w.safetensors").string())),
                                    "e.yaml")) == Ranges{{0, 1}, {1, 0}});
  CHECK(refusals(yaml("")) ==
        "e.yaml:1:71: member 'm' cannot be cut into shards: how many values its first layer takes is known only at the "
        "start; say where to cut: shards: {cut: [2]}");
  CHECK(contains(refusals(yaml(", weights: none.safetensors")), "none.safetensors"));
}

TEST_CASE("shards run where the description says or where the member is assigned") {
  const auto device_of = [](const config::EnsembleSpec& spec, std::size_t shard) {
    const config::MemberSpec& member = spec.members[0];
    return config::to_text(shard < member.before.size() ? member.before[shard].device : member.device);
  };
  const auto named =
      config::load_text(mlp_with("shards: {cut: [2, 3], devices: [cpu:0, cpu:1, cpu]}", "assignment: {n: cpu}\n"), "e");
  CHECK(device_of(named, 0) == "cpu:0");
  CHECK(device_of(named, 1) == "cpu:1");
  CHECK(device_of(named, 2) == "cpu");
  const auto assigned = config::load_text(mlp_with("shards: 2", "assignment: cpu:1\n"), "e");
  CHECK(device_of(assigned, 0) == "cpu:1");
  CHECK(device_of(assigned, 1) == "cpu:1");
  CHECK(contains(refusals(mlp_with("shards: {count: 2, devices: [cpu, cpu:0]}", "assignment: {m: cpu, n: cpu}\n")),
                 "member 'm' is assigned cpu, but each of its 'shards' names a device of its own"));
}

TEST_CASE("the description in effect has the shards as stages and is read back as the same") {
  for (const char* keys : {"shards: 3", "shards: {cut: [2], devices: [cpu:0, cpu:1]}"}) {
    const auto spec = config::load_text(mlp_with(keys, "assignment: {n: cpu}\n"), "e.yaml");
    CHECK(contains(spec.effective_yaml, "part:"));
    CHECK_FALSE(contains(spec.effective_yaml, "shards"));
    const auto again = config::load_text(spec.effective_yaml, "effective");
    CHECK(again == spec);
    CHECK(config::checked_value(spec).members == spec.members);
  }
}

/// The message about the first member with these keys.
std::string refused_keys(const std::string& keys, const std::string& lines = {}) {
  return refusals(mlp_with(keys, lines));
}

TEST_CASE("cuts that make no sense are refused with their position") {
  CHECK(refused_keys("shards: {cut: [2, 4]}") ==
        "e.yaml:2:75: member 'm' cannot be cut into shards: layer 4 is outside: its network has 4 layers");
  CHECK(refused_keys("shards: 5") ==
        "e.yaml:2:65: member 'm' cannot be cut into shards: its network has 4 layers, and there would be 5 shards");
  CHECK(refused_keys("shards: {cut: [3, 2]}") == "e.yaml:2:75: 'cut' must ascend, and 2 follows 3");
  CHECK(refused_keys("shards: {cut: [3, 3]}") == "e.yaml:2:75: 'cut' must ascend, and 3 follows 3");
  CHECK(refused_keys("shards: {cut: [0, 3]}") ==
        "e.yaml:2:72: each item of 'cut' must be a whole number of at least 1, not '0'");
  CHECK(
      refused_keys("shards: {cut: []}") ==
      "e.yaml:2:71: 'cut' must be a list of 1 to 15 layers, each the first one of a shard, such as [4, 8], not one of "
      "0");
  CHECK(contains(refused_keys("shards: {cut: 3}"), "such as [4, 8], not '3'"));
  CHECK(refused_keys("shards: 1") == "e.yaml:2:65: 'shards' must be a whole number of at least 2, not '1'");
  CHECK(refused_keys("shards: 17") == "e.yaml:2:65: 'shards' must be a whole number of at most 16, not '17'");
  CHECK(contains(refused_keys("shards: many"), "'shards' must be a whole number of at least 2, not 'many'"));
  CHECK(refused_keys("shards: {}") ==
        "e.yaml:2:65: 'shards' needs 'count', the number of shards, or 'cut', the layers where they begin: [4, 8]");
  CHECK(refused_keys("shards: {cut: [2], count: 2}") ==
        "e.yaml:2:76: 'cut' says how many shards there are; leave 'count' out");
  CHECK(refused_keys("shards: {count: 2, devices: [cpu]}") ==
        "e.yaml:2:85: 'devices' must be a list with one for each of the 2 shards, not one of 1");
  CHECK(contains(refused_keys("shards: {count: 2, devices: cpu}"), "for each of the 2 shards, not 'cpu'"));
  CHECK(contains(refused_keys("shards: {cuts: [2]}"), "did you mean 'cut'?"));
}

TEST_CASE("what does not go with shards is refused") {
  CHECK(contains(refused_keys("shards: 2, stages: [{model: {kind: fake}}, {model: {kind: fake}}]"),
                 "a member is cut into 'shards' or has 'stages', not both; a stage may have a 'part' of a model"));
  CHECK(contains(refused_keys("shards: 2, train: {epochs: 2}"),
                 "a member with 'shards' is not trained; train the whole model"));
  CHECK(contains(refused_keys("shards: 2, views: [hflip]"), "leave 'views' out of a member with 'shards'"));
  CHECK(refused_keys("shards: 2", "batch_images: auto\n").empty());
  CHECK(contains(refused_keys("shards: 2", "views: [hflip]\n"),
                 "member 'm' has 'shards', behind which the predictions of 'views' cannot be put together"));
  CHECK(contains(refused_keys("shards: 2", "workers: [{members: [m], replicas: 2}]\n"),
                 "member 'm' has 'shards', which have workers of their own"));
  CHECK(contains(refused_keys("shards: 2", "merge: {method: average}\n"),
                 "member 'm' has 'shards', which are not merged"));
  CHECK(contains(refusals("members: [{name: a, stages: [{model: {kind: fake}, shards: 2}, {model: {kind: fake}}]}]\n"),
                 "'shards' cuts the model of a member; of a stage, write each part as a stage, with 'part'"));
}

std::string refused_model(const std::string& model) {
  return refusals(
      fmt::format("members: [{{name: a, model: {{{}}}, shards: 2}}]\n"
                  "input: {{dataset: random, count: 3, shape: [3, 32, 32]}}\n",
                  model));
}

TEST_CASE("models without layers that Tutti knows are not cut") {
  CHECK(refused_model("kind: small-cnn") ==
        "e.yaml:1:55: member 'a' cannot be cut into shards: Tutti knows no layers of a small-cnn, only of mlp and "
        "clip-vit");
  CHECK(contains(refused_model("kind: torchscript, path: a.pt"),
                 "Tutti knows no layers of a torchscript, only of mlp and clip-vit; an nn.Sequential is cut when it is "
                 "exported ('python -m tutti.export model ... --shards 3'), and other models in parts that 'stages' "
                 "lists"));
  CHECK(contains(refused_model("kind: fake"), "knows no layers of a fake"));
  CHECK(contains(refused_model("kind: mlp, layers: [4, 4], backend: openvino"),
                 "only torch computes a part of a network, not openvino; leave 'backend' out"));
  CHECK(contains(refused_model("kind: mlp, layers: [4, 4], backend: auto"),
                 "its form is chosen at the start, and only a network that torch computes is cut"));
  CHECK(contains(refused_model("kind: mlp, layers: [4, 4], part: {from: 1}"), "its model is already a 'part'"));
  CHECK(contains(refused_model("kind: clip-vit, path: /nowhere"), "there is no readable file '/nowhere/config.json'"));
}

TEST_CASE("a part of a model says which layers it has") {
  const auto part = [](const std::string& text) {
    return refusals("members: [{name: a, model: {kind: mlp, layers: [8, 8, 4], part: " + text + "}}]\n");
  };
  CHECK(part("{from: 1}").empty());
  CHECK(refusals("members: [{name: a, model: {kind: mlp, layers: [8, 8, 4], part: {from: 1}, backend: auto}}]\n") ==
        "e.yaml:1:85: a part of a network is computed by torch, not by openvino; leave 'backend' out");
  CHECK(part("{from: 1, to: 2}").empty() == false);  // its outputs are no logits
  CHECK(part("{}") ==
        "e.yaml:1:65: 'part' needs 'from', its first layer, 'to', the layer behind its last one, or both");
  CHECK(contains(part("{from: 2, to: 2}"), "'part' ends at layer 2, and must end behind layer 2, where it begins"));
  CHECK(contains(part("{from: 3}"), "'part' is cut at layer 3, outside the network, which has 3 layers"));
  CHECK(contains(part("{from: 1, to: 9}"), "'part' is cut at layer 9, outside the network, which has 3 layers"));
  CHECK(contains(part("{from: 0}"), "'from' must be a whole number of at least 1, not '0'"));
  CHECK(contains(part("2"), "'part' must be a map of keys and values, not '2'"));
  CHECK(
      contains(refusals("members: [{name: a, model: {kind: mlp, layers: [8, 4], backend: openvino, part: {from: 1}}}]"),
               "a part of a network is computed by torch, not by openvino; leave 'backend' out"));
  CHECK(contains(refusals("members: [{name: a, model: {kind: fake, part: {from: 1}}}]"),
                 "'part' belongs to mlp or clip-vit, not to fake"));
}

TEST_CASE("a tower is cut by the layers and the bytes of its files") {
  const TemporaryFolder folder;
  std::ofstream(folder / "config.json")
      << R"({"model_type": "clip_vision_model", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 4})";
  const std::array<float, 1000> zeros{};
  std::vector<merge::TensorView> tensors;
  const auto add = [&](const std::string& name, std::int64_t values) {
    tensors.push_back(
        {name, merge::Dtype::f32, {values}, std::as_bytes(std::span(zeros).first(static_cast<std::size_t>(values)))});
  };
  add("embeddings.class_embedding", 200);
  for (int layer = 0; layer < 4; ++layer) add(fmt::format("encoder.layers.{}.mlp.fc1.bias", layer), 100);
  add("visual_projection.weight", 500);
  merge::write_safetensors(folder / "model.safetensors", tensors, {});
  const auto tower = [&](const std::string& keys, const std::string& shards) {
    return fmt::format(
        "members: [{{name: a, model: {{kind: clip-vit, path: '{}'{}}}, input: {{}}, shards: {}}}]\n"
        "combine: {{over: features}}\n"
        "input: {{dataset: random, count: 3, shape: [3, 224, 224]}}\n",
        folder.path().string(), keys, shards);
  };
  const auto of = [&](const std::string& keys, const std::string& shards) {
    return ranges_of(config::load_text(tower(keys, shards), "e.yaml"));
  };
  CHECK(of("", "{cut: [1, 2]}") == Ranges{{0, 1}, {1, 2}, {2, 0}});
  CHECK(of("", "2") == Ranges{{0, 1}, {1, 0}});
  CHECK(of(", output: projected", "2") == Ranges{{0, 3}, {3, 0}});
  CHECK(contains(refusals(tower("", "{cut: [4]}")), "layer 4 is outside: its network has 4 layers"));
  CHECK(contains(refusals(tower("", "5")), "its network has 4 layers, and there would be 5 shards"));
  const auto spec = config::load_text(tower("", "2"), "e.yaml");
  CHECK(spec.members[0].output == OutputKind::features);
  CHECK(facts_of(spec.members[0].before[0].model.kind).takes == Takes::image);
  CHECK(facts_of(spec.members[0].model.kind).takes == Takes::numbers);
}

}  // namespace
}  // namespace tutti::test
