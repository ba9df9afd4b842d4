// `labels:` that are masks: of a folder, and of inputs that are cut into tiles.
#include <doctest/doctest.h>

#include <string>

#include "config/input.hpp"
#include "tests/common/error_of.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

std::string folder(const std::string& keys, const std::string& member = "") {
  return "members: [{name: a, model: {kind: fake}" + member + "}]\ninput: {dataset: folder, path: photos, " + keys +
         "}\n";
}

TEST_CASE("the labels of a folder are a folder of masks, with a label that is ignored and a number of classes") {
  const config::EnsembleSpec spec =
      config::load_text(folder("labels: masks, ignore_index: 255, classes: 9, resize: 64"), "e.yaml");
  CHECK(spec.input.labels == "masks");
  CHECK(spec.input.ignore_index == 255);
  CHECK(spec.input.classes == 9);
  CHECK(config::load_text(spec.effective_yaml, "again") == spec);
  const config::EnsembleSpec tiled = config::load_text(folder("labels: masks, tiles: {size: 8}"), "e.yaml");
  CHECK(tiled.input.labels == "masks");
  CHECK(config::load_text(tiled.effective_yaml, "again") == tiled);
  // A folder is not a file that a run could write over.
  CHECK(config::array_files(spec.input).empty());
}

TEST_CASE("keys of masks without masks are refused") {
  CHECK(problem(folder("ignore_index: 255")) ==
        "e.yaml:2:54: 'ignore_index' is a label that does not count, but there are no 'labels'");
  CHECK(problem(folder("classes: 21")) ==
        "e.yaml:2:40: 'classes' counts the classes of masks, but there are no 'labels'");
  CHECK(problem(folder("labels: masks, classes: 0")) ==
        "e.yaml:2:64: 'classes' must be a whole number of at least 1, not '0'");
}

TEST_CASE("a member that sees pictures in another size or crop than their masks is refused") {
  const std::string masks = "labels: masks, resize: 64, crop: 48";
  for (const char* same :
       {"{}", "{mean: 0.5}", "{resize: 64, crop: 48}", "{crop: 48}", "{resize: 64, crop: 48, interpolation: nearest}"})
    CHECK(problem(folder(masks, std::string(", input: ") + same)) == "");
  CHECK(problem(folder(masks, ", input: {resize: 48}")) ==
        "e.yaml:1:11: member 'a' sees pictures otherwise (shorter side 48, centre 48x48, bicubic) than their masks, "
        "'labels', are resized (shorter side 64, centre 48x48, bicubic); leave 'resize' and 'crop' out of its "
        "'input'");
  for (const char* other : {"{crop: 40}", "{resize: [64, 64], crop: 48}", "{crop: 48, crop_rounding: floor}"})
    CHECK(contains(problem(folder(masks, std::string(", input: ") + other)), "sees pictures otherwise"));
  CHECK(problem(folder("resize: 64, crop: 48", ", input: {resize: 48}")) == "");
}

TEST_CASE("tiles are compared with masks of classes only") {
  const std::string tiled =
      "members: [{name: a, model: {kind: fake}, output: values}]\ncombine: {over: values}\n"
      "input: {dataset: npy, images: x, labels: y, tiles: {size: 4}}";
  CHECK(problem(tiled) ==
        "e.yaml:3:42: the labels of 'tiles' are masks of classes, and with 'over: values' there are none; leave "
        "'labels' out");
  CHECK(contains(problem(folder("labels: m, tiles: {size: 4}") + "combine: {activation: sigmoid}\n"),
                 "the labels of 'tiles' are masks of classes, and with 'activation: sigmoid' there are none"));
  CHECK(problem(folder("labels: m") + "combine: {activation: sigmoid}\n") == "");
  CHECK(problem(kOneMember + "input: {dataset: npy, images: x, labels: y, tiles: {size: 4}}") == "");
}

}  // namespace
}  // namespace tutti::test
