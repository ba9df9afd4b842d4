// Models on the command line instead of a description.
#include "program/quick_start.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "config/load.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

using program::CommandLine;

/// A folder with models and images, and command lines that name some of them.
struct Place : TemporaryFolder {
  Place() {
    std::filesystem::create_directories(*this / "photos");
    for (const char* name : {"a.pt", "b.onnx", "c.pt2", "notes.txt", "images.npy"})
      std::ofstream(*this / name).put('x');
  }
  std::string file(const std::string& name) const { return (*this / name).string(); }
  CommandLine line(const std::string& first, std::vector<std::string> more = {}) const {
    CommandLine line;
    line.file = file(first);
    for (std::string& word : more) line.overrides.push_back(word.find('=') == word.npos ? file(word) : word);
    line.images = file("photos");
    return line;
  }
};

std::string refusal(CommandLine line) {
  const auto error = error_of([&] { program::description_of_models(line); });
  return error ? error->message() : "nothing";
}

TEST_CASE("models on the command line stand for a description that can be read") {
  const Place place;
  CommandLine line = place.line("a.pt", {"b.onnx", "batch_images=4", "c.pt2", "members.0.weight=5"});
  line.preprocess = "imagenet";
  line.rule = "weighted";
  REQUIRE(program::names_models(line));
  const auto spec = config::load_text(program::description_of_models(line), "test");
  CHECK(line.overrides.empty());  // they are in it
  REQUIRE(spec.members.size() == 3);
  CHECK(spec.members[0].weight == 5);
  CHECK(spec.members[1].name == "b");
  CHECK(std::get<OnnxFileModel>(spec.members[1].model.kind).path == place.file("b.onnx"));
  CHECK(spec.members[2].input->resize.crop_height == 224);
  CHECK(spec.combine.rule == CombineRule::weighted);
  CHECK(spec.input.dataset == config::Dataset::folder);
  CHECK(spec.batch_images == 4);
}

TEST_CASE("files of OpenVINO's formats on the command line are its members") {
  const Place place;
  for (const char* name : {"d.xml", "e.tflite", "f.pb", "g.pdmodel"}) std::ofstream(place / name).put('x');
  CommandLine line = place.line("d.xml", {"e.tflite", "f.pb", "g.pdmodel"});
  const auto spec = config::load_text(program::description_of_models(line), "test");
  REQUIRE(spec.members.size() == 4);
  for (const config::MemberSpec& member : spec.members) CHECK(std::holds_alternative<OpenVinoModel>(member.model.kind));
}

TEST_CASE("devices of the command line are part of the description") {
  const Place place;
  CommandLine line = place.line("a.pt", {"b.onnx", "c.pt2", "assignment=[cpu:1, -1, null]"});
  line.assign = {"a=cpu:0", "2=cuda:1"};
  const auto spec = config::load_text(program::description_of_models(line), "test");
  CHECK(line.assign.empty());
  CHECK(config::to_text(spec.members[0].device) == "cpu:0");
  CHECK(config::to_text(spec.members[1].device) == "cpu");
  CHECK(config::to_text(spec.members[2].device) == "cuda:1");
  CommandLine one = place.line("a.pt", {"b.onnx", "device_map=cpu:1"});
  one.assign = {"b=cpu:0"};
  CHECK(config::to_text(config::load_text(program::description_of_models(one), "test").members[0].device) == "cpu:1");
  CommandLine wrong = place.line("a.pt");
  wrong.assign = {"z=cpu"};
  CHECK(refusal(wrong) == "command line: '--assign z=cpu': --assign names 'z', which is not a member");
}

TEST_CASE("mistakes on the command line are named as it says them") {
  const Place place;
  CHECK(refusal(place.line("a.pt", {"batch_image=3"})) ==
        "command line: 'batch_image=3': unknown key 'batch_image'; did you mean 'batch_images'?");
  CommandLine twice = place.line("a.pt", {"b.onnx", "a.pt"});
  CHECK(refusal(twice) == "'" + place.file("a.pt") + "' is named twice");
  CommandLine spelled = place.line("a.pt", {"photos/../a.pt"});
  const auto error = error_of([&] { program::description_of_models(spelled); });
  CHECK(error->detail() == "also as '" + place.file("a.pt") + "'");
  CHECK(error->hint() == "name every model once; to give one more say, write members.0.weight=2 with --rule weighted");
  CommandLine script = place.line("a.pt");
  script.images = place.file("notes.txt");
  CHECK(refusal(script) == "--images: '" + place.file("notes.txt") + "' is neither a folder nor an .npy file");
  CHECK(error_of([&] { program::description_of_models(script); })->hint() ==
        "name a folder of pictures or an .npy file");
}

TEST_CASE("an array of images is one") {
  const Place place;
  CommandLine line = place.line("a.pt");
  line.images = place.file("images.npy");
  CHECK(config::load_text(program::description_of_models(line), "test").input.dataset == config::Dataset::npy);
}

TEST_CASE("models that cannot be described are refused with what to do") {
  const Place place;
  CommandLine none = place.line("a.pt");
  none.images.clear();
  CHECK(refusal(none) == "the models need images");
  CHECK(refusal(place.line("a.pt", {"notes.txt"})) == "'" + place.file("notes.txt") + "' is not the file of a model");
  CHECK(refusal(place.line("nothere*.pt")) == "there is no file '" + place.file("nothere*.pt") + "'");
  CommandLine nowhere = place.line("a.pt");
  nowhere.images = "nowhere";
  CHECK(refusal(nowhere) == "--images: there is no 'nowhere'");
  CommandLine preprocess = place.line("a.pt");
  preprocess.preprocess = "imagnet";
  CHECK(refusal(preprocess) == "--preprocess does not know 'imagnet'");
  CommandLine rule = place.line("a.pt");
  rule.rule = "vot";
  CHECK(refusal(rule) == "--rule does not know 'vot'");
  CHECK(error_of([&] { program::description_of_models(rule); })->hint() == "did you mean 'vote'?");
  CHECK(refusal(place.line("a.pt", {"x=1", "=2"})) != "nothing");
}

TEST_CASE("a folder or a file of weights is refused with what to name instead") {
  const Place place;
  const auto error = [](const std::string& file, bool takes_models = true) {
    return error_of([&] { program::refuse_folder_or_weights(file, takes_models); });
  };
  const std::string photos = place.file("photos");
  for (const std::string& folder : {photos, photos + "/"}) {
    CHECK(error(folder)->message() == "'" + folder + "' is a folder");
    CHECK(error(folder)->hint() == "name its models: " + photos + "/*.pt; or tutti init " + photos +
                                       "/ photos writes a YAML file for the models in it");
    CHECK(error(folder, false)->hint() == "tutti init " + photos + "/ photos writes a YAML file for the models in it");
  }
  CHECK(error("state.pth")->message() == "'state.pth' is not a model that can be started");
  CHECK(error("state.pth")->detail() == "files called *.pth hold weights, without the network");
  CHECK(error("state.pth")->hint() ==
        "export the model: python -m tutti.export model (docs/export.md); or rename the file to *.pt if it holds "
        "TorchScript");
  CHECK(error("w.safetensors")->hint() ==
        "export the model: python -m tutti.export model (docs/export.md); for a small-cnn or an mlp: tutti init "
        "w.safetensors photos");
  CHECK(error("w.ckpt")->hint() == "export the model: python -m tutti.export model (docs/export.md)");
  for (const char* other : {"e.yaml", "a.pt", "notes.txt"}) CHECK_FALSE(error(other));
  CHECK(refusal(place.line("a.pt", {"photos"})) == "'" + photos + "' is a folder");
  CommandLine images = place.line("a.pt", {"photos"});
  images.images.clear();
  CHECK(error_of([&] { program::description_of_models(images); })->hint() ==
        "if it holds the pictures, name it with --images " + photos + "; models by their files: " + photos + "/*.pt");
}

TEST_CASE("a command that takes descriptions only says how to make one for models") {
  const auto refused = [](const char* file) { return error_of([&] { program::refuse_models(file, "evaluate"); }); };
  CHECK(refused("m.pt")->message() == "'tutti evaluate' takes a YAML file, and 'm.pt' is a model");
  CHECK(refused("m.pt")->hint() == "write one first: tutti validate m.pt --images photos --save ensemble.yaml");
  CHECK(refused("w.pth")->message() == "'w.pth' is not a model that can be started");
  CHECK_FALSE(refused("e.yaml"));
}

TEST_CASE("whether a description can be saved is known before it is made") {
  const TemporaryFolder folder;
  program::check_save(folder / "e.yaml");
  CHECK(std::filesystem::is_empty(folder.path()));
  CHECK(error_of([&] { program::check_save(folder / "nowhere" / "e.yaml"); })->kind() == ErrorKind::failed);
  program::save_description("members: []\n", folder / "e.yaml");
  CHECK(contains(error_of([&] { program::check_save(folder / "e.yaml"); })->message(), "e.yaml exists already"));
}

TEST_CASE("options for models are refused beside a description") {
  CommandLine line;
  line.file = "ensemble.yaml";
  line.images = "photos";
  CHECK_FALSE(program::names_models(line));
  CHECK(error_of([&] { program::refuse_options_of_models(line); })->message() ==
        "--images is for models that the command line names");
  CommandLine saved;
  saved.file = "ensemble.yaml";
  saved.save = "chosen.yaml";
  CHECK(error_of([&] { program::refuse_options_of_models(saved); })->message() ==
        "--save is for models that the command line names");
  saved.measure = true;
  CHECK_FALSE(error_of([&] { program::refuse_options_of_models(saved); }));
  line.file = "x.txt";
  CHECK(error_of([&] { program::refuse_options_of_models(line); })->detail() ==
        "'x.txt' is not the file of a model: they are called *.pt, *.pt2, *.onnx, *.xml, *.tflite, *.pb or *.pdmodel");
}

TEST_CASE("a description is saved only where there is no file") {
  const TemporaryFolder folder;
  program::save_description("a: 1\n", folder / "e.yaml");
  CHECK(std::string(std::istreambuf_iterator<char>(std::ifstream(folder / "e.yaml").rdbuf()), {}) == "a: 1\n");
  CHECK(error_of([&] { program::save_description("b", folder / "e.yaml"); })->message().ends_with("exists already"));
}

}  // namespace
}  // namespace tutti::test
