// `members:` and `train:`: what a member may contain.
#include <doctest/doctest.h>

#include "config/members.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

config::EnsembleSpec load_yaml(const std::string& yaml) { return config::load_text(yaml, "e.yaml"); }

/// The message about one member with this model, without its position.
std::string model_problem(const std::string& model) {
  const std::string text = problem("members: [{name: a, model: {" + model + "}}]");
  return text.substr(std::min(text.find(": "), text.size() - 2) + 2);
}

TEST_CASE("a member with nothing but name and kind gets the defaults") {
  const auto spec =
      load_yaml("seed: 7\nmembers: [{name: a, model: {kind: small-cnn}}, {name: b, model: {kind: small-cnn}}]");
  REQUIRE(spec.members.size() == 2);
  const config::MemberSpec& b = spec.members[1];
  CHECK(b.name == "b");
  CHECK(std::get<SmallCnnModel>(b.model.kind).classes == 10);
  CHECK(b.model.weights.empty());
  CHECK(b.weight == 1.0);
  CHECK(b.output == OutputKind::logits);
  CHECK_FALSE(b.copy_input);
  CHECK(spec.members[0].seed == 7);
  CHECK(b.seed == 8);
  CHECK(b.train == config::TrainSpec{});
  CHECK(kind_name(b.model.kind) == "small-cnn");
}

/// The message about the input of a member over images of 3x8x10, without its position.
std::string input_problem(const std::string& keys, const std::string& model = "kind: fake") {
  const std::string text = problem("members: [{name: a, model: {" + model + "}, input: {" + keys +
                                   "}}]\ninput: {dataset: random, count: 1, shape: [3, 8, 10]}");
  return text.substr(std::min(text.find(": "), text.size() - 2) + 2);
}

TEST_CASE("a member may have its own input") {
  const auto input = [](const std::string& keys) {
    return load_yaml("members: [{name: a, model: {kind: fake}, input: {" + keys + "}}]").members[0].input;
  };
  CHECK_FALSE(load_yaml("members: [{name: a, model: {kind: fake}}]").members[0].input);
  CHECK(input("") == MemberInput{});
  CHECK(input("resize: 224") == MemberInput{{ResizeRule::shorter, 224, 224, 0, 0, Interpolation::bicubic}, {}, {}});
  CHECK(input("resize: [20, 30], interpolation: nearest") ==
        MemberInput{{ResizeRule::exact, 20, 30, 0, 0, Interpolation::nearest}, {}, {}});
  CHECK(input("resize: 9, rule: exact, crop: 7") ==
        MemberInput{{ResizeRule::exact, 9, 9, 7, 7, Interpolation::bicubic}, {}, {}});
  CHECK(input("crop: [4, 5], mean: 0.5, std: [1, 2, 3]") ==
        MemberInput{{ResizeRule::none, 0, 0, 4, 5, Interpolation::bicubic}, {0.5F}, {1, 2, 3}});
}

TEST_CASE("how a crop is rounded belongs to a crop") {
  const auto rounding = [](const std::string& keys) {
    return load_yaml("members: [{name: a, model: {kind: fake}, input: {" + keys + "}}]")
        .members[0]
        .input->resize.crop_rounding;
  };
  CHECK(rounding("resize: 9, crop: 7") == CropRounding::half_even);
  CHECK(rounding("resize: 9, crop: 7, crop_rounding: floor") == CropRounding::floor);
  CHECK(rounding("resize: 9, crop_rounding: floor") == CropRounding::floor);  // a folder crops it to its square
  CHECK(input_problem("resize: [9, 9], crop_rounding: floor") ==
        "'crop_rounding' says how the place of 'crop' is rounded, which is missing");
  CHECK(input_problem("crop: 7, crop_rounding: up") == "'crop_rounding' must be half_even or floor, not 'up'");
}

/// What is said about the input of a member over pictures of a folder, without its place.
std::string picture_problem(const std::string& keys, const std::string& model = "kind: fake") {
  const std::string text = problem("members: [{name: a, model: {" + model + "}, input: {" + keys +
                                   "}}]\ninput: {dataset: folder, path: d, resize: 40, crop: 30}");
  return text.substr(std::min(text.find(": "), text.size() - 2) + 2);
}

TEST_CASE("an input of a member must fit the pictures of a folder and not what the folder makes of them") {
  CHECK(picture_problem("resize: 90, crop: 80").empty());
  CHECK(picture_problem("crop: 40").empty());
  CHECK(
      picture_problem("crop: 41") ==
      "member 'a' cannot use this 'input': 'crop' 41x41 is larger than what 'resize' of the folder makes (shorter side "
      "40, centre 30x30, bicubic)");
  CHECK(picture_problem("mean: [1, 2]") ==
        "member 'a' cannot use this 'input': 'mean' has 2 values, but an image has 3 channels");
  CHECK(picture_problem("resize: 65536") ==
        "member 'a' cannot use this 'input': it makes images of 3x65536x65536, which is more than 268435456 values");
  CHECK(
      problem("members: [{name: a, model: {kind: fake}, input: {resize: 8000}},"
              "{name: b, model: {kind: fake}, input: {resize: 8001}}]\ninput: {dataset: folder, path: d}") ==
      "e.yaml:2:8: the members see each picture in 2 sizes, which have 384048003 values together, more than 268435456; "
      "let more of them share a 'resize' and 'crop', or make these smaller");
  CHECK(picture_problem("resize: 32", "kind: small-cnn, classes: 3").empty());
  CHECK(picture_problem("resize: 40, crop: 31", "kind: small-cnn, classes: 3") ==
        "member 'a' is a small-cnn, which takes images of 3x32x32, not 3x31x31");
}

TEST_CASE("an invalid input of a member is refused") {
  CHECK(input_problem("size: 3") == "unknown key 'size'; did you mean 'resize'?");
  CHECK(input_problem("rule: exact") == "'rule' says how to resize, but there is no 'resize'; add it or remove 'rule'");
  CHECK(input_problem("interpolation: nearest") ==
        "'interpolation' says how to resize, but there is no 'resize'; add it or remove 'interpolation'");
  CHECK(input_problem("resize: [4, 4], crop: 5") ==
        "'crop' 5x5 is larger than what 'resize' makes (4x4); the rest would be black");
  CHECK(input_problem("std: 0") == "'std' must be a number above 0 that fits float32, not '0'");
  CHECK(input_problem("mean: [1, 2]") ==
        "member 'a' cannot use this 'input': 'mean' has 2 values, but an image has 3 channels");
  CHECK(input_problem("std: [1, 2]") ==
        "member 'a' cannot use this 'input': 'std' has 2 values, but an image has 3 channels");
  CHECK(input_problem("crop: [9, 4]") ==
        "member 'a' cannot use this 'input': 'crop' 9x4 is larger than the images, which are 3x8x10");
  CHECK(input_problem("resize: 65536") ==
        "member 'a' cannot use this 'input': it makes images of 3x65536x81920 from images of 3x8x10, which is more "
        "than 268435456 values");
  CHECK(problem("members: [{name: a, model: {kind: fake}, input: {resize: 65536}}]\n"
                "input: {dataset: random, count: 1, shape: [1, 1, 65536]}") ==
        "e.yaml:1:11: member 'a' cannot use this 'input': cannot resize an image of 1x1x65536: it would be "
        "1x65536x16777217, and a side has 1 to 16777216 pixels");
  CHECK(problem("members: [{name: a, model: {kind: fake}, input: 224}]") ==
        "e.yaml:1:49: 'input' must be a map, or one of the words imagenet, clip or cifar10; not '224'");
}

TEST_CASE("a small-cnn takes images of any size if its own input makes them fit") {
  CHECK(input_problem("resize: [32, 32]", "kind: small-cnn").empty());
  CHECK(input_problem("resize: [32, 31]", "kind: small-cnn") ==
        "member 'a' is a small-cnn, which takes images of 3x32x32, not 3x32x31");
}

TEST_CASE("every key of a member is read") {
  const auto spec = load_yaml(R"(
members:
  - name: A_1.x-y
    model: {kind: fake, classes: 4, delay_us: 20, load_delay_ms: 30, reads_input: false, writes_input: true,
            weights: w.safetensors,
            faults: [{kind: hang}, {kind: exit, phase: train, at_batch: 5}, {kind: nan, at_value: -0.1}]}
    weight: -2.5
    output: probabilities
    copy_input: yes
    seed: 18446744073709551615
    train: {epochs: 3, batch_images: 8, learning_rate: 1e-2, init: i.safetensors, bootstrap: true}
  - {name: b, model: {kind: mlp, layers: [64, 4], weights: b.safetensors}, weight: 4}
  - {name: c, model: {kind: torchscript, path: c.pt, optimize: off, output: 0}, output: probabilities}
  - {name: d, model: {kind: fake, classes: 4, delay_ms: 7}}
combine: {rule: weighted}
)");
  const config::MemberSpec& a = spec.members[0];
  CHECK(a.name == "A_1.x-y");
  const auto& fake = std::get<FakeModel>(a.model.kind);
  CHECK(fake.classes == 4);
  CHECK(fake.delay_us == 20);
  CHECK(fake.load_delay_ms == 30);
  CHECK_FALSE(fake.reads_input);
  CHECK(fake.writes_input);
  REQUIRE(fake.faults.size() == 3);
  CHECK(fake.faults[0] == ScriptedFault{FaultKind::hang, FaultPhase::predict, 0, {}});
  CHECK(fake.faults[1] == ScriptedFault{FaultKind::exit, FaultPhase::train, 5, {}});
  CHECK(fake.faults[2] == ScriptedFault{FaultKind::nan, FaultPhase::predict, 0, -0.1F});
  CHECK(a.model.weights == "w.safetensors");
  CHECK(a.weight == -2.5);
  CHECK(a.output == OutputKind::probabilities);
  CHECK(a.copy_input);
  CHECK(a.seed == 18446744073709551615U);
  CHECK(a.train == config::TrainSpec{3, 8, 1e-2, "i.safetensors", true});
  CHECK(std::get<MlpModel>(spec.members[1].model.kind).layers == std::vector<std::uint32_t>{64, 4});
  CHECK(spec.members[1].model.weights == "b.safetensors");
  CHECK(std::get<TorchScriptModel>(spec.members[2].model.kind) == TorchScriptModel{"c.pt", false, {"0"}});
  CHECK(std::get<FakeModel>(spec.members[3].model.kind).delay_us == 7'000);
  CHECK(kind_name(spec.members[1].model.kind) == "mlp");
  CHECK(kind_name(spec.members[2].model.kind) == "torchscript");
  CHECK(kind_name(spec.members[3].model.kind) == "fake");
}

TEST_CASE("training keys of a member go before the ensemble's and those before the defaults") {
  const auto spec = load_yaml(
      "members: [{name: a, model: {kind: fake}, train: {epochs: 9, bootstrap: false}}, {name: b, model: {kind: "
      "fake}}]\n"
      "train: {epochs: 4, batch_images: 16, bootstrap: true}\n");
  CHECK(spec.members[0].train == config::TrainSpec{9, 16, 1e-3, "", false});
  CHECK(spec.members[1].train == config::TrainSpec{4, 16, 1e-3, "", true});
}

TEST_CASE("members are needed") {
  CHECK(problem("seed: 1") ==
        "e.yaml:1:1: the configuration needs 'members', a list such as [{name: cnn-0, model: {kind: small-cnn}}]");
  CHECK(problem("members: []") == "e.yaml:1:10: 'members' must be a list of 1 to 1024 members, not one of 0");
  CHECK(problem("members: {a: 1}") == "e.yaml:1:10: 'members' must be a list, or a map with 'glob'");
  CHECK(problem("members:") == "e.yaml:1:1: 'members' has no value; write one, or null for the default");
  CHECK(problem("members: [x]") == "e.yaml:1:11: member 0 must be a map of keys and values, not 'x'");
}

TEST_CASE("a member needs a name and a model") {
  const auto lines = problems("members:\n  - {weight: 1}\n");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == "e.yaml:2:5: member 0 needs 'name', a word such as cnn-0");
  CHECK(lines[1] == "e.yaml:2:5: member 0 needs 'model', such as {kind: small-cnn}");
}

TEST_CASE("a name that cannot be a file name or key is refused") {
  const auto name = [](const std::string& text) {
    return problem("members: [{name: " + text + ", model: {kind: fake}}]");
  };
  CHECK(name("'a b'") == "e.yaml:1:18: the name 'a b' may contain only letters, digits, '_', '.' and '-'");
  CHECK(name("a/b") == "e.yaml:1:18: the name 'a/b' may contain only letters, digits, '_', '.' and '-'");
  CHECK(name("..") == "e.yaml:1:18: the name '..' must start with a letter, a digit or '_'");
  CHECK(name("-x") == "e.yaml:1:18: the name '-x' must start with a letter, a digit or '_'");
  CHECK(name("12") == "e.yaml:1:18: the name '12' would be taken for a rank in 'assignment'; add a letter");
  CHECK(name(std::string(65, 'x')).ends_with("' is longer than 64 characters"));
  CHECK(name("[x]") == "e.yaml:1:18: 'name' must be text, not a list");
  CHECK(name("''") == "e.yaml:1:18: 'name' must be text, not the text ''");
}

TEST_CASE("two members with the same name are refused") {
  CHECK(problem("members:\n  - {name: a, model: {kind: fake}}\n  - {name: a, model: {kind: fake}}\n") ==
        "e.yaml:3:5: member 1 is called 'a' like member 0; names must differ");
}

TEST_CASE("unknown keys of a member are refused with the nearest one") {
  CHECK(problem("members: [{name: a, model: {kind: fake}, wieght: 2}]") ==
        "e.yaml:1:42: unknown key 'wieght'; did you mean 'weight'?");
  CHECK(model_problem("kind: fake, clases: 3") == "unknown key 'clases'; did you mean 'classes'?");
  CHECK(problem("members: [{name: a, model: {kind: fake}, train: {epoch: 2}}]") ==
        "e.yaml:1:50: unknown key 'epoch'; did you mean 'epochs'?");
  CHECK(model_problem("kind: fake, faults: [{kind: exit, fase: load}]") == "unknown key 'fase'; did you mean 'phase'?");
}

TEST_CASE("wrong values of a member are refused with what they must be") {
  const auto with = [](const std::string& keys) {
    return problem("members: [{name: a, model: {kind: fake}, " + keys + "}]");
  };
  CHECK(with("weight: x") == "e.yaml:1:50: 'weight' must be a number, not 'x'");
  CHECK(with("weight: .nan") == "e.yaml:1:50: 'weight' must be a number, not '.nan'");
  CHECK(with("weight: nan") == "e.yaml:1:50: 'weight' must be a number, not 'nan'");
  CHECK(with("weight: inf") == "e.yaml:1:50: 'weight' must be a number, not 'inf'");
  CHECK(with("weight: 1e999") == "e.yaml:1:50: 'weight' must be a number, not '1e999'");
  CHECK(with("weight: '2'") == "e.yaml:1:50: 'weight' must be a number, not the text '2'");
  CHECK(with("seed: 1.5") == "e.yaml:1:48: 'seed' must be a whole number of at least 0, not '1.5'");
  CHECK(with("seed: 18446744073709551616") ==
        "e.yaml:1:48: 'seed' must be a whole number of at most 18446744073709551615, not '18446744073709551616'");
  CHECK(with("copy_input: 1") == "e.yaml:1:54: 'copy_input' must be true or false, not '1'");
  CHECK(with("copy_input: 'true'") == "e.yaml:1:54: 'copy_input' must be true or false, not the text 'true'");
  CHECK(with("output: logit") ==
        "e.yaml:1:50: 'output' must be probabilities, logits, features or values, not 'logit'; did you mean 'logits'?");
  CHECK(with("train: 3") == "e.yaml:1:49: 'train' of a member must be a map of keys and values, not '3'");
  CHECK(with("train: {epochs: 0}") == "e.yaml:1:58: 'epochs' must be a whole number of at least 1, not '0'");
  CHECK(with("train: {batch_images: 4294967296}") ==
        "e.yaml:1:64: 'batch_images' must be a whole number of at most 4294967295, not '4294967296'");
  CHECK(with("train: {learning_rate: 0}") == "e.yaml:1:65: 'learning_rate' must be a number above 0, not '0'");
  CHECK(with("train: {bootstrap: maybe}") == "e.yaml:1:61: 'bootstrap' must be true or false, not 'maybe'");
  CHECK(with("train: {init: {}}") == "e.yaml:1:56: 'init' must be text, not a map");
  CHECK(with("train: {input: {}}") ==
        "e.yaml:1:50: 'input' belongs to the top-level 'train': all members learn from one stream");
}

TEST_CASE("a model needs a known kind") {
  const std::string kinds = "small-cnn, mlp, torchscript, aoti, onnx, openvino, python, clip-vit, saved, fake or auto";
  CHECK(problem("members: [{name: a, model: small-cnn}]") ==
        "e.yaml:1:28: 'model' must be a map of keys and values, not 'small-cnn'");
  CHECK(model_problem("classes: 3") == "'model' needs 'kind', " + kinds);
  CHECK(model_problem("kind: smal-cnn") == "'kind' must be " + kinds + ", not 'smal-cnn'; did you mean 'small-cnn'?");
  CHECK(model_problem("kind: [fake]") == "'kind' must be " + kinds + ", not a list");
}

TEST_CASE("a precision is one of those in which a library can be asked to compute") {
  CHECK(model_problem("kind: openvino, path: a.xml, precision: half") ==
        "'precision' must be f32, bf16 or f16, not 'half'");
  CHECK(model_problem("kind: openvino, path: a.xml, precision: int8") ==
        "'precision' cannot be int8: a model computes in int8 if its file is quantised; leave 'precision' out for such "
        "a file");
  CHECK(model_problem("kind: onnx, path: a.onnx, precision: bf16") ==
        "'precision' belongs to openvino, not to onnx; ONNX Runtime computes on the CPU as the model's file says: "
        "convert the file");
}

TEST_CASE("keys of another kind of model are refused with the kinds that have them") {
  CHECK(model_problem("kind: small-cnn, layers: [3]") == "'layers' belongs to mlp, not to small-cnn");
  CHECK(model_problem("kind: small-cnn, path: x.pt") ==
        "'path' belongs to torchscript, aoti, onnx, openvino or clip-vit, not to small-cnn");
  CHECK(model_problem("kind: mlp, layers: [3], classes: 3") == "'classes' belongs to small-cnn or fake, not to mlp");
  CHECK(model_problem("kind: mlp, layers: [3], delay_us: 3") == "'delay_us' belongs to fake, not to mlp");
  CHECK(model_problem("kind: fake, optimize: on") == "'optimize' belongs to torchscript, not to fake");
  CHECK(
      model_problem("kind: aoti, path: x.pt2, weights: w") ==
      "'weights' belongs to small-cnn, mlp, torchscript, clip-vit or fake, not to aoti; the model's file holds its own "
      "weights: name it with 'path'");
  CHECK(problem("members: [{name: a, model: {kind: mlp, layers: [3]}, output: features}]") ==
        "e.yaml:1:62: mlp always outputs logits; leave 'output' out");
  CHECK(problem("members: [{name: a, model: {kind: small-cnn}, output: logits}]").empty());
}

TEST_CASE("packages of aoti are one path or several and name the entry of their output") {
  const auto spec = load_yaml(
      "members:\n"
      "  - {name: a, model: {kind: aoti, path: a.pt2, output: pooler_output}, output: features}\n"
      "  - {name: b, model: {kind: aoti, path: [b1.pt2, b32.pt2]}, output: features}\n"
      "combine: {over: features}\n");
  CHECK(std::get<AotiModel>(spec.members[0].model.kind) == AotiModel{{"a.pt2"}, {"pooler_output"}});
  CHECK(spec.members[0].output == OutputKind::features);
  CHECK(std::get<AotiModel>(spec.members[1].model.kind) == AotiModel{{"b1.pt2", "b32.pt2"}, {}});
  CHECK(config::load_text(spec.effective_yaml, "again").members == spec.members);
  CHECK(model_problem("kind: aoti") ==
        "'model' needs 'path', the package that AOTInductor wrote, or a list of several for fixed batches");
  CHECK(model_problem("kind: aoti, path: []") == "'path' must be a file or a list of 1 to 16 files");
  CHECK(model_problem("kind: aoti, path: [a, [b]]") == "each item of 'path' must be a file, not a list");
  CHECK(model_problem("kind: aoti, path: a, head: b") == "'head' belongs to clip-vit, not to aoti");
}

TEST_CASE("the model of a clip-vit decides what the member outputs") {
  const auto spec = load_yaml(
      "members:\n"
      "  - {name: a, model: {kind: clip-vit, path: tower}}\n"
      "  - {name: b, model: {kind: clip-vit, path: tower, output: projected, weights: merged.safetensors}}\n"
      "combine: {over: features}\n");
  CHECK(std::get<ClipVitModel>(spec.members[0].model.kind) == ClipVitModel{"tower", ClipOutput::pooled, ""});
  CHECK(spec.members[0].output == OutputKind::features);
  CHECK(std::get<ClipVitModel>(spec.members[1].model.kind).output == ClipOutput::projected);
  CHECK(spec.members[1].model.weights == "merged.safetensors");
  CHECK(config::load_text(spec.effective_yaml, "again").members == spec.members);
  const auto logits =
      load_yaml("members: [{name: a, model: {kind: clip-vit, path: t, output: logits, head: h.safetensors}}]\n");
  CHECK(logits.members[0].output == OutputKind::logits);
  CHECK(std::get<ClipVitModel>(logits.members[0].model.kind).head == "h.safetensors");
  CHECK(config::load_text(logits.effective_yaml, "again").members == logits.members);
  CHECK(model_problem("kind: clip-vit") == "'model' needs 'path', the folder with config.json and model.safetensors");
  CHECK(model_problem("kind: clip-vit, path: t, output: logits") ==
        "'output: logits' needs 'head', the file that turns features into logits");
  CHECK(model_problem("kind: clip-vit, path: t, head: h") ==
        "'head' has no meaning with 'output: pooled'; set 'output: logits'");
  CHECK(model_problem("kind: clip-vit, path: t, output: poled") ==
        "'output' must be pooled, projected or logits, not 'poled'; did you mean 'pooled'?");
  CHECK(problem("members: [{name: a, model: {kind: clip-vit, path: t}, output: logits}]\ncombine: {over: features}") ==
        "e.yaml:1:63: a clip-vit with 'output: pooled' in its 'model' outputs features; leave this 'output' out, "
        "or change the one in its 'model'");
  CHECK(problem("members: [{name: a, model: {kind: clip-vit, path: t}, output: features}]\ncombine: {over: features}")
            .empty());
}

TEST_CASE("a key that would be refused is not suggested") {
  CHECK(model_problem("kind: small-cnn, layer: [3]") == "unknown key 'layer'");
  CHECK(model_problem("kind: mlp, layers: [3], layer: [3]") == "unknown key 'layer'; did you mean 'layers'?");
}

TEST_CASE("the layers of an mlp are checked") {
  CHECK(model_problem("kind: mlp") ==
        "'model' needs 'layers', the hidden widths and then the number of classes: [64, 10]");
  CHECK(model_problem("kind: mlp, layers: []") ==
        "'layers' must be a list of 1 to 64 widths such as [64, 10], not one of 0");
  CHECK(model_problem("kind: mlp, layers: 10") ==
        "'layers' must be a list of 1 to 64 widths such as [64, 10], not '10'");
  CHECK(model_problem("kind: mlp, layers: [64, 0]") ==
        "each item of 'layers' must be a whole number of at least 1, not '0'");
  CHECK(model_problem("kind: mlp, layers: [2000000]") ==
        "each item of 'layers' must be a whole number of at most 1048576, not '2000000'");
}

TEST_CASE("the rest of a model is checked") {
  CHECK(model_problem("kind: small-cnn, classes: 0") == "'classes' must be a whole number of at least 1, not '0'");
  CHECK(model_problem("kind: torchscript") == "'model' needs 'path', the file that torch.jit.save wrote");
  CHECK(model_problem("kind: torchscript, path: x, optimize: 2") == "'optimize' must be true or false, not '2'");
  CHECK(model_problem("kind: fake, delay_us: 3600000001") ==
        "'delay_us' must be a whole number of at most 3600000000, not '3600000001'");
  CHECK(model_problem("kind: fake, delay_us: 1, delay_ms: 1") ==
        "'delay_us' and 'delay_ms' are the same delay; give one of them");
}

TEST_CASE("scripted faults are checked") {
  const auto faults = [](const std::string& list) { return model_problem("kind: fake, faults: " + list); };
  CHECK(faults("{kind: exit}") ==
        "'faults' must be a list of at most 1024 maps with kind, phase, and at_batch or at_value");
  CHECK(faults("[exit]") == "a fault must be a map of keys and values, not 'exit'");
  CHECK(faults("[{phase: load}]") ==
        "a fault needs 'kind', exception, exit, abort, segfault, kill, hang, nan, stop, leak or nonsense");
  CHECK(faults("[{kind: none}]") ==
        "'kind' must be exception, exit, abort, segfault, kill, hang, nan, stop, leak or nonsense, not 'none'; did you "
        "mean "
        "'nan'?");
  CHECK(faults("[{kind: exit, phase: warmup}]") ==
        "'phase' must be load, warm_up, predict or train, not 'warmup'; did you mean 'warm_up'?");
  CHECK(faults("[{kind: exit, phase: load, at_batch: 1}]") ==
        "'at_batch' has no meaning in phase load: no batch has come yet");
  CHECK(faults("[{kind: nan, phase: load}]") == "a nan has no meaning in phase load: nothing is computed yet");
  CHECK(faults("[{kind: exit, at_value: x}]") == "'at_value' must be a number that fits float32, not 'x'");
  CHECK(faults("[{kind: exit, at_value: 1e39}]") == "'at_value' must be a number that fits float32, not '1e39'");
  CHECK(faults("[{kind: exit, at_value: 1, at_batch: 0}]") ==
        "'at_batch' and 'at_value' both say when the fault happens; give one of them");
  CHECK(faults("[{kind: exit, phase: load, at_value: 1}]") ==
        "'at_value' has no meaning in phase load: no image has come yet");
  CHECK(faults("[{kind: exit, at_valu: 1}]") == "unknown key 'at_valu'; did you mean 'at_value'?");
}

TEST_CASE("all violations of all members are found at once") {
  CHECK(problems("members:\n  - {name: a b, model: {kind: fake, classes: 0}}\n  - {nam: b, model: {kind: mlp}}\n")
            .size() == 5);
}

}  // namespace
}  // namespace tutti::test
