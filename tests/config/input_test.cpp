// `input:` and `train.input:`.
#include "config/input.hpp"

#include <doctest/doctest.h>

#include "tests/common/error_of.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

using config::Dataset;
using config::Split;

/// The message about this input, without its position.
std::string wrong_input(const std::string& input) {
  const std::string text = problem(kOneMember + "input: " + input);
  return text.substr(std::min(text.find(": "), text.size() - 2) + 2);
}

TEST_CASE("without an input images come from memory") {
  CHECK(load_one("").input == config::InputSpec{});
  CHECK(load_one("input: null").input == config::InputSpec{});
  const config::InputSpec shaped = load_one("input: {shape: [1, 8, 9], preprocess: {std: 2}}").input;
  CHECK(shaped.dataset == Dataset::memory);
  CHECK(shaped.shape == ImageShape{1, 8, 9});
  CHECK(shaped.preprocess.std == std::vector<float>{2.0F});
  CHECK(load_one("input: {dataset: memory, shape: [1, 8, 9]}").input.shape == ImageShape{1, 8, 9});
}

TEST_CASE("every key of every dataset is read") {
  const config::InputSpec digits = load_one("input: {dataset: digits, split: train, limit: 0}").input;
  CHECK(digits.dataset == Dataset::digits);
  CHECK(digits.split == Split::train);
  CHECK(digits.limit == 0U);
  CHECK(digits.skip == 0);
  CHECK(load_one("input: {dataset: digits, skip: 7}").input.skip == 7);
  const config::InputSpec cifar =
      load_one("input: {dataset: cifar10, path: d, preprocess: {mean: 0.5, std: [1, 2, 3]}}").input;
  CHECK(cifar.dataset == Dataset::cifar10);
  CHECK(cifar.split == Split::test);
  CHECK(cifar.path == "d");
  CHECK_FALSE(cifar.limit);
  CHECK(cifar.preprocess.mean == std::vector<float>{0.5F});
  CHECK(cifar.preprocess.std == std::vector<float>{1.0F, 2.0F, 3.0F});
  const config::InputSpec npy =
      load_one("input: {dataset: npy, images: x.npy, labels: y.npy, layout: nhwc, classes: 5, limit: 7}").input;
  CHECK(npy.dataset == Dataset::npy);
  CHECK(npy.images == "x.npy");
  CHECK(npy.labels == "y.npy");
  CHECK(npy.layout == config::Layout::nhwc);
  CHECK(npy.classes == 5);
  CHECK(npy.limit == 7U);
  const config::InputSpec random =
      load_one("input: {dataset: random, count: 0, shape: [1, 2, 3], classes: 4, seed: 9}").input;
  CHECK(random.dataset == Dataset::random);
  CHECK(random.count == 0);
  CHECK(random.shape == ImageShape{1, 2, 3});
  CHECK(random.classes == 4);
  CHECK(random.seed == 9);
}

TEST_CASE("training reads the split train if there are splits and otherwise the same input") {
  const auto digits = load_one("input: {dataset: digits, limit: 50, preprocess: {mean: 0.5}}");
  CHECK(digits.input.split == Split::test);
  CHECK(digits.train_input.split == Split::train);
  CHECK(digits.train_input.limit == 50U);
  CHECK(digits.train_input.preprocess == digits.input.preprocess);
  const auto random = load_one("input: {dataset: random, count: 5}");
  CHECK(random.train_input == random.input);
}

TEST_CASE("training can read another input") {
  const auto spec = load_one("input: {dataset: digits}\ntrain: {input: {dataset: cifar10, path: d}}");
  CHECK(spec.input.dataset == Dataset::digits);
  CHECK(spec.train_input.dataset == Dataset::cifar10);
  CHECK(spec.train_input.split == Split::train);
  CHECK(problem(kOneMember + "train: {input: {dataset: digitz}}") ==
        "e.yaml:2:26: 'dataset' must be digits, cifar10, npy, folder, random or memory, not 'digitz'; did you mean "
        "'digits'?");
}

TEST_CASE("a dataset needs its keys") {
  CHECK(wrong_input("{dataset: cifar10}") == "'input' needs 'path', the folder with the files of the binary version");
  CHECK(wrong_input("{dataset: npy}") == "'input' needs 'images', a .npy file, or 'inputs', a file for each tensor");
  CHECK(wrong_input("{dataset: random}") == "'input' needs 'count', a number of images");
}

TEST_CASE("keys of another dataset are refused with the datasets that have them") {
  CHECK(wrong_input("{dataset: digits, path: x}") ==
        "'path' belongs to dataset cifar10 or folder, not to dataset digits");
  CHECK(wrong_input("{dataset: npy, images: x, split: test}") ==
        "'split' belongs to dataset digits or cifar10, not to dataset npy");
  CHECK(wrong_input("{dataset: digits, shape: [3, 32, 32]}") ==
        "'shape' belongs to dataset random, not to dataset digits");
  CHECK(wrong_input("{dataset: digits, classes: 10}") ==
        "'classes' belongs to dataset npy, folder or random, not to dataset digits");
  CHECK(wrong_input("{skip: 3}") ==
        "'skip' belongs to dataset digits, cifar10, npy, folder or random, not to images from memory (there is no "
        "'dataset')");
  CHECK(wrong_input("{limit: 3}") ==
        "'limit' belongs to dataset digits, cifar10, npy, folder or random, not to images from memory (there is no "
        "'dataset')");
  CHECK(wrong_input("{dataset: random, count: 1, labels: x}") ==
        "'labels' belongs to dataset npy or folder, not to dataset random");
}

TEST_CASE("places of masks may be ignored, where there are masks") {
  const std::string npy = "input: {dataset: npy, images: x, labels: y, ignore_index: ";
  CHECK(load_one(npy + "255}").input.ignore_index == 255);
  CHECK(load_one(npy + "-1}").input.ignore_index == -1);
  CHECK_FALSE(load_one(npy + "null}").input.ignore_index);
  CHECK(config::load_text(load_one(npy + "-1}").effective_yaml, "again").input.ignore_index == -1);
  CHECK(wrong_input("{dataset: npy, images: x, labels: y, ignore_index: 0.5}") ==
        "'ignore_index' must be a whole number, not '0.5'");
  CHECK(wrong_input("{dataset: npy, images: x, ignore_index: 255}") ==
        "'ignore_index' is a label that does not count, but there are no 'labels'");
  CHECK(wrong_input("{dataset: digits, ignore_index: 255}") ==
        "'ignore_index' belongs to dataset npy or folder, not to dataset digits");
  const std::string values = "members: [{name: a, model: {kind: fake}, output: values}]\ncombine: {over: values}\n";
  CHECK(problem(values + npy + "255}") ==
        "e.yaml:3:59: 'ignore_index' marks places of masks of classes, and with 'over: values' there are none");
  CHECK(contains(problem(kOneMember + "combine: {activation: sigmoid}\n" + npy + "255}"),
                 "and with 'activation: sigmoid' there are none"));
}

TEST_CASE("what the labels are follows from what the members are combined over") {
  const auto form = [](const std::string& member, const std::string& combine) {
    const auto spec = config::load_text("members: [{name: a, model: {kind: fake}" + member + "}]\ncombine: " + combine +
                                            "\ninput: {dataset: npy, images: x, labels: y}\n",
                                        "e.yaml");
    CHECK(spec.train_input.label_form == spec.input.label_form);
    return spec.input.label_form;
  };
  CHECK(form("", "{}") == LabelForm::classes);
  CHECK(form("", "{over: logits}") == LabelForm::classes);
  CHECK(form("", "{activation: sigmoid}") == LabelForm::indicators);
  CHECK(form(", output: values", "{over: values}") == LabelForm::values);
  CHECK(form(", output: features", "{over: features}") == LabelForm::classes);
}

TEST_CASE("unknown keys of the input are refused with the nearest one") {
  CHECK(wrong_input("{dataset: digits, splt: test}") == "unknown key 'splt'; did you mean 'split'?");
  CHECK(wrong_input("{dataset: digits, preprocess: {means: 1}}") == "unknown key 'means'; did you mean 'mean'?");
}

TEST_CASE("wrong values of the input are refused with what they must be") {
  CHECK(wrong_input("digits") == "'input' must be a map of keys and values, not 'digits'");
  CHECK(wrong_input("{dataset: digits, split: val}") ==
        "'split' must be train or test, not 'val'; did you mean 'test'?");
  CHECK(wrong_input("{dataset: npy, images: x, layout: hwc}") ==
        "'layout' must be nchw or nhwc, not 'hwc'; did you mean 'nhwc'?");
  CHECK(wrong_input("{dataset: digits, limit: -1}") == "'limit' must be a whole number of at least 0, not '-1'");
  CHECK(wrong_input("{dataset: random, count: 1, classes: 0}") ==
        "'classes' must be a whole number of at least 1, not '0'");
  CHECK(wrong_input("{shape: [3, 32]}") == "'shape' must be [channels, height, width], not a list of 2");
  CHECK(wrong_input("{shape: 32}") == "'shape' must be [channels, height, width], not '32'");
  CHECK(wrong_input("{shape: [3, 0, 32]}") == "each item of 'shape' must be a whole number of at least 1, not '0'");
  CHECK(wrong_input("{shape: [3, 65537, 32]}") ==
        "each item of 'shape' must be a whole number of at most 65536, not '65537'");
  CHECK(wrong_input("{shape: [3, 65536, 65536]}") ==
        "'shape' 3x65536x65536 is 12884901888 values per image, more than 268435456");
}

TEST_CASE("preprocessing that cannot be computed is refused") {
  const auto preprocess = [](const std::string& keys) {
    return wrong_input("{dataset: digits, preprocess: " + keys + "}");
  };
  CHECK(preprocess("[1]") == "'preprocess' must be a map of keys and values, not a list");
  CHECK(preprocess("{mean: x}") == "'mean' must be a number that fits float32, not 'x'");
  CHECK(preprocess("{mean: [1, 1e39, 1]}") == "each item of 'mean' must be a number that fits float32, not '1e39'");
  CHECK(preprocess("{std: 0}") == "'std' must be a number above 0 that fits float32, not '0'");
  CHECK(preprocess("{std: [1, -1, 1]}") == "each item of 'std' must be a number above 0 that fits float32, not '-1'");
  CHECK(preprocess("{std: 1e-60}") == "'std' must be a number above 0 that fits float32, not '1e-60'");
  CHECK(preprocess("{mean: []}") == "'mean' must be a number or a list with one for each channel, not an empty list");
  CHECK(preprocess("{mean: [1, 2]}") == "'mean' has 2 values, but an image has 3 channels");
  CHECK(preprocess("{std: [1, 2, 3, 4]}") == "'std' has 4 values, but an image has 3 channels");
  CHECK(load_one("input: {dataset: npy, images: x, preprocess: {mean: [1, 2, 3, 4]}}").input.preprocess.mean.size() ==
        4);
}

TEST_CASE("shape and classes are known if the configuration tells them") {
  CHECK(config::known_shape(load_one("input: {dataset: digits}").input) == ImageShape{3, 32, 32});
  CHECK(config::known_shape(load_one("input: {shape: [1, 2, 3]}").input) == ImageShape{1, 2, 3});
  CHECK_FALSE(config::known_shape(load_one("input: {dataset: npy, images: x}").input));
  CHECK(config::known_classes(load_one("input: {dataset: digits}").input) == 10);
  CHECK(config::known_classes(load_one("input: {dataset: random, count: 1, classes: 4}").input) == 4);
  CHECK(config::known_classes(load_one("").input) == 0);
}

TEST_CASE("a folder of images is resized and cropped to 224 unless it says otherwise") {
  const config::InputSpec plain = load_one("input: {dataset: folder, path: pets}").input;
  CHECK(plain.dataset == Dataset::folder);
  CHECK(plain.path == "pets");
  CHECK(plain.resize == Resize{ResizeRule::shorter, 224, 224, 224, 224, Interpolation::bicubic});
  CHECK(plain.shape == ImageShape{3, 224, 224});
  CHECK(plain.on_broken == OnBroken::fail);
  CHECK(plain.decode_threads == 0);
  CHECK_FALSE(plain.jpeg_scaling);
  const config::InputSpec all =
      load_one(
          "input: {dataset: folder, path: d, resize: [40, 50], crop: [30, 20], "
          "interpolation: bilinear, on_broken: skip, decode_threads: 3, jpeg_scaling: on, limit: 9, "
          "crop_rounding: floor, orientation: exif, "
          "preprocess: {mean: [1, 2, 3]}}")
          .input;
  CHECK(all.resize == Resize{ResizeRule::exact, 40, 50, 30, 20, Interpolation::bilinear, CropRounding::floor});
  CHECK(all.orientation == Orientation::exif);
  CHECK(plain.orientation == Orientation::ignore);
  CHECK(all.shape == ImageShape{3, 30, 20});
  CHECK(all.on_broken == OnBroken::skip);
  CHECK(all.decode_threads == 3);
  CHECK(all.jpeg_scaling);
  CHECK(all.limit == 9U);
  CHECK(load_one("input: {dataset: folder, path: d, resize: 256}").input.shape == ImageShape{3, 256, 256});
  CHECK(load_one("input: {dataset: folder, path: d, resize: 256, crop: 224}").input.shape == ImageShape{3, 224, 224});
  CHECK(load_one("input: {dataset: folder, path: d, resize: 32, rule: exact}").input.resize ==
        Resize{ResizeRule::exact, 32, 32, 0, 0, Interpolation::bicubic});
  CHECK(config::known_shape(all) == ImageShape{3, 30, 20});
}

TEST_CASE("pictures that come encoded through the API are resized like those of a folder") {
  const config::InputSpec given =
      load_one(
          "input: {resize: 40, crop: 30, interpolation: bilinear, crop_rounding: floor, orientation: exif, "
          "decode_threads: 3, jpeg_scaling: on, preprocess: {mean: [1, 2, 3]}}")
          .input;
  CHECK(given.dataset == Dataset::memory);
  CHECK(given.resize == Resize{ResizeRule::shorter, 40, 40, 30, 30, Interpolation::bilinear, CropRounding::floor});
  CHECK(given.shape == ImageShape{3, 30, 30});
  CHECK(given.orientation == Orientation::exif);
  CHECK(given.decode_threads == 3);
  CHECK(given.jpeg_scaling);
  CHECK(config::resizes_pictures(given));
  CHECK_FALSE(config::is_prepared(given));
  const config::InputSpec arrays = load_one("input: {shape: [1, 2, 3]}").input;
  CHECK_FALSE(config::resizes_pictures(arrays));
  CHECK(config::is_prepared(arrays));
  CHECK_FALSE(config::is_prepared(load_one("input: {dataset: digits}").input));
  CHECK(wrong_input("{resize: 8, shape: [3, 8, 8]}") ==
        "'resize' makes the shape of encoded pictures; leave 'shape' out");
  CHECK(wrong_input("{crop: 8}") ==
        "'crop' is for encoded pictures that come through the API, and these need a 'resize'; add it or remove 'crop'");
  CHECK(wrong_input("{shape: [3, 8, 8], decode_threads: 2}") ==
        "'decode_threads' is for encoded pictures that come through the API, and these need a 'resize'; add it or "
        "remove 'decode_threads'");
  CHECK(wrong_input("{inputs: {x: {shape: [3, 8, 8]}}, resize: 8}") ==
        "'resize' is for pictures, and 'inputs' are tensors; leave one of them out");
  CHECK(wrong_input("{resize: 8, on_broken: skip}") ==
        "'on_broken' belongs to dataset folder, not to images from memory (there is no 'dataset')");
}

TEST_CASE("invalid sizes of a folder are refused") {
  const auto folder = [](const std::string& keys) { return wrong_input("{dataset: folder, path: d, " + keys + "}"); };
  CHECK(wrong_input("{dataset: folder}") ==
        "'input' needs 'path', the folder with the images, or with one folder of images for each class");
  CHECK(folder("resize: big") == "'resize' must be a whole number of at least 1, not 'big'");
  CHECK(folder("resize: 0") == "'resize' must be a whole number of at least 1, not '0'");
  CHECK(folder("resize: [1, 2, 3]") == "'resize' must be a number or [height, width], not a list of 3");
  CHECK(folder("crop: {a: 1}") == "'crop' must be a number or [height, width], not a map");
  CHECK(folder("crop: [4, 0]") == "each item of 'crop' must be a whole number of at least 1, not '0'");
  CHECK(folder("resize: [4, 4], rule: shorter") == "rule shorter takes one number as 'resize', not [height, width]");
  CHECK(folder("rule: none") == "'rule' must be shorter or exact, not 'none'");
  CHECK(folder("interpolation: lanczos") == "'interpolation' must be nearest, bilinear or bicubic, not 'lanczos'");
  CHECK(folder("crop: 256") ==
        "'crop' 256x256 is larger than what 'resize' makes (224 along the shorter side); the rest would be black");
  CHECK(folder("resize: [8, 9], crop: [8, 10]") ==
        "'crop' 8x10 is larger than what 'resize' makes (8x9); the rest would be black");
  CHECK(folder("resize: 65536") == "images of 3x65536x65536 are 12884901888 values each, more than 268435456");
  CHECK(folder("decode_threads: 65") == "'decode_threads' must be a whole number of at most 64, not '65'");
  CHECK(folder("orientation: turn") == "'orientation' must be ignore or exif, not 'turn'");
  CHECK(folder("on_broken: repair") == "'on_broken' must be fail or skip, not 'repair'");
  CHECK(folder("preprocess: {std: [1, 2]}") == "'std' has 2 values, but an image has 3 channels");
  CHECK(wrong_input("{dataset: digits, resize: 8}") == "'resize' belongs to dataset folder, not to dataset digits");
}

}  // namespace
}  // namespace tutti::test
