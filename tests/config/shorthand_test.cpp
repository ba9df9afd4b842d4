// What a description may leave out: defaults, globs, presets, and variables in paths.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "config/load.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;

config::EnsembleSpec written_out(const std::string& yaml) { return config::load_text(yaml, "e.yaml"); }

std::string shorthand_problem(const std::string& yaml) {
  const auto error = error_of([&] { written_out(yaml); });
  return !error ? "nothing" : error->detail().empty() ? error->message() : error->detail();
}

/// A folder with files of these names, which hold something.
struct FolderOfFiles : TemporaryFolder {
  explicit FolderOfFiles(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      fs::create_directories((*this / name).parent_path());
      std::ofstream(*this / name).put('x');
    }
  }
};

std::vector<std::string> member_names(const config::EnsembleSpec& spec) {
  std::vector<std::string> names;
  for (const config::MemberSpec& member : spec.members) names.push_back(member.name);
  return names;
}

using Names = std::vector<std::string>;

TEST_CASE("defaults are under every member and a member's own keys win") {
  const auto spec = written_out(R"(
defaults: {weight: 3, model: {kind: mlp, layers: [8, 4]}, train: {epochs: 7}}
members:
  - {name: a}
  - {name: b, weight: 1, model: {layers: [4]}}
)");
  CHECK(spec.members[0].weight == 3);
  CHECK(spec.members[1].weight == 1);
  CHECK(std::get<MlpModel>(spec.members[0].model.kind).layers == std::vector<std::uint32_t>{8, 4});
  CHECK(std::get<MlpModel>(spec.members[1].model.kind).layers == std::vector<std::uint32_t>{4});
  CHECK(spec.members[1].train.epochs == 7);
}

TEST_CASE("a glob is a member for each file in the order of their names") {
  const FolderOfFiles folder({"fold-1.pt", "fold-0.pt", "fold 2.pt", "other.onnx"});
  const auto spec =
      written_out(fmt::format("members: {{glob: '{}/fold*.pt', weight: 2, output: logits}}\n", folder.path().string()));
  CHECK(member_names(spec) == Names{"fold-2", "fold-0", "fold-1"});
  CHECK(std::get<TorchScriptModel>(spec.members[1].model.kind).path == (folder / "fold-0.pt").string());
  CHECK(spec.members[2].weight == 2);
}

TEST_CASE("globs may stand among other members and take the defaults") {
  const FolderOfFiles folder({"w/a.safetensors", "w/b.safetensors", "m/9.onnx"});
  const auto spec = written_out(fmt::format(R"(
defaults: {{weight: 2}}
members:
  - {{name: first, model: {{kind: small-cnn}}}}
  - {{glob: '{0}/w/*.safetensors', model: {{kind: small-cnn}}}}
  - {{glob: '{0}/m/*.onnx', weight: 5}}
)",
                                            folder.path().string()));
  CHECK(member_names(spec) == Names{"first", "a", "b", "m9"});
  CHECK(spec.members[1].model.weights == folder / "w/a.safetensors");
  CHECK(spec.members[2].weight == 2);
  CHECK(spec.members[3].weight == 5);
}

TEST_CASE("files that are called alike are told apart by their folders") {
  const FolderOfFiles folder({"x/model.pt", "y/model.pt"});
  CHECK(member_names(written_out(fmt::format("members: {{glob: '{}/*/model.pt', output: logits}}\n",
                                             folder.path().string()))) == Names{"x-model", "y-model"});
}

TEST_CASE("a name of digits is a name and as long as names may be") {
  const FolderOfFiles folder({std::string(70, '7') + ".pt"});
  CHECK(member_names(written_out(fmt::format("members: {{glob: '{}/*.pt', output: logits}}\n",
                                             folder.path().string()))) == Names{"m" + std::string(63, '7')});
}

TEST_CASE("as many folders are in a name as it takes") {
  const FolderOfFiles folder({"1/m/model.pt", "2/m/model.pt"});
  CHECK(member_names(written_out(fmt::format("members: {{glob: '{}/*/m/model.pt', output: logits}}\n",
                                             folder.path().string()))) == Names{"1-m-model", "2-m-model"});
}

TEST_CASE("a glob that makes no sense is refused") {
  const FolderOfFiles folder({"a.pth", "b.pt"});
  const std::string path = folder.path().string();
  CHECK(shorthand_problem("members: {glob: nowhere/*.pt}\n") == "e.yaml:1:17: no file matches 'nowhere/*.pt'");
  CHECK(shorthand_problem("members: {glob: '${TUTTI_UNSET}/*.pt'}\n") ==
        "e.yaml:1:17: '${TUTTI_UNSET}/*.pt' needs the variable TUTTI_UNSET of the environment, which is not set");
  CHECK(shorthand_problem("members: {glob: $TUTTI_UNSET/*.pt}\n") ==
        "e.yaml:1:17: '$TUTTI_UNSET/*.pt' needs the variable TUTTI_UNSET of the environment, which is not set");
  CHECK(shorthand_problem("members: {globb: '*.pt'}\n") ==
        "e.yaml:1:10: 'members' must be a list, or a map with 'glob'");
  CHECK(shorthand_problem(fmt::format("members: {{glob: '{}/b.pt', model: {{kind: fake}}}}\n", path)) ==
        "e.yaml:1:17: members of kind fake have no files; leave 'glob' out");
  CHECK(shorthand_problem("members: {glob: [a]}\n") ==
        "e.yaml:1:17: 'glob' must be a pattern such as models/*.pt, not a list");
  CHECK(shorthand_problem(fmt::format("members: {{glob: '{}/*.pth'}}\n", path))
            .find("a.pth' does not tell what kind of model it is; say it: model: {kind: small-cnn}") !=
        std::string::npos);
  CHECK(shorthand_problem(fmt::format("members: {{glob: '{}/b.pt', name: x}}\n", path)) ==
        "e.yaml:1:17: members of a 'glob' are called as their files are; leave 'name' out");
}

TEST_CASE("defaults that make no sense are refused") {
  CHECK(shorthand_problem("defaults: [a]\nmembers: [{name: a, model: {kind: small-cnn}}]\n") ==
        "e.yaml:1:11: 'defaults' must be a map of keys of a member, not a list");
  CHECK(shorthand_problem("defaults: {glob: '*.pt'}\nmembers: [{model: {kind: small-cnn}}]\n")
            .find("'glob' makes members") != std::string::npos);
  CHECK(shorthand_problem("defaults:\nmembers: [{name: a, model: {kind: small-cnn}}]\n")
            .find("'defaults' has no value") != std::string::npos);
  // Once, although it holds for two members.
  CHECK(shorthand_problem("defaults: {wieght: 2}\nmembers: [{name: a, model: {kind: small-cnn}}, {name: b, model: "
                          "{kind: small-cnn}}]\n")
            .starts_with("e.yaml:1:12: unknown key 'wieght'"));
  CHECK(shorthand_problem("defaults: {name: a}\nmembers: [{model: {kind: small-cnn}}]\n")
            .find("'defaults' has no 'name'") != std::string::npos);
}

TEST_CASE("a preset is how a usual kind of network wants its images") {
  const auto spec = written_out(R"(
members:
  - {name: a, model: {kind: torchscript, path: a.pt}, output: logits, input: imagenet}
  - {name: b, model: {kind: torchscript, path: b.pt}, output: logits, input: clip}
input: {dataset: folder, path: photos}
)");
  const MemberInput& imagenet = *spec.members[0].input;
  CHECK(imagenet.resize.rule == ResizeRule::shorter);
  CHECK(imagenet.resize.height == 256);
  CHECK(imagenet.resize.crop_height == 224);
  CHECK(imagenet.resize.interpolation == Interpolation::bilinear);
  CHECK(imagenet.mean == std::vector<float>{0.485F, 0.456F, 0.406F});
  CHECK(spec.members[1].input->resize.interpolation == Interpolation::bicubic);
  CHECK(spec.members[1].input->resize.height == 224);
  CHECK(written_out(spec.effective_yaml).members == spec.members);
}

TEST_CASE("a preset of preprocess is a mean and a standard deviation") {
  const auto spec = written_out(R"(
members: [{name: a, model: {kind: small-cnn}}]
input: {dataset: cifar10, path: data, preprocess: cifar10}
)");
  CHECK(spec.input.preprocess.std == std::vector<float>{0.2470F, 0.2435F, 0.2616F});
}

TEST_CASE("a member may change a part of the preset that its defaults name") {
  const auto spec = written_out(R"(
defaults: {input: imagenet, model: {kind: torchscript}, output: logits}
members: [{name: a, model: {path: a.pt}, input: {mean: 0.5}}]
input: {dataset: folder, path: photos}
)");
  CHECK(spec.members[0].input->mean == std::vector<float>{0.5F});
  CHECK(spec.members[0].input->std == std::vector<float>{0.229F, 0.224F, 0.225F});
  CHECK(spec.members[0].input->resize.crop_height == 224);
}

TEST_CASE("a preset that is not known is refused with those that are") {
  CHECK(shorthand_problem("members: [{name: a, model: {kind: small-cnn}, input: imagnet}]\n") ==
        "e.yaml:1:54: 'input' must be a map, or one of the words imagenet, clip or cifar10; not 'imagnet'; did you "
        "mean 'imagenet'?");
}

TEST_CASE("paths may begin with a variable of the environment or with the home folder") {
  ::setenv("TUTTI_TEST_FOLDER", "/data/x", 1);
  ::setenv("HOME", "/data/someone", 1);
  const auto spec = written_out(R"(
members:
  - {name: a, model: {kind: small-cnn, weights: "${TUTTI_TEST_FOLDER}/a.safetensors"}}
  - {name: b, model: {kind: small-cnn, weights: ~/b.safetensors}}
  - {name: c, model: {kind: small-cnn, weights: $TUTTI_TEST_FOLDER/c.safetensors}}
input: {dataset: npy, images: $TUTTI_TEST_FOLDER}
)");
  CHECK(spec.members[2].model.weights == "/data/x/c.safetensors");
  CHECK(spec.input.images == "$TUTTI_TEST_FOLDER");  // without a slash it is any text
  CHECK(spec.members[0].model.weights == "/data/x/a.safetensors");
  CHECK(spec.members[1].model.weights == "/data/someone/b.safetensors");
  ::unsetenv("TUTTI_TEST_FOLDER");
  CHECK(shorthand_problem("members: [{name: a, model: {kind: small-cnn, weights: '${TUTTI_TEST_FOLDER}/a'}}]\n")
            .find("needs the variable TUTTI_TEST_FOLDER of the environment, which is not set") != std::string::npos);
}

}  // namespace
}  // namespace tutti::test
