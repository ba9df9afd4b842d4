// `include:` and the merging of files.
#include "config/include.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/common/temporary_folder.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

class Files {
 public:
  std::string write(const std::string& name, const std::string& text) {
    const auto path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

 private:
  TemporaryFolder folder_;
};

std::string file_problem(const std::string& file) {
  std::string text;
  for (const std::string& line : problems_of([&] { config::load_file(file); }))
    text += (text.empty() ? "" : "\n") + line;
  return text;
}

TEST_CASE("later keys win over those of included files") {
  Files files;
  files.write("base.yaml", "seed: 1\nslots: 2\ncombine: {rule: max, over: logits}\n" + kOneMember);
  files.write("more.yaml", "seed: 2\nthreads: 3\n");
  const auto spec =
      config::load_file(files.write("e.yaml", "include: [base.yaml, more.yaml]\nthreads: 4\ncombine: {rule: sum}\n"));
  CHECK(spec.seed == 2);
  CHECK(spec.slots == 2);
  CHECK(spec.threads == 4);
  CHECK(spec.combine.rule == CombineRule::sum);
  CHECK(spec.combine.over == OutputKind::logits);
}

TEST_CASE("the order of keys in the file does not matter for its includes") {
  Files files;
  files.write("base.yaml", "seed: 1\n");
  CHECK(config::load_file(files.write("e.yaml", kOneMember + "seed: 5\ninclude: base.yaml\n")).seed == 5);
}

TEST_CASE("included files are found next to the file that names them") {
  Files files;
  files.write("parts/deep/members.yaml", kOneMember);
  files.write("parts/common.yaml", "include: deep/members.yaml\nseed: 3\n");
  const auto spec = config::load_file(files.write("e.yaml", "include: parts/common.yaml\n"));
  CHECK(spec.seed == 3);
  CHECK(spec.members[0].name == "a");
}

TEST_CASE("lists of an included file are replaced") {
  Files files;
  files.write("base.yaml", "members: [{name: x, model: {kind: fake}}, {name: y, model: {kind: fake}}]\n");
  CHECK(config::load_file(files.write("e.yaml", "include: base.yaml\n" + kOneMember)).members.size() == 1);
}

TEST_CASE("null restores the default of what an included file sets") {
  Files files;
  files.write("base.yaml", kOneMember + "input: {dataset: cifar10, path: d, limit: 4}\n");
  const auto spec = config::load_file(file, {{"input.labels=${here}/l.npy"}, {}});
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  CHECK(spec.members[0].train.init == folder / "below/init.st");
  CHECK(spec.members[0].model.weights == (folder / "../w.st").lexically_normal());
  CHECK(spec.input.images == "images.npy");  // stays relative to the current folder
  CHECK(spec.input.labels == folder / "l.npy");
  CHECK(spec.output == folder);
}

TEST_CASE("text has the folder that it is given for here and by default the current one") {
  const std::string yaml = "members: [{name: a, model: {kind: mlp, layers: [4], weights: '${here}/w.st'}}]\n";
  CHECK(config::load_text(yaml, "e").members[0].model.weights == "w.st");
  CHECK(config::load_text(yaml, "e", {}, "/some/where").members[0].model.weights == "/some/where/w.st");
}

TEST_CASE("another variable at the start of a path is refused") {
  const std::string wrong =
      "begins with an unknown variable; only ${here}/, the folder of this file, has a meaning at the start of a path";
  CHECK(problem(kOneMember + "output: ${HOME}/x") == "e.yaml:2:9: '${HOME}/x' " + wrong);
  CHECK(problem(kOneMember + "output: ${hereabouts}") == "e.yaml:2:9: '${hereabouts}' " + wrong);
}

TEST_CASE("a file that is not there is refused") {
  Files files;
  CHECK(file_problem(files.path("none.yaml")).empty() == false);
  try {
    config::load_file(files.path("none.yaml"));
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() == "cannot read the configuration " + files.path("none.yaml"));
    CHECK(error.detail().find("No such file") != std::string::npos);
  }
}

}  // namespace
}  // namespace tutti::test
