// The top-level keys, the configuration in effect, and the files that users start from.
#include "config/load.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "config/effective.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/config/problems.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

TEST_CASE("without further keys the defaults apply") {
  const config::EnsembleSpec spec = load_one("");
  const config::EnsembleSpec defaults;
  CHECK(spec.combine == defaults.combine);
  CHECK(spec.segment_images == 500);
  CHECK(spec.batch_images == 32);
  CHECK(spec.slots == 4);
  CHECK(spec.threads == 0);
  CHECK(spec.seed == 0);
  CHECK_FALSE(spec.save_members);
  CHECK(spec.failure.on_nan == OnNan::error);
  CHECK(spec.start_deadline == 120.0);
  CHECK(spec.stop_deadline == 10.0);
  CHECK(spec.output.empty());
}

TEST_CASE("every top-level key is read") {
  const config::EnsembleSpec spec = load_one(
      "segment_images: 16777216\nbatch_images: 3\nslots: 256\nthreads: 5\nseed: 6\nsave_members: true\non_nan: allow\n"
      "start_deadline_s: 0.5\nstop_deadline_s: 2\noutput: runs/x\n");
  CHECK(spec.segment_images == 16777216);
  CHECK(spec.batch_images == 3);
  CHECK(spec.slots == 256);
  CHECK(spec.threads == 5);
  CHECK(spec.seed == 6);
  CHECK(spec.save_members);
  CHECK(spec.failure.on_nan == OnNan::allow);
  CHECK(spec.start_deadline == 0.5);
  CHECK(spec.stop_deadline == 2.0);
  CHECK(spec.output == "runs/x");
}

TEST_CASE("a batch may be measured and stays auto in the effective configuration") {
  const config::EnsembleSpec spec = load_one("batch_images: auto\n");
  CHECK(spec.measure_batch_images);
  CHECK(spec.effective_yaml.find("\nbatch_images: auto\n") != std::string::npos);
  CHECK(config::load_text(spec.effective_yaml, "again").measure_batch_images);
  CHECK_FALSE(load_one("").measure_batch_images);
}

TEST_CASE("wrong top-level values are refused with what they must be") {
  const auto wrong = [](const std::string& line) { return problem(kOneMember + line); };
  CHECK(wrong("segment_images: abc") ==
        "e.yaml:2:17: 'segment_images' must be auto or a whole number of at least 1, not 'abc'");
  CHECK(wrong("segment_images: 16777217") ==
        "e.yaml:2:17: 'segment_images' must be a whole number of at most 16777216, not '16777217'");
  CHECK(wrong("segment_images: [1]") ==
        "e.yaml:2:17: 'segment_images' must be a whole number of at least 1, not a list");
  CHECK(wrong("segment_images: '5'") ==
        "e.yaml:2:17: 'segment_images' must be a whole number of at least 1, not the text '5'");
  CHECK(wrong("segment_images:") == "e.yaml:2:1: 'segment_images' has no value; write one, or null for the default");
  CHECK(wrong("batch_images: autos") ==
        "e.yaml:2:15: 'batch_images' must be auto or a whole number of at least 1, not 'autos'; did you mean 'auto'?");
  CHECK(wrong("batch_images: 0") == "e.yaml:2:15: 'batch_images' must be a whole number of at least 1, not '0'");
  CHECK(wrong("batch_images: [auto]") ==
        "e.yaml:2:15: 'batch_images' must be a whole number of at least 1, not a list");
  CHECK(wrong("train: {batch_images: auto}") ==
        "e.yaml:2:23: 'batch_images' of 'train' must be a number, not auto: unlike the batch of prediction, it changes "
        "the trained weights");
  CHECK(wrong("slots: 257") == "e.yaml:2:8: 'slots' must be a whole number of at most 256, not '257'");
  CHECK(wrong("threads: -1") == "e.yaml:2:10: 'threads' must be a whole number of at least 0, not '-1'");
  CHECK(wrong("threads: 1025") == "e.yaml:2:10: 'threads' must be a whole number of at most 1024, not '1025'");
  CHECK(wrong("save_members: 2") == "e.yaml:2:15: 'save_members' must be true or false, not '2'");
  CHECK(wrong("on_nan: ignore") == "e.yaml:2:9: 'on_nan' must be error, allow or degrade, not 'ignore'");
  CHECK(wrong("start_deadline_s: 0") ==
        "e.yaml:2:19: 'start_deadline_s' must be a number of seconds above 0 and at most 1000000, not '0'");
  CHECK(wrong("stop_deadline_s: 2e6") ==
        "e.yaml:2:18: 'stop_deadline_s' must be a number of seconds above 0 and at most 1000000, not '2e6'");
  CHECK(wrong("output: [x]") == "e.yaml:2:9: 'output' must be text, not a list");
  CHECK(wrong("train: {inputs: 3}") == "e.yaml:2:9: unknown key 'inputs'; did you mean 'input'?");
  CHECK(wrong("zzz: 3") == "e.yaml:2:1: unknown key 'zzz'");
}

TEST_CASE("text that is empty or not a map is refused") {
  CHECK(problem("") ==
        "e.yaml:1:1: the configuration needs 'members', a list such as [{name: cnn-0, model: {kind: small-cnn}}]");
  CHECK(problem("- 1\n") == "e.yaml:1:1: a configuration is a map of keys and values, not a list");
  CHECK(problem("hello") == "e.yaml:1:1: a configuration is a map of keys and values, not 'hello'");
}

/// The configuration in effect is read back as the same one and written in the same way again.
void check_effective(const config::EnsembleSpec& spec) {
  CAPTURE(spec.effective_yaml);
  const config::EnsembleSpec again = config::load_text(spec.effective_yaml, "effective");
  CHECK(again == spec);
  CHECK(again.effective_yaml == spec.effective_yaml);
}

TEST_CASE("the configuration in effect is read back as an equal one") {
  check_effective(load_one(""));
  check_effective(config::load_text(
      "combine: {over: features}\nmembers: [{name: a, model: {kind: fake}, output: features}]\n"
      "tasks: [{name: t, head: h.safetensors, classes: ['yes', b], input: {dataset: random, count: 5, classes: 2}},\n"
      "  {name: u, head: i.safetensors, input: {dataset: npy, images: x.npy, labels: y.npy, classes: 3}}]\n",
      "e.yaml"));
  check_effective(load_one("input: {dataset: digits, skip: 5, limit: 3}"));
  check_effective(load_one("input: {shape: [1, 2, 3], preprocess: {mean: 0.1, std: [0.3]}}\nassignment: [cpu:0-3]"));
  check_effective(
      load_one("input: {dataset: cifar10, path: 'a b, #c', limit: 3}\nassignment: cuda:GPU-1a\noutput: 'null'"));
  check_effective(load_one("input: {dataset: npy, images: x, labels: y, layout: nhwc, classes: 10}\nassignment: 1"));
  check_effective(load_one("input: {dataset: folder, path: d}"));
  check_effective(
      config::load_text("members: [{name: a, model: {kind: fake}, takes: [x, y], input: {tensors: [y, x], mean: 1}},"
                        "{name: b, model: {kind: fake}, takes: x, input: {tensors: x}}]\n"
                        "input: {inputs: {x: {shape: [1, 2, 2]}, y: {shape: [1, 3, 3], dtype: uint8}}}",
                        "e.yaml"));
  check_effective(load_one("input: {resize: 40, crop: 30, orientation: exif, decode_threads: 2}"));
  check_effective(
      load_one("input: {dataset: folder, path: d, resize: [40, 50], crop: 30, interpolation: nearest, on_broken: skip, "
               "crop_rounding: floor, orientation: exif, decode_threads: 2, jpeg_scaling: true, limit: 7, preprocess: "
               "{mean: [1, 2, 3]}}"));
  check_effective(config::load_text(
      "members: [{name: a, model: {kind: fake}, input: {resize: 20, crop: [10, 9], mean: [0.1, 2, 3], std: 0.3}},"
      "{name: d, model: {kind: fake}, input: {resize: 20, crop_rounding: floor}},"
      "{name: b, model: {kind: fake}, input: {}}, {name: c, model: {kind: fake}, input: {resize: 8, rule: exact}}]",
      "e.yaml"));
  check_effective(load_one("input: {dataset: digits}\ntrain: {input: {dataset: digits, split: test, limit: 9}}"));
  check_effective(config::load_text(R"(
members:
  - name: a
    model: {kind: fake, classes: 4, delay_us: 21, load_delay_ms: 30, reads_input: false, writes_input: true,
            weights: 'w: "x"',
            faults: [{kind: hang}, {kind: exit, phase: train, at_batch: 5}, {kind: nan, at_value: -0.1}]}
    weight: -2.3e-7
    output: probabilities
    copy_input: true
    seed: 18446744073709551615
    train: {epochs: 3, batch_images: 8, learning_rate: 0.1, init: i, bootstrap: true}
  - {name: b, model: {kind: mlp, layers: [64, 4], weights: b}, weight: 4}
  - {name: c.c, model: {kind: torchscript, path: c.pt, weights: c.st, optimize: off}}
  - {name: 'true', model: {kind: fake, classes: 4, delay_ms: 7}}
assignment: {a: "cpu:0-3,8", b: cuda:3, c.c: null, 'true': cuda:MIG-1}
combine: {rule: weighted, over: probabilities, normalize: false, accumulate: float64}
input: {dataset: random, count: 7, shape: [1, 2, 3], classes: 4, seed: 5, limit: 0}
train: {epochs: 2}
segment_images: 9
batch_images: 2
slots: 3
threads: 4
seed: 5
save_members: true
on_nan: allow
start_deadline_s: 1.25
stop_deadline_s: 1e-3
output: runs/é
)",
                                    "e.yaml"));
}

TEST_CASE("the configuration in effect tells that statistics are estimated and over which images") {
  check_effective(config::load_text(
      "members: [{name: a, model: {kind: torchscript, path: n.pt, weights: a.st}}]\n"
      "base: {kind: torchscript, path: n.pt, weights: base.st}\n"
      "merge: {method: task_arithmetic, batch_norm: estimate, input: {dataset: digits, split: train, limit: 9}}\n",
      "e.yaml"));
}

TEST_CASE("the configuration in effect holds overrides and devices by name") {
  const auto spec =
      config::load_text(kOneMember + "assignment: [cpu]\nseed: 1", "e.yaml", {{"seed=4", "slots=2"}, {"a=cpu:3"}});
  check_effective(spec);
  CHECK(spec.effective_yaml.find("seed: 4") != std::string::npos);
  CHECK(spec.effective_yaml.find("a: \"cpu:3\"") != std::string::npos);
}

TEST_CASE("every configuration that users start from is valid") {
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(test::in_sources("config"))) {
    if (entry.path().extension() != ".yaml") continue;
    CAPTURE(entry.path().string());
    ++count;
    config::EnsembleSpec spec;
    CHECK_NOTHROW(spec = config::load_file(entry.path()));
    check_effective(spec);
  }
  CHECK(count >= 5);
}

TEST_CASE("text that was damaged anywhere is either valid or refused with a message") {
  const std::string whole = config::load_file(test::in_sources("config/examples/cifar10.yaml")).effective_yaml;
  const std::string_view letters = "{}[]:,-#&*!|>'\"%@`~?\n\t a0.\x01\xff";
  std::mt19937 random(20240607);
  int valid = 0;
  int refused = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string text = whole;
    for (int change = round % 3; change < 3; ++change) {
      const std::size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = letters[random() % letters.size()];
          break;
        case 1:
          text.insert(at, 1, letters[random() % letters.size()]);
          break;
        default:
          text.erase(at, 1 + random() % 20);
      }
    }
    CAPTURE(text);
    const auto lines = problems(text);  // any other exception ends the test
    for (const std::string& line : lines) CHECK(line.starts_with("e.yaml:"));
    ++(lines.empty() ? valid : refused);
  }
  CHECK(valid > 20);
  CHECK(refused > 500);
}

TEST_CASE("the demonstration is four small networks, tested on images that none was trained on") {
  const auto spec = config::load_file(test::in_sources("config/digits.yaml"));
  REQUIRE(spec.members.size() == 4);
  CHECK(spec.members[3].name == "net-3");
  CHECK(spec.members[3].model.weights == "runs/digits/net-3.safetensors");
  CHECK(spec.input.dataset == config::Dataset::digits);
  CHECK(spec.train_input.split == spec.input.split);
  CHECK(spec.train_input.limit == spec.input.skip);
  CHECK(spec.members[0].train.bootstrap);
}

TEST_CASE("bagging resamples for each member and keeps the rest of the included file") {
  const auto spec = config::load_file(test::in_sources("config/examples/bagging.yaml"));
  CHECK(spec.members.size() == 3);
  CHECK(spec.members[0].train.bootstrap);
  CHECK(spec.members[0].train.epochs == 16);
  CHECK(spec.combine.rule == CombineRule::vote);
}

TEST_CASE("the classes of the members are a list or a file of lines or a list in JSON or labels of Hugging Face") {
  const TemporaryFolder folder;
  const auto classes = [&](const std::string& value) {
    return config::load_text("members: [{name: a, model: {kind: fake, classes: 2}}]\nclasses: " + value + "\n", "e")
        .classes;
  };
  const auto file = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder / name) << text;
    return (folder / name).string();
  };
  const std::vector<std::string> wanted{"cat", "dog"};
  CHECK(classes("[cat, dog]") == wanted);
  CHECK(classes(file("a.txt", "cat\ndog\n")) == wanted);
  CHECK(classes(file("a.json", R"(["cat", "dog"])")) == wanted);
  CHECK(classes(file("config.json", R"({"id2label": {"1": "dog", "0": "cat"}, "x": 1})")) == wanted);
  // Two classes of ImageNet are cranes.
  CHECK(classes(file("b.json", R"(["crane", "crane"])")) == std::vector<std::string>{"crane", "crane"});
}

TEST_CASE("classes that do not fit the members or the images are refused") {
  const TemporaryFolder folder;
  const auto wrong = [&](const std::string& value, const std::string& more = "") {
    return problem("members: [{name: a, model: {kind: small-cnn}}]\nclasses: " + value + "\n" + more);
  };
  CHECK(wrong("[cat, dog]") == "e.yaml:2:10: 'classes' names 2 classes, but member 'a' outputs 10");
  CHECK(problem("members: [{name: a, model: {kind: torchscript, path: x}}]\nclasses: [cat, dog]\n"
                "input: {dataset: digits}\n") == "e.yaml:2:10: 'classes' names 2 classes, but the images have 10");
  CHECK(problem("members: [{name: a, model: {kind: torchscript, path: x}, output: features}]\nclasses: [cat]\n"
                "combine: {over: features}\n") ==
        "e.yaml:2:10: the members are combined over features, which have no classes; name the classes of each task in "
        "'tasks'");
  std::ofstream(folder / "a.json") << R"({"id2label": {"1": "dog"}})";
  CHECK(wrong((folder / "a.json").string()) ==
        "e.yaml:2:10: '" + (folder / "a.json").string() +
            "' must hold a list of names, or an object with 'id2label' that numbers them from 0");
  std::ofstream(folder / "b.json") << "{";
  CHECK(wrong((folder / "b.json").string()).find("is not valid JSON") != std::string::npos);
}

TEST_CASE("the classes of the members are those of tasks that name none") {
  const auto spec = config::load_text(
      "members: [{name: a, model: {kind: fake, classes: 2}}]\nclasses: [cat, dog]\n"
      "tasks: [{name: t, input: {dataset: random, count: 2, classes: 2}}, "
      "{name: u, classes: [x, y], input: {dataset: random, count: 2, classes: 2}}]\n",
      "e");
  CHECK(spec.tasks[0].classes == std::vector<std::string>{"cat", "dog"});
  CHECK(spec.tasks[1].classes == std::vector<std::string>{"x", "y"});
  CHECK(config::load_text(spec.effective_yaml, "again") == spec);
}

TEST_CASE("settings of predictions that exist already are those of the combination and nothing else") {
  const auto spec =
      config::load_combination({"combine={rule: weighted, normalize: false}", "combine.axis=-1", "on_nan=allow"});
  CHECK(spec.combine.rule == CombineRule::weighted);
  CHECK_FALSE(spec.combine.normalize);
  CHECK(spec.combine.axis == -1);
  CHECK(spec.failure.on_nan == OnNan::allow);
  CHECK(spec.members.empty());
  const auto error = error_of([] { config::load_combination({"combine.over=value", "combine.axiz=2"}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->what(), "command line: 'combine.over=value': 'over' must be"));
  CHECK(contains(error->what(), "unknown key 'axiz'; did you mean 'axis'?"));
}

TEST_CASE("the segment is chosen unless it is written") {
  CHECK(load_one("").choose_segment_images);
  CHECK(load_one("segment_images: auto").choose_segment_images);
  const auto spec = load_one("segment_images: 40");
  CHECK_FALSE(spec.choose_segment_images);
  CHECK(spec.segment_images == 40);
  CHECK(problem(kOneMember + "segment_images: outo") ==
        "e.yaml:2:17: 'segment_images' must be auto or a whole number of at least 1, not 'outo'; did you mean 'auto'?");
}

}  // namespace
}  // namespace tutti::test
