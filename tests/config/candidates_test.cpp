// Members of which one of several forms is chosen at the start: `kind: auto` and `backend: auto`.
#include <doctest/doctest.h>

#include "config/candidates.hpp"
#include "tests/common/error_of.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

config::ModelSpec model_of(const std::string& model) {
  return config::load_text("members: [{name: a, model: {" + model + "}}]", "e.yaml").members.front().model;
}

std::vector<std::string> names_of(const config::ModelSpec& model) {
  std::vector<std::string> names;
  for (const ModelKind& one : model.candidates) names.push_back(config::candidate_name(one));
  return names;
}

std::string form_problem(const std::string& model) { return problem("members: [{name: a, model: {" + model + "}}]"); }

using Names = std::vector<std::string>;

TEST_CASE("the endings of the files tell what the forms of a model are") {
  const config::ModelSpec model = model_of("kind: auto, files: [m.pt, m.onnx, m.pt2, m.xml]");
  CHECK(names_of(model) == Names{"torchscript m.pt", "onnx m.onnx", "openvino m.onnx", "aoti m.pt2", "openvino m.xml"});
  CHECK(model.kind == ModelKind(TorchScriptModel{.path = "m.pt"}));
  CHECK(config::files_of_candidates(model) == Names{"m.pt", "m.onnx", "m.pt2", "m.xml"});
}

TEST_CASE("an output of several is named for all forms") {
  for (const ModelKind& one : model_of("kind: auto, files: [m.pt, m.onnx], output: logits").candidates)
    CHECK(entries_of(one) == Names{"logits"});
}

TEST_CASE("a network leaves open which library computes it") {
  const config::ModelSpec model = model_of("kind: small-cnn, classes: 5, backend: auto, weights: w.safetensors");
  CHECK(names_of(model) == Names{"small-cnn by torch", "small-cnn by openvino", "small-cnn by onnxruntime"});
  CHECK(model.kind == ModelKind(SmallCnnModel{5, ComputedBy::torch}));
  CHECK(model.weights == "w.safetensors");
  CHECK(names_of(model_of("kind: mlp, layers: [3], backend: auto")).size() == 3);
}

TEST_CASE("a network is computed by torch unless another library is named") {
  CHECK(model_of("kind: small-cnn").kind == ModelKind(SmallCnnModel{10, ComputedBy::torch}));
  const config::ModelSpec named = model_of("kind: small-cnn, backend: openvino");
  CHECK(named.candidates.empty());
  CHECK(facts_of(named.kind).library == Library::openvino);
  CHECK(facts_of(named.kind).trainable);
  CHECK_FALSE(facts_of(named.kind).fusable);
}

TEST_CASE("the configuration in effect keeps the choice open") {
  for (const char* model : {"kind: auto, files: [m.pt, m.onnx], output: a", "kind: mlp, layers: [4, 3], backend: auto",
                            "kind: small-cnn, backend: onnxruntime"}) {
    CAPTURE(model);
    const auto spec = config::load_text("members: [{name: a, model: {" + std::string(model) + "}}]", "e.yaml");
    const auto again = config::load_text(spec.effective_yaml, "e.yaml");
    CHECK(again.members == spec.members);
    CHECK(again.effective_yaml == spec.effective_yaml);
  }
}

TEST_CASE("mistakes in the files of a model are found where they are") {
  CHECK(form_problem("kind: auto") == "e.yaml:1:28: 'model' needs 'files', the files of one model: [m.pt, m.onnx]");
  CHECK(form_problem("kind: auto, files: m.pt") == "e.yaml:1:48: 'files' must be a list of 1 to 16 files, not 'm.pt'");
  CHECK(form_problem("kind: auto, files: []") == "e.yaml:1:48: 'files' must be a list of 1 to 16 files, not one of 0");
  CHECK(form_problem("kind: auto, files: [m.pt, [x]]") ==
        "e.yaml:1:55: each item of 'files' must be a file, not a list");
  CHECK(form_problem("kind: auto, files: [m.pt, m.pt]") == "e.yaml:1:55: 'files' names 'm.pt' twice");
  CHECK(form_problem("kind: auto, files: [m.h5]") ==
        "e.yaml:1:49: the ending of 'm.h5' is not that of an exported model; 'files' takes .pt, .pt2, .onnx, .xml, "
        ".tflite, .pb and .pdmodel");
  CHECK(form_problem("kind: auto, files: [p.npy]").starts_with("e.yaml:1:49: the ending of 'p.npy' is not that of"));
}

TEST_CASE("keys of other kinds are refused") {
  CHECK(form_problem("kind: auto, files: [m.pt], classes: 3") ==
        "e.yaml:1:56: 'classes' belongs to small-cnn or fake, not to auto");
  CHECK(form_problem("kind: onnx, path: m.onnx, files: [m.pt]") ==
        "e.yaml:1:55: 'files' belongs to auto, not to onnx; name the file with 'path'");
  CHECK(form_problem("kind: torchscript, path: m.pt, backend: auto") ==
        "e.yaml:1:60: 'backend' belongs to small-cnn, mlp or clip-vit, not to torchscript");
}

TEST_CASE("a backend that there is not is refused with the names of those that there are") {
  CHECK(form_problem("kind: small-cnn, backend: tensorrt") ==
        "e.yaml:1:55: 'backend' must be torch, openvino, onnxruntime or auto, not 'tensorrt'");
  CHECK(contains(form_problem("kind: small-cnn, backend: onnxruntim"), "did you mean 'onnxruntime'?"));
}

TEST_CASE("only networks that LibTorch computes can be fused") {
  const std::string unit =
      "workers: [{members: [a, b], mode: fused}]\nmembers: [{name: a, model: {kind: mlp, layers: [2], "
      "backend: %}}, {name: b, model: {kind: mlp, layers: [2], backend: %}}]";
  for (const std::string backend : {"auto", "openvino"}) {
    std::string yaml = unit;
    for (std::size_t at = yaml.find('%'); at != yaml.npos; at = yaml.find('%')) yaml.replace(at, 1, backend);
    CHECK(contains(problem(yaml), "only LibTorch can: 'backend: torch'"));
  }
}

TEST_CASE("a base whose file is left open is refused") {
  CHECK(contains(problem("members: [{name: a, model: {kind: fake}}]\nbase: {kind: auto, files: [m.pt]}"),
                 "'base' leaves open which of its files counts; name one by its kind and 'path'"));
}

}  // namespace
}  // namespace tutti::test
