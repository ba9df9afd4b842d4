// `kind: saved`: what members whose predictions were computed elsewhere may say, and what they are taken for.
#include <doctest/doctest.h>

#include <string>

#include "config/merge.hpp"
#include "tests/common/error_of.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

constexpr const char* kRandomInput = "input: {dataset: random, count: 4}\n";

std::string saved_yaml(const std::string& keys = "", const std::string& rest = kRandomInput) {
  return "members: [{name: m, model: {kind: saved, predictions: x.npy}" + keys + "}]\n" + rest;
}

TEST_CASE("saved predictions are what the members are combined over unless they say something else") {
  const auto output = [](const std::string& keys, const std::string& rest) {
    return config::load_text(saved_yaml(keys, kRandomInput + rest), "e.yaml").members.front().output;
  };
  CHECK(output("", "") == OutputKind::probabilities);
  CHECK(output("", "combine: {over: values}") == OutputKind::values);
  CHECK(output("", "combine: {over: features}") == OutputKind::features);
  CHECK(output(", output: logits", "") == OutputKind::logits);
  CHECK(problem(saved_yaml(", output: features")) ==
        "e.yaml:1:11: member 'm' outputs features, which cannot be combined over probabilities; set combine: {over: "
        "features}");
}

TEST_CASE("a saved member stays the same through the effective configuration") {
  const auto spec = config::load_text(saved_yaml(", weight: 2"), "e.yaml");
  CHECK(std::get<SavedModel>(spec.members.front().model.kind).predictions == "x.npy");
  CHECK(spec.members.front().model.file_place.text == "e.yaml:1:55");
  const auto again = config::load_text(spec.effective_yaml, "again");
  CHECK(again.members == spec.members);
  CHECK(again.effective_yaml == spec.effective_yaml);
}

TEST_CASE("saved predictions need a file and nothing else") {
  CHECK(problem("members: [{name: m, model: {kind: saved}}]\n" + std::string(kRandomInput)) ==
        "e.yaml:1:28: 'model' needs 'predictions', the .npy file with a row for each sample of the input");
  CHECK(
      problem("members: [{name: m, model: {kind: saved, predictions: x.npy, weights: w}}]\n" + std::string(kRandomInput)) ==
      "e.yaml:1:62: 'weights' belongs to small-cnn, mlp, torchscript, clip-vit or fake, not to saved");
}

TEST_CASE("saved predictions have no views and no images") {
  const std::string no_views = "member 'm' has saved predictions, which have no views; set 'views: []' at this member";
  CHECK(problem(saved_yaml(", views: [hflip]")) == "e.yaml:1:71: " + no_views);
  CHECK(problem(saved_yaml("", std::string(kRandomInput) + "views: [identity, hflip]\n")) == "e.yaml:3:9: " + no_views);
  CHECK(problem(saved_yaml(", views: []", std::string(kRandomInput) + "views: [identity, hflip]\n")).empty());
  CHECK(problem(saved_yaml(", takes: image")) ==
        "e.yaml:1:70: member 'm' has saved predictions, and takes nothing of a sample; leave 'takes' out");
  CHECK(problem(saved_yaml(", input: {std: 2}")) ==
        "e.yaml:1:11: member 'm' has saved predictions, and sees no images; leave its 'input' out");
}

TEST_CASE("saved predictions are of the samples of a data set and not of tiles") {
  CHECK(problem(saved_yaml("", "")) ==
        "e.yaml:1:11: member 'm' has saved predictions, one for each sample of a data set, and 'input' names none: "
        "samples that come through the API have no place in one; name it with 'dataset'");
  CHECK(problem(saved_yaml("", "input: {dataset: npy, images: x.npy, tiles: {size: 4}}\n")) ==
        "e.yaml:1:11: member 'm' has saved predictions, one for each input, and 'tiles' are parts of inputs; leave "
        "'tiles' or the member out");
}

TEST_CASE("saved predictions need not say which of several tensors they take") {
  CHECK(problem(saved_yaml("", "input: {dataset: random, count: 4, inputs: {x: {shape: [3]}, y: {shape: [4]}}}\n"))
            .empty());
}

TEST_CASE("saved predictions are not merged") {
  CHECK(problem(saved_yaml("", std::string(kRandomInput) + "merge: {}\n")) ==
        "e.yaml:1:11: member 'm' has saved predictions, and no weights to merge");
}

}  // namespace
}  // namespace tutti::test
