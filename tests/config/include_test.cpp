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
  const auto spec = config::load_file(
      files.write("e.yaml", "include: base.yaml\ninput: {dataset: digits, path: null, limit: null}\n"));
  CHECK(spec.input.dataset == config::Dataset::digits);
  CHECK_FALSE(spec.input.limit);
}

TEST_CASE("one file may be included in two ways") {
  Files files;
  files.write("base.yaml", kOneMember);
  files.write("left.yaml", "include: base.yaml\nseed: 1\n");
  files.write("right.yaml", "include: base.yaml\nslots: 2\n");
  const auto spec = config::load_file(files.write("e.yaml", "include: [left.yaml, right.yaml]\n"));
  CHECK(spec.seed == 1);
  CHECK(spec.slots == 2);
}

TEST_CASE("a violation names the file that it is in") {
  Files files;
  const std::string base = files.write("base.yaml", "slots: 0\ncombine:\n  rule: men\n  ovr: x\n");
  const std::string main = files.write("e.yaml", "include: base.yaml\n" + kOneMember + "combine: {over: y}\n");
  const auto lines = problems_of([&] { config::load_file(main); });
  REQUIRE(lines.size() == 4);
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  CHECK(all.find(base + ":1:8: 'slots' must be") != std::string::npos);
  CHECK(all.find(base + ":3:9: 'rule' must be") != std::string::npos);
  CHECK(all.find(base + ":4:3: unknown key 'ovr'") != std::string::npos);
  CHECK(all.find(main + ":3:17: 'over' must be") != std::string::npos);
}

TEST_CASE("a key that no file gives is reported in the file that includes the others") {
  Files files;
  files.write("base.yaml", "# the rest is elsewhere\nseed: 1\n");
  const std::string main = files.write("e.yaml", "\n\ninclude: base.yaml\n");
  CHECK(file_problem(main).starts_with(main + ":3:1: the configuration needs 'members'"));
}

TEST_CASE("files that include each other are refused with the cycle") {
  Files files;
  const std::string a = files.write("a.yaml", "include: b.yaml\n");
  const std::string b = files.write("b.yaml", "seed: 1\ninclude: [./a.yaml]\n");
  CHECK(file_problem(a) == b + ":2:11: files include each other in a circle: " + a + " -> " + b + " -> " + a);
  const std::string self = files.write("self.yaml", "include: self.yaml\n");
  CHECK(file_problem(self) == self + ":1:10: files include each other in a circle: " + self + " -> " + self);
}

TEST_CASE("a missing include says who includes it") {
  Files files;
  const std::string main = files.write("e.yaml", "include: [gone.yaml]\n" + kOneMember);
  CHECK(
      file_problem(main).starts_with(main + ":1:11: cannot read the included file " + files.path("gone.yaml") + ": "));
}

TEST_CASE("all missing includes are found at once") {
  Files files;
  CHECK(problems_of([&] { config::load_file(files.write("e.yaml", "include: [x.yaml, y.yaml]\n")); }).size() == 2);
}

TEST_CASE("an include that is not a file name is refused") {
  CHECK(problem("include: {a: b}\n") == "e.yaml:1:10: 'include' must be a file or a list of files, not a map");
  CHECK(problem("include: [[x]]\n") == "e.yaml:1:11: 'include' must be a file or a list of files, not a list");
  CHECK(problem("include:\n" + kOneMember) == "e.yaml:1:1: 'include' must be a file or a list of files, not nothing");
  CHECK(problem("include: null\n" + kOneMember).empty());
}

TEST_CASE("include below the top is an unknown key") {
  CHECK(problem(kOneMember + "combine: {include: x}") == "e.yaml:2:11: unknown key 'include'");
}

TEST_CASE("an included file that is not a map or not YAML is refused with its own position") {
  Files files;
  const std::string list = files.write("list.yaml", "- 1\n");
  CHECK(file_problem(files.write("e.yaml", "include: list.yaml\n")) ==
        list + ":1:1: a configuration is a map of keys and values, not a list");
  const std::string broken = files.write("broken.yaml", "a: {b\n");
  CHECK(file_problem(files.write("e.yaml", "include: broken.yaml\n")).starts_with(broken + ":2:1: this is not YAML: "));
}

TEST_CASE("an empty included file changes nothing") {
  Files files;
  files.write("empty.yaml", "# nothing yet\n");
  CHECK(config::load_file(files.write("e.yaml", "include: empty.yaml\n" + kOneMember)).members.size() == 1);
}

TEST_CASE("a deep chain of includes is refused") {
  Files files;
  for (int i = 0; i < 20; ++i)
    files.write("f" + std::to_string(i) + ".yaml", "include: f" + std::to_string(i + 1) + ".yaml\n");
  CHECK(file_problem(files.path("f0.yaml")) ==
        files.path("f15.yaml") + ":1:10: includes are nested more than 16 files deep");
}

TEST_CASE("includes that double at every step are refused") {
  Files files;
  for (int i = 0; i < 12; ++i) {
    const std::string next = "f" + std::to_string(i + 1) + ".yaml";
    files.write("f" + std::to_string(i) + ".yaml", "include: [" + next + ", " + next + "]\n");
  }
  files.write("f12.yaml", "seed: 1\n");
  CHECK(problems_of([&] { config::load_file(files.path("f0.yaml")); })
            .front()
            .ends_with(": more than 256 included files"));
}

TEST_CASE("here stands for the folder of the file that says it") {
  Files files;
  std::filesystem::create_directory(std::filesystem::path(files.path("e.yaml")).parent_path() / "below");
  files.write("below/part.yaml", "train: {init: '${here}/init.st'}\n");
  const std::string file =
      files.write("e.yaml",
                  "include: ['${here}/below/part.yaml']\n"
                  "members: [{name: a, model: {kind: mlp, layers: [4], weights: '${here}/../w.st'}}]\n"
                  "input: {dataset: npy, images: images.npy, labels: x.npy}\noutput: ${here}\n");
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

TEST_CASE("what only looks like a variable at the start of a path is refused") {
  const std::string wrong =
      "begins with what looks like a variable; ${here}/, the folder of this file, and ${NAME}/, a variable of the "
      "environment, have a meaning at the start of a path";
  for (const char* path : {"${hereabouts}", "${HOME}x", "${HOME", "${}/x"})
    CHECK(problem(kOneMember + "output: '" + path + "'") == std::string("e.yaml:2:9: '") + path + "' " + wrong);
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
