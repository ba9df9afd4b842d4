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

CommandLine line_of(const std::string& file, const std::vector<std::string>& more) {
  CommandLine line;
  line.file = file;
  line.overrides = more;
  line.images = "photos";
  return line;
}

TEST_CASE("models on the command line stand for a description that can be read") {
  CommandLine line = line_of("m/a.pt", {"m/b.onnx", "batch_images=4", "c.pt2"});
  line.preprocess = "imagenet";
  line.rule = "vote";
  REQUIRE(program::names_models(line));
  const std::string yaml = program::description_of_models(line);
  CHECK(line.overrides == std::vector<std::string>{"batch_images=4"});
  const auto spec = config::load_text(yaml, "test", {line.overrides, {}});
  REQUIRE(spec.members.size() == 3);
  CHECK(spec.members[1].name == "b");
  CHECK(std::get<OnnxFileModel>(spec.members[1].model.kind).path == "m/b.onnx");
  CHECK(spec.members[2].input->resize.crop_height == 224);
  CHECK(spec.combine.rule == CombineRule::vote);
  CHECK(spec.input.dataset == config::Dataset::folder);
  CHECK(spec.batch_images == 4);
}

TEST_CASE("an array of images is one") {
  CommandLine line = line_of("a.pt", {});
  line.images = "x/images.npy";
  CHECK(config::load_text(program::description_of_models(line), "test").input.dataset == config::Dataset::npy);
}

TEST_CASE("models that cannot be described are refused with what to do") {
  CommandLine none = line_of("a.pt", {});
  none.images.clear();
  CHECK(error_of([&] { program::description_of_models(none); })->hint() ==
        "name a folder of pictures or an .npy file: --images photos");
  CommandLine other = line_of("a.pt", {"notes.txt"});
  CHECK(error_of([&] { program::description_of_models(other); })->message() ==
        "'notes.txt' is not the file of a model");
}

TEST_CASE("options for models are refused beside a description") {
  const CommandLine line = line_of("ensemble.yaml", {});
  CHECK_FALSE(program::names_models(line));
  CHECK(error_of([&] { program::refuse_options_of_models(line); })->message() ==
        "--images is for models that the command line names");
}

TEST_CASE("a description is saved only where there is no file") {
  const TemporaryFolder folder;
  program::save_description("a: 1\n", folder / "e.yaml");
  CHECK(std::string(std::istreambuf_iterator<char>(std::ifstream(folder / "e.yaml").rdbuf()), {}) == "a: 1\n");
  CHECK(error_of([&] { program::save_description("b", folder / "e.yaml"); })->message().ends_with("exists already"));
}

}  // namespace
}  // namespace tutti::test
