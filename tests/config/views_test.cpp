// `views:`, of a member and of the whole ensemble.
#include "config/views.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "config/effective.hpp"
#include "tests/common/error_of.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

const std::string kSquare = "input: {dataset: random, count: 1, shape: [3, 32, 32]}\n";

std::string member_with(const std::string& views, const std::string& model = "{kind: fake}") {
  return "members: [{name: a, views: " + views + ", model: " + model + "}]\n";
}

std::vector<View> views_in(const std::string& yaml) { return config::load_text(yaml, "e.yaml").members[0].views; }

/// The only problem of a member with these views, without its position, which is that of the first view.
std::string wrong_view(const std::string& views, const std::string& input = kSquare,
                       const std::string& model = "{kind: fake}") {
  const std::string text = problem(member_with(views, model) + input);
  const std::string place = "e.yaml:1:29: ";
  CHECK_MESSAGE(text.starts_with(place), text);
  return text.substr(std::min(place.size(), text.size()));
}

TEST_CASE("views are read in their order") {
  const auto views =
      views_in(member_with("[identity, hflip, vflip, rot90, rot180, rot270, transpose, {crops: 5, size: 24}, "
                           "{crops: 10, size: [20, 16]}, {scale: 1.25}, {scale: 0.5}]") +
               kSquare);
  REQUIRE(views.size() == 11);
  const std::vector<ViewKind> words{ViewKind::identity, ViewKind::hflip,  ViewKind::vflip,    ViewKind::rot90,
                                    ViewKind::rot180,   ViewKind::rot270, ViewKind::transpose};
  for (std::size_t v = 0; v < words.size(); ++v) CHECK(views[v] == View{.kind = words[v]});
  CHECK(views[7] == View{.kind = ViewKind::crops, .crops = 5, .height = 24, .width = 24});
  CHECK(views[8] == View{.kind = ViewKind::crops, .crops = 10, .height = 20, .width = 16});
  CHECK(views[9] == View{.kind = ViewKind::scale, .scale = 1.25});
  CHECK(views[10] == View{.kind = ViewKind::scale, .scale = 0.5});
}

TEST_CASE("the ensemble's views are those of members without their own") {
  const auto spec = config::load_text(
      "views: [identity, hflip]\n"
      "members: [{name: a, model: {kind: fake}}, {name: b, views: [vflip], model: {kind: fake}},\n"
      "          {name: c, views: [], model: {kind: fake}}, {name: d, views: null, model: {kind: fake}}]\n",
      "e.yaml");
  const std::vector<View> both{{.kind = ViewKind::identity}, {.kind = ViewKind::hflip}};
  CHECK(spec.members[0].views == both);
  CHECK(spec.members[1].views == std::vector<View>{{.kind = ViewKind::vflip}});
  CHECK(spec.members[2].views.empty());
  CHECK(spec.members[3].views == both);
  CHECK(views_in(kOneMember).empty());
}

TEST_CASE("the effective configuration has the views and reads back the same") {
  const auto spec = config::load_text(
      "views: [hflip, {crops: 5, size: 24}, {crops: 1, size: [8, 9]}, {scale: 1.1}]\n"
      "members: [{name: a, model: {kind: fake}}, {name: b, views: [], model: {kind: fake}}]\n" +
          kSquare,
      "e.yaml");
  const std::string text = config::to_yaml(spec);
  CHECK(contains(text, "scale: 1.1"));
  auto again = config::load_text(text, "effective");
  again.effective_yaml = spec.effective_yaml;
  CHECK(again == spec);
}

TEST_CASE("an unknown view is answered with the nearest one and its place") {
  const std::string possible =
      "a view must be identity, hflip, vflip, rot90, rot180, rot270, transpose, {crops: 5, size: 224} or {scale: 1.25}";
  CHECK(wrong_view("[hflp]") == possible + ", not 'hflp'; did you mean 'hflip'?");
  CHECK(wrong_view("[fliplr]") == possible + ", not 'fliplr'; did you mean 'hflip'?");
  CHECK(wrong_view("[scale]") == possible + ", not 'scale'");
  CHECK(wrong_view("[[hflip]]") == possible + ", not a list");
  CHECK(problem("views: [identity,\n  rot91]\n" + kOneMember) ==
        "e.yaml:2:3: " + possible + ", not 'rot91'; did you mean 'rot90'?");
  CHECK(problem(member_with("hflip")) ==
        "e.yaml:1:28: 'views' must be a list of at most 64, such as [identity, hflip], not 'hflip'");
  std::string many = "[identity";
  for (int i = 0; i < 64; ++i) many += fmt::format(", {{scale: {}}}", 1 + 0.01 * i);
  CHECK(problem(member_with(many + "]")) ==
        "e.yaml:1:28: 'views' must be a list of at most 64, such as [identity, hflip], not one of 65");
  CHECK(problem("tta: [hflip]\n" + kOneMember) == "e.yaml:1:1: unknown key 'tta'; did you mean 'views'?");
}

TEST_CASE("a view that is a map has the keys of one view") {
  const auto in_map = [](const std::string& view) { return problem(member_with("[" + view + "]") + kSquare); };
  CHECK(in_map("{crops: 7, size: 24}") == "e.yaml:1:37: 'crops' must be 1, 5 or 10, not '7'");
  CHECK(in_map("{crops: 5}") == "e.yaml:1:29: a view needs 'size', the size of each crop: a number or [height, width]");
  CHECK(in_map("{crops: 5, size: big}") == "e.yaml:1:46: 'size' must be a whole number of at least 1, not 'big'");
  CHECK(in_map("{crops: 5, size: 8, scale: 2}") ==
        "e.yaml:1:29: 'crops' and 'scale' are two views; write {crops: ...}, {scale: ...}");
  CHECK(in_map("{scale: 2, size: 8}") ==
        "e.yaml:1:40: 'size' is that of 'crops'; the size of a 'scale' follows from its factor");
  CHECK(in_map("{crop: 5, size: 8}") == "e.yaml:1:30: unknown key 'crop'; did you mean 'crops'?");
  CHECK(in_map("{size: 8}") == "e.yaml:1:29: a view that is a map must be {crops: 5, size: 224} or {scale: 1.25}");
  CHECK(in_map("{}") == "e.yaml:1:29: a view that is a map must be {crops: 5, size: 224} or {scale: 1.25}");
  for (const std::string factor : {"0.09", "10.1", "-1", "big"})
    CHECK(in_map("{scale: " + factor + "}") ==
          "e.yaml:1:37: 'scale' must be a number from 0.1 to 10, not '" + factor + "'");
  for (const std::string factor : {"0.1", "10"}) CHECK(in_map("{scale: " + factor + "}").empty());
}

TEST_CASE("no view is given twice") {
  CHECK(problem(member_with("[hflip, identity, hflip]")) == "e.yaml:1:46: view 'hflip' is given twice");
  CHECK(problem(member_with("[{scale: 1.5}, {scale: 1.50}]")) == "e.yaml:1:43: view 'scale 1.5' is given twice");
  CHECK(problem(member_with("[{crops: 5, size: 8}, {crops: 10, size: [8, 8]}]") + kSquare) ==
        "e.yaml:1:50: view '10 crops of 8x8' is given twice, as '5 crops of 8x8'");
  CHECK(problem(member_with("[{crops: 5, size: 8}, {crops: 5, size: 9}]") + kSquare).empty());
}

TEST_CASE("turns need square images") {
  const std::string wide = "input: {dataset: random, count: 1, shape: [3, 32, 48]}\n";
  for (const std::string view : {"rot90", "rot270", "transpose"}) {
    CHECK(
        wrong_view("[" + view + "]", wide) ==
        "member 'a': view '" + view +
            "' needs square images, and these are 3x32x48; make them square with 'input' of the member, or leave this "
            "view out");
    CHECK(problem(member_with("[" + view + "]") + kSquare).empty());
  }
  CHECK(problem(member_with("[rot180, hflip, vflip]") + wide).empty());
  // The member's own input makes them square.
  CHECK(
      problem("members: [{name: a, views: [rot90], input: {resize: [16, 16]}, model: {kind: fake}}]\n" + wide).empty());
}

TEST_CASE("crops and scales must fit the images and the model") {
  CHECK(wrong_view("[{crops: 5, size: 33}]") ==
        "member 'a': view '5 crops of 33x33' is larger than the images, which are 3x32x32; make 'size' smaller, or the "
        "images larger with 'input' of the member");
  CHECK(wrong_view("[{scale: 0.1}]", "input: {dataset: random, count: 1, shape: [3, 9, 32]}\n") ==
        "member 'a': view 'scale 0.1' leaves nothing of images of 3x9x32; make the factor larger");
  CHECK(wrong_view("[{crops: 5, size: 24}]", kSquare, "{kind: small-cnn}") ==
        "member 'a': a small-cnn takes images of 3x32x32, not 3x24x24, as in view '5 crops of 24x24'");
  const std::string large = "input: {dataset: random, count: 1, shape: [3, 40, 40]}\n";
  CHECK(problem(member_with("[{crops: 10, size: 32}]", "{kind: small-cnn}") + large).empty());
  CHECK(wrong_view("[hflip]", large, "{kind: small-cnn}") ==
        "member 'a': a small-cnn takes images of 3x32x32, not 3x40x40, as in view 'hflip'");
}

TEST_CASE("maps have no crops and other sizes have no views") {
  const std::string mask = "{kind: fake, classes: 2, per_class: [32, 32]}";
  CHECK(problem(member_with("[identity, hflip, rot90]", mask) + kSquare).empty());
  CHECK(
      wrong_view("[{crops: 1, size: 32}]", kSquare, mask) ==
      "member 'a': view '1 crop of 32x32' is not possible: predictions are 2x32x32 for images of 3x32x32, and maps of "
      "crops are not put together; use the views identity, hflip, vflip, rot90, rot180, rot270, transpose and scale");
  CHECK(wrong_view("[hflip]", kSquare, "{kind: fake, classes: 2, per_class: [8, 8]}") ==
        "member 'a': view 'hflip' is not possible: predictions are 2x8x8 for images of 3x32x32, neither one row of "
        "values nor a map of the image's height and width; the only view that is possible is identity; leave 'views' "
        "out");
}

TEST_CASE("models of one size have no views of several and say why") {
  const std::string hint = "; use views of one size, such as crops only, or those that keep the size";
  for (const auto& [model, why] :
       {std::pair{"{kind: aoti, path: a.pt2}",
                  "aoti takes images of one size, because its packages are compiled for that size"},
        std::pair{"{kind: clip-vit, path: nowhere, output: logits, head: h}",
                  "clip-vit takes images of one size, because its tower has an embedding for each patch of them"},
        std::pair{"{kind: mlp, layers: [4]}",
                  "mlp takes images of one size, because its first layer has a weight for each of their values"}}) {
    CHECK(problem(member_with("[identity, hflip, {scale: 1.25}]", model) + kSquare) ==
          "e.yaml:1:46: member 'a': a model of kind " + std::string(why) +
              ", and view 'scale 1.25' shows 3x40x40, but view 'identity' shows 3x32x32" + hint);
    CHECK(problem(member_with("[{crops: 10, size: 24}]", model) + kSquare).empty());
    CHECK(problem(member_with("[identity, hflip]", model) + kSquare).empty());
  }
  CHECK(problem(member_with("[identity, {scale: 1.25}]", "{kind: torchscript, path: a.pt}") + kSquare).empty());
}

TEST_CASE("views are of one image and not of several tensors") {
  const std::string end = "; leave 'views' out, or set 'views: []' at this member";
  const auto with = [](const std::string& takes, const std::string& input) {
    return problem("members: [{name: a, views: [hflip], takes: " + takes +
                   ", model: {kind: fake}}]\ninput: {dataset: " + input + "}\n");
  };
  CHECK(with("[x, y]", "npy, inputs: s.npz") ==
        "e.yaml:1:29: member 'a' has views, which are of one image, and takes 2 tensors" + end);
  const std::string random =
      "random, count: 1, inputs: {x: {shape: [3, 4, 4]}, t: {shape: [7]}, b: {shape: [3, 4, 4], "
      "dtype: uint8}}";
  CHECK(with("t", random) ==
        "e.yaml:1:29: member 'a' has views, which are of one image, and takes t (7 of float32)" + end);
  CHECK(with("b", random) ==
        "e.yaml:1:29: member 'a' has views, which are of one image, and takes b (3x4x4 of uint8)" + end);
  CHECK(with("x", random).empty());
  CHECK(problem("views: [hflip]\nmembers: [{name: a, takes: [x, x], model: {kind: fake}}]\ninput: {dataset: " + random +
                "}\n") == "e.yaml:1:9: member 'a' has views, which are of one image, and takes 2 tensors" + end);
}

TEST_CASE("images that only training sees need no views") {
  const std::string members =
      "members: [{name: a, views: [{crops: 10, size: 32}], model: {kind: small-cnn}}]\n"
      "input: {dataset: random, count: 1, shape: [3, 40, 40]}\n";
  CHECK(problem(members + "train: {input: {dataset: random, count: 1, shape: [3, 32, 32]}}").empty());
  CHECK(problem(members + "train: {input: {dataset: random, count: 1, shape: [3, 40, 40]}}") ==
        "e.yaml:3:16: member 'a' is a small-cnn, which takes images of 3x32x32, not 3x40x40");
}

}  // namespace
}  // namespace tutti::test
