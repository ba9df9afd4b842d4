// `tiles:`, and where it may not be; `masks:`.
#include <doctest/doctest.h>

#include <string>

#include "config/effective.hpp"
#include "config/input.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

/// These keys of an `input` with tiles, and more of the description.
std::string tiled(const std::string& tiles, const std::string& keys = "dataset: npy, images: x.npy",
                  const std::string& rest = "") {
  return kOneMember + "input: {" + keys + ", tiles: " + tiles + "}\n" + rest;
}

TEST_CASE("tiles have a size, half of which overlaps, and count more at their centre") {
  const config::InputSpec input = config::load_text(tiled("{size: 512}"), "e.yaml").input;
  REQUIRE(input.tiles);
  CHECK(*input.tiles == Tiles{{512}, 0.5, Blend::gaussian});
  const config::InputSpec other = config::load_text(tiled("{size: [96, 64], overlap: 0, blend: mean}"), "e.yaml").input;
  CHECK(*other.tiles == Tiles{{96, 64}, 0, Blend::mean});
  const std::string volume = "dataset: npy, inputs: {x: volume.npy}";
  CHECK(config::load_text(tiled("{size: [4, 5, 6], overlap: 0.999}", volume), "e.yaml").input.tiles->size ==
        Dims{4, 5, 6});
  const config::InputSpec folder =
      config::load_text(tiled("{size: 256}", "dataset: folder, path: scans, on_broken: skip"), "e.yaml").input;
  CHECK(folder.shape == ImageShape{3, 256, 256});
  CHECK_FALSE(config::resizes_pictures(folder));
}

TEST_CASE("a description with tiles and masks reads the same from what is in effect") {
  for (const std::string& yaml :
       {tiled("{size: 512}", "dataset: npy, images: x.npy, limit: 2", "masks: png\n"),
        tiled("{size: [3, 4, 5], overlap: 0.25, blend: mean}", "dataset: npy, inputs: {x: v.npy}"),
        tiled("{size: [96, 64]}", "dataset: folder, path: scans, orientation: exif", "masks: none\n")}) {
    const config::EnsembleSpec spec = config::load_text(yaml, "e.yaml");
    CHECK(config::load_text(spec.effective_yaml, "again") == spec);
  }
  CHECK(config::load_text(kOneMember + "masks: png", "e.yaml").masks == config::Masks::png);
  CHECK(problem(kOneMember + "masks: jpg") ==
        "e.yaml:2:8: 'masks' must be none or png, not 'jpg'; did you mean 'png'?");
}

TEST_CASE("a wrong size, overlap or blend is named with its place") {
  CHECK(problem(tiled("{size: 0}")) == "e.yaml:2:52: 'size' must be a whole number of at least 1, not '0'");
  CHECK(problem(tiled("{size: [4, 0]}")) ==
        "e.yaml:2:56: each item of 'size' must be a whole number of at least 1, not '0'");
  CHECK(problem(tiled("{overlap: 0.5}")) ==
        "e.yaml:2:45: 'tiles' needs 'size', how long a tile is along each axis: 512, or [height, width]");
  for (const char* overlap : {"1", "1.5", "-0.1"})
    CHECK(problem(tiled(std::string("{size: 4, overlap: ") + overlap + "}")) ==
          std::string("e.yaml:2:64: 'overlap' must be a number of at least 0 and below 1, not '") + overlap + "'");
  CHECK(problem(tiled("{size: 4, blend: max}")) ==
        "e.yaml:2:62: 'blend' must be gaussian or mean, not 'max'; did you mean 'mean'?");
  CHECK(problem(tiled("{size: 4, stride: 2}")) == "e.yaml:2:55: unknown key 'stride'");
}

TEST_CASE("a size for another number of axes than images have is named with its place") {
  CHECK(problem(tiled("{size: [4, 4, 4]}")) ==
        "e.yaml:2:52: 'size' of 'tiles' must be a number or [height, width], not a list of 3");
  CHECK(problem(tiled("{size: [4]}", "dataset: folder, path: scans")) ==
        "e.yaml:2:53: 'size' of 'tiles' must be a number or [height, width], not a list of 1");
  CHECK(problem(tiled("{size: [4, 4, 4, 4]}", "dataset: npy, inputs: {x: v.npy}")) ==
        "e.yaml:2:57: 'size' of 'tiles' must be a number or a list of 1 to 3, one for each axis after the channels, "
        "not a list of 4");
}

TEST_CASE("tiles are not cut from what has no files of large inputs") {
  CHECK(problem(tiled("{size: 4}", "dataset: digits")) ==
        "e.yaml:2:26: 'tiles' belongs to dataset npy or folder, not to dataset digits");
  CHECK(problem(tiled("{size: 4}", "dataset: npy, inputs: {x: t.csv}")) ==
        "e.yaml:2:23: 'tiles' are cut along axes after the channels, and a table has rows of numbers; leave one of "
        "them out");
  CHECK(problem(tiled("{size: 4}", "dataset: npy, inputs: {x: a.npy, y: b.npy}")) ==
        "e.yaml:2:23: 'tiles' are cut from one tensor; write 'inputs: {image: x.npy}'");
  CHECK(problem(tiled("{size: 4}", "dataset: npy, inputs: all.npz")) ==
        "e.yaml:2:23: 'tiles' are cut from one tensor; write 'inputs: {image: x.npy}'");
}

TEST_CASE("inputs of any size that come through the API are cut into tiles") {
  const auto input_of = [](const std::string& keys) {
    return config::load_text(kOneMember + "input: {" + keys + "}", "e.yaml").input;
  };
  const config::InputSpec images = input_of("shape: [3, 100, 200], tiles: {size: [8, 9], overlap: 0.25}");
  CHECK(images.tiles == Tiles{{8, 9}, 0.25, Blend::gaussian});
  CHECK(images.shape == ImageShape{3, 8, 9});
  CHECK(input_of("shape: [1, 2, 2], tiles: {size: 4}").shape == ImageShape{1, 4, 4});
  const config::InputSpec volumes = input_of("inputs: {x: {shape: [2, 9, 9, 9]}}, tiles: {size: 4}");
  CHECK(volumes.tensors.at(0).layout.dims == Dims{2, 4, 4, 4});
  CHECK(input_of("inputs: {x: {shape: [2, 9]}}, tiles: {size: [5]}").tensors.at(0).layout.dims == Dims{2, 5});
  const auto spec = config::load_text(kOneMember + "input: {shape: [3, 8, 9], tiles: {size: [8, 9]}}", "e.yaml");
  CHECK(config::load_text(spec.effective_yaml, "effective") == spec);
  CHECK(problem(tiled("{size: [4, 4, 4]}", "shape: [3, 8, 8]")) ==
        "e.yaml:2:41: 'size' of 'tiles' must be a number or [height, width], not a list of 3");
  CHECK(problem(tiled("{size: 4}", "inputs: {x: {shape: [3, 8]}, y: {shape: [2]}}")) ==
        "e.yaml:2:9: 'tiles' are cut from one tensor; write 'inputs: {x: {shape: [1, 64, 64]}}'");
  CHECK(problem(tiled("{size: 4}", "inputs: {x: {shape: [3]}}")) ==
        "e.yaml:2:9: 'tiles' are cut along 1 to 3 axes after the channels, and the tensor has 1 axis");
  CHECK(problem(tiled("{size: 4}", "resize: 8")) ==
        "e.yaml:2:20: 'tiles' are cut from images as they are, and 'resize' is for encoded pictures; leave one of them "
        "out");
}

TEST_CASE("pictures that are cut into tiles are not resized") {
  CHECK(problem(tiled("{size: 4}", "dataset: folder, path: scans, resize: 8")) ==
        "e.yaml:2:39: 'resize' changes the size of pictures, and 'tiles' are cut from pictures as they are; leave one "
        "of them out");
  CHECK(problem(tiled("{size: 4}", "dataset: folder, path: scans, decode_threads: 2")) ==
        "e.yaml:2:39: 'decode_threads' is for pictures that are resized; with 'tiles' one is decoded at a time");
  for (const char* change : {"resize: 8", "crop: 2"})
    CHECK(problem("members: [{name: a, model: {kind: fake}, input: {" + std::string(change) +
                  "}}]\ninput: {dataset: npy, images: x.npy, tiles: {size: 4}}") ==
          "e.yaml:1:11: member 'a' has an 'input' that resizes or crops, and 'tiles' of the inputs are predicted in "
          "their size; leave 'resize' and 'crop' out");
  CHECK(problem("members: [{name: a, model: {kind: fake}, input: {mean: 0.5}}]\n"
                "input: {dataset: npy, images: x.npy, tiles: {size: 4}}") == "");
}

TEST_CASE("only predictions put tiles together: training, tasks and merging take none") {
  const std::string tiles = "{dataset: npy, images: x.npy, tiles: {size: 4}}";
  CHECK(problem(kOneMember + "input: {dataset: digits}\ntrain: {input: " + tiles + "}") ==
        "e.yaml:3:16: what members are trained on cannot be 'tiles', which only 'tutti run' and the API put together "
        "again; leave 'tiles' out");
  CHECK(problem(kOneMember + "tasks: [{name: t, input: " + tiles + "}]") ==
        "e.yaml:2:26: the images of task 't' cannot be 'tiles', which only 'tutti run' and the API put together "
        "again; leave 'tiles' out");
  CHECK(problem("members: [{name: a, model: {kind: small-cnn, weights: a}}, {name: b, model: {kind: small-cnn, "
                "weights: b}}]\n"
                "merge: {method: greedy_soup, input: " +
                tiles + "}") ==
        "e.yaml:2:37: the images of 'merge' cannot be 'tiles', which only 'tutti run' and the API put together again; "
        "leave 'tiles' out");
}

}  // namespace
}  // namespace tutti::test
