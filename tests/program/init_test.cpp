// What `tutti init` finds in folders, and that what it writes is a description. The models are not started here.
#include "program/init/init_text.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "config/load.hpp"
#include "config/yaml.hpp"
#include "images/npy.hpp"
#include "program/init/array_of_images.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/merge/tensors.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;
using program::Found;
using program::Trial;

/// Two models and pictures of two classes; what else is needed is put there.
struct Finds : TemporaryFolder {
  Finds() {
    for (const char* name : {"models/a.pt", "models/b.onnx", "photos/cat/1.png", "photos/dog/2.png"}) put(name);
  }
  void put(const std::string& name, const std::string& text = "x") const {
    fs::create_directories((*this / name).parent_path());
    std::ofstream(*this / name) << text;
  }
  void put_array(const std::string& name, const std::vector<std::uint64_t>& shape) const {
    fs::create_directories((*this / name).parent_path());
    std::uint64_t values = 1;
    for (const std::uint64_t size : shape) values *= size;
    if (shape.size() == 1) {
      images::NpyWriter array(*this / name, images::NpyType::int64, shape);
      array.write(std::vector<std::int64_t>(values));
      array.finish();
      return;
    }
    images::NpyWriter array(*this / name, images::NpyType::float32, shape);
    array.write(std::vector<float>(values));
    array.finish();
  }
  Found look(const std::vector<std::string>& names) const {
    std::vector<fs::path> places;
    for (const std::string& name : names) places.push_back(*this / name);
    return program::look_at(places);
  }
  Error refusal(const std::vector<std::string>& names) const {
    const auto error = error_of([&] { look(names); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK_FALSE(error->hint().empty());
    return *error;
  }
};

constexpr std::string_view kProcessor =
    R"({"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}, "crop_size": 30,
        "image_mean": [0.5, 0.25, 0], "image_std": [1, 2, 4]})";

std::string text_of(const Found& found, std::vector<Trial> trials = {}, std::vector<std::string> devices = {},
                    const std::string& rule = {}) {
  trials.resize(found.models.size());
  devices.resize(found.models.size(), "cpu");
  return program::init_text({found, trials, devices, "A machine.", rule, "e.yaml"});
}

config::EnsembleSpec read(const std::string& text) {
  CAPTURE(text);
  return config::load_text(text, "what init wrote");
}

TEST_CASE("models and pictures are found in the order in which they are named or in another") {
  const Finds finds;
  for (const auto& places : {std::vector<std::string>{"models/", "photos/"}, {"photos", "models"}}) {
    const Found found = finds.look(places);
    REQUIRE(found.models.size() == 2);
    CHECK(found.models[1].name == "b");
    CHECK(found.models[1].model.find("kind")->scalar == "onnx");
    CHECK(found.images.summary == "2 pictures in 2 folders");
    CHECK(found.images.classes == std::vector<std::string>{"cat", "dog"});
    CHECK(found.problems.empty());
  }
  CHECK(finds.look({"models/a.pt", "photos/cat"}).models.size() == 1);
  finds.put("folds/1/model.pt");
  finds.put("folds/2/model.pt");
  CHECK(finds.look({"folds", "photos"}).models[1].name == "2-model");
}

TEST_CASE("models of OpenVINO are found and other files that end in .xml are not") {
  const Finds finds;
  for (const char* name : {"ir/net.xml", "ir/net.bin", "ir/annotation.xml", "tf/first/saved_model.pb"}) finds.put(name);
  const Found found = finds.look({"ir", "tf", "photos"});
  REQUIRE(found.models.size() == 2);
  for (const auto& model : found.models) CHECK(model.model.find("kind")->scalar == "openvino");
  CHECK(found.models[0].name == "net");
  CHECK(found.models[1].name == "first");
  CHECK(finds.look({"tf/first", "photos"}).models.size() == 1);
}

TEST_CASE("places without models or images or with too many images are refused with what to do") {
  const Finds finds;
  finds.put("more/3.png");
  finds.put("notes.md");
  CHECK(contains(finds.refusal({"nowhere", "photos"}).message(), "there is no '"));
  CHECK(finds.refusal({"models"}).message() == "there are no images");
  CHECK(finds.refusal({"photos"}).message() == "there are no models");
  CHECK(finds.refusal({"models", "photos", "more"}).message() == "there are several sets of images");
  CHECK(finds.refusal({"notes.md", "photos"}).message().ends_with("is neither a model nor images"));
  finds.put_array("arrays/a.npy", {2, 3, 4, 4});
  CHECK(finds.look({"models", "arrays"}).models.size() == 2);
  finds.put_array("arrays/b.npy", {2, 3, 4, 4});
  CHECK(finds.refusal({"models", "arrays"}).message().ends_with("has several arrays"));
}

TEST_CASE("weights of a small-cnn or an mlp are members and others are left out with a reason") {
  using merge::test::f32;
  const Finds finds;
  const auto zeros = [](std::size_t count) { return std::vector<float>(count); };
  fs::create_directories(finds / "w");
  merge::test::write(finds / "w/dense.safetensors",
                     {f32("fc1.weight", {5, 48}, zeros(240)), f32("fc1.bias", {5}, zeros(5)),
                      f32("fc2.weight", {2, 5}, zeros(10)), f32("fc2.bias", {2}, zeros(2))});
  merge::test::write(finds / "w/other.safetensors", {f32("layer.weight", {1}, {1})});
  merge::test::write(finds / "w/more.safetensors", {f32("fc1.weight", {5, 48}, zeros(240)),
                                                    f32("fc1.bias", {5}, zeros(5)), f32("norm.weight", {1}, {1})});
  const Found found = finds.look({"w", "photos"});
  REQUIRE(found.models.size() == 1);
  CHECK(found.models[0].side == 4);  // 3 x 4 x 4 values
  CHECK(found.problems.size() == 2);
  CHECK(contains(found.problems[0], "it has weights only, and not those of a small-cnn or an mlp"));
  const auto spec = read(text_of(found));
  CHECK(std::get<MlpModel>(spec.members[0].model.kind).layers == std::vector<std::uint32_t>{5, 2});
  CHECK(contains(text_of(found), "is left out: it has weights only"));
}

TEST_CASE("the image processor next to models says how they want their images") {
  const Finds finds;
  finds.put("models/preprocessor_config.json", std::string(kProcessor));
  const auto spec = read(text_of(finds.look({"models", "photos"})));
  for (const auto& member : spec.members) {
    REQUIRE(member.input);
    CHECK(member.input->mean == std::vector<float>{0.5F, 0.25F, 0});
    CHECK(member.input->resize.crop_height == 30);
  }
  // A folder that is called as the model comes first, and members that differ say it themselves.
  finds.put("models/a/preprocessor_config.json",
            R"({"do_resize": false, "do_center_crop": false, "do_normalize": false})");
  const auto apart = read(text_of(finds.look({"models", "photos"})));
  CHECK(apart.members[0].input->mean.empty());
  CHECK(apart.members[1].input->mean.size() == 3);
  finds.put("models/a/preprocessor_config.json", R"({"image_processor_type": "OtherProcessor"})");
  const Found other = finds.look({"models", "photos"});
  REQUIRE(other.problems.size() == 1);
  CHECK(contains(other.problems[0], "The image processor could not be used."));
  CHECK(contains(other.problems[0], "OtherProcessor"));
}

TEST_CASE("arrays are images or samples with the labels that lie next to them") {
  const Finds finds;
  finds.put_array("d/test-images.npy", {5, 4, 6, 3});
  finds.put_array("d/test-labels.npy", {5});
  auto spec = read(text_of(finds.look({"models", "d"})));
  CHECK(spec.input.layout == config::Layout::nhwc);
  CHECK(spec.input.labels == finds / "d/test-labels.npy");
  CHECK_FALSE(contains(text_of(finds.look({"models", "d"})), "No labels were found"));
  const std::vector<Trial> masks{{{5, 8, 8}, 0, {}}, {{5, 8, 8}, 0, {}}};
  CHECK(read(text_of(finds.look({"models", "d"}), masks)).input.labels.empty());
  CHECK(contains(text_of(finds.look({"models", "d"}), masks), "they are left out"));
  finds.put_array("d/test-labels.npy", {4});  // of other images
  CHECK(read(text_of(finds.look({"models", "d"}))).input.labels.empty());
  CHECK(contains(text_of(finds.look({"models", "d"})), "#   labels: labels.npy"));
  finds.put_array("r/rows.npy", {5, 7});
  spec = read(text_of(finds.look({"models", "r"})));
  REQUIRE(spec.input.tensors.size() == 1);
  CHECK(spec.input.tensors[0].name == "rows");
  CHECK(program::array_of_images(finds / "d/test-images.npy").summary == "5 samples of [4, 6, 3]");
  std::ofstream(finds / "no.npy") << "x";
  CHECK(error_of([&] { finds.look({"models", "no.npy"}); }));
}

TEST_CASE("a model is tried with usual sizes of pictures until it takes one") {
  const Finds finds;
  const Found found = finds.look({"models", "photos"});
  std::vector<std::string> sizes;
  const auto only_32 = [&](const config::Tree& description) -> Dims {
    const config::EnsembleSpec spec = read(config::emit_yaml(description));
    REQUIRE(spec.members.size() == 1);
    sizes.push_back(std::to_string(spec.input.resize.height));
    if (spec.input.resize.height != 32) throw Error(ErrorKind::usage, "no", "because " + sizes.back());
    return {10};
  };
  const std::vector<Trial> trials = program::try_models(found, {"cpu", "cpu"}, only_32);
  CHECK(trials[1].side == 32);
  CHECK(trials[1].output == Dims{10});
  CHECK(trials[1].problem.empty());
  CHECK(sizes.front() == "224");  // what pictures have by default
  CHECK(read(text_of(found, trials)).input.resize.height == 32);
  const auto never = [](const config::Tree&) -> Dims { throw Error(ErrorKind::failed, "no", "never\ntwice\n"); };
  const std::vector<Trial> failed = program::try_models(found, {"cpu", "cpu"}, never);
  CHECK(failed[0].problem == "no: never twice");
  CHECK(contains(text_of(found, failed),
                 "- a could not be started, so the run will fail until this is corrected: no: never twice"));
  const auto stop = [](const config::Tree&) -> Dims { throw Error(ErrorKind::interrupted, "stopped"); };
  CHECK(error_of([&] { program::try_models(found, {"cpu", "cpu"}, stop); })->kind() == ErrorKind::interrupted);
}

TEST_CASE("models of other sizes have each their own and models with a known size are tried with no other") {
  const Finds finds;
  Found found = finds.look({"models", "photos"});
  const auto spec = read(text_of(found, {{{10}, 224, {}}, {{10}, 28, {}}}));
  CHECK(spec.members[1].input->resize.height == 28);
  found.models[0].input = config::Tree::text("imagenet");
  found.models[1].side = 16;
  std::vector<std::uint32_t> sizes;
  program::try_models(found, {"cpu", "cpu"}, [&](const config::Tree& description) -> Dims {
    sizes.push_back(read(config::emit_yaml(description)).input.resize.height);
    throw Error(ErrorKind::failed, "no");
  });
  CHECK(sizes == std::vector<std::uint32_t>{224, 16});  // the first by its own `input`
}

TEST_CASE("what the models output decides what is combined") {
  const Finds finds;
  const Found found = finds.look({"models", "photos"});
  CHECK(read(text_of(found, {}, {}, "vote")).combine.rule == CombineRule::vote);
  const auto numbers = read(text_of(found, {{{1}, 224, {}}, {{1}, 224, {}}}));
  CHECK(numbers.combine.over == OutputKind::values);
  CHECK(numbers.members[0].output == OutputKind::values);
  CHECK(read(text_of(found, {{{1, 8, 8}, 224, {}}, {{1, 8, 8}, 224, {}}})).combine.over == OutputKind::values);
  const std::string differ = text_of(found, {{{3}, 224, {}}, {{4}, 224, {}}}, {}, "vote");
  CHECK(read(differ).combine.rule == CombineRule::none);
  CHECK(contains(differ, "The models output different shapes"));
}

TEST_CASE("each model has the device that was chosen for it") {
  const Finds finds;
  const auto spec = read(text_of(finds.look({"models", "photos"}), {}, {"cuda:1", "cpu"}));
  CHECK(config::to_text(spec.members[0].device) == "cuda:1");
  CHECK(config::to_text(spec.members[1].device) == "cpu");
}

TEST_CASE("a file with the names of the classes is used if it fits the outputs") {
  const Finds finds;
  const std::vector<Trial> three{{{3}, 224, {}}, {{3}, 224, {}}};
  CHECK(contains(text_of(finds.look({"models", "photos"}), three),
                 "They do: there are 2 folders, and the models output 3."));
  finds.put("photos/emu/3.png");
  const std::vector<Trial> two{{{2}, 224, {}}, {{2}, 224, {}}};
  CHECK(contains(text_of(finds.look({"models", "photos"}), two),
                 "The pictures have 3 classes (a folder each), but a outputs 2, so the run will fail:"));
  CHECK(program::too_many_classes(finds.look({"models", "photos"}), three).empty());
  finds.put("models/labels.txt", "cat\ndog\nemu\n");
  const std::string fits = text_of(finds.look({"models", "photos"}), three);
  CHECK(read(fits).classes == std::vector<std::string>{"cat", "dog", "emu"});
  finds.put("models/labels.txt", "cat\n\ndog\n");  // not such a file
  CHECK(finds.look({"models", "photos"}).class_file.empty());
  finds.put("models/config.json", R"({"id2label": {"0": "cat", "1": "dog"}})");
  const std::string other = text_of(finds.look({"models", "photos"}), three);
  CHECK(read(other).classes.empty());
  CHECK(contains(other, "A file names 2 classes, but the models output 3, so it is left out:\n# classes: "));
}

TEST_CASE("names of files cannot end a comment or a text of what is written") {
  const Finds finds;
  finds.put("odd/a\nb: {.pt");
  finds.put("odd/say \"hi\" # no.pt");
  std::vector<Trial> trials(2);
  trials[0].problem = "first\nmembers: []";
  const auto spec = read(text_of(finds.look({"odd", "photos"}), trials));
  REQUIRE(spec.members.size() == 2);
  CHECK(std::get<TorchScriptModel>(spec.members[0].model.kind).path == (finds / "odd/a\nb: {.pt").string());
}

TEST_CASE("a folder that is not a tower of CLIP is left out with a reason") {
  const Finds finds;
  finds.put("models/vit/config.json", R"({"model_type": "vit"})");
  const Found found = finds.look({"models", "photos"});
  CHECK(found.models.size() == 2);
  REQUIRE(found.problems.size() == 1);
  CHECK(contains(found.problems[0], "its model_type is 'vit'"));
  finds.put("models/vit/config.json",
            R"({"model_type": "clip_vision_model", "hidden_size": 8, "num_attention_heads": 2, "image_size": 32})");
  const Found mixed = finds.look({"models", "photos"});
  CHECK(mixed.models.size() == 2);
  CHECK(contains(mixed.problems.at(0), "the tower of CLIP outputs features"));
  const Found towers = finds.look({"models/vit", "photos"});
  REQUIRE(towers.models.size() == 1);
  CHECK(towers.models[0].side == 32);
  CHECK(read(text_of(towers)).combine.over == OutputKind::features);
}

}  // namespace
}  // namespace tutti::test
