// The tasks that an ensemble is evaluated on.
#include <doctest/doctest.h>

#include <fstream>

#include "tests/common/temporary_folder.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

const std::string kClasses = "members: [{name: a, model: {kind: fake, classes: 4}}]\n";
const std::string kFeatures =
    "members: [{name: a, model: {kind: fake, classes: 4}, output: features}]\ncombine: {over: features}\n";
const std::string kImages = "input: {dataset: random, count: 5, classes: 3}";

std::string wrong_tasks(const std::string& tasks, const std::string& before = kClasses) {
  return problem(before + "tasks: " + tasks + "\n");
}

TEST_CASE("a task has a name and images and if members output features a head") {
  const auto spec = config::load_text(
      kFeatures + "tasks: [{name: t, " + kImages + ", head: h.safetensors, classes: [cat, dog, 3]}]", "e");
  REQUIRE(spec.tasks.size() == 1);
  CHECK(spec.tasks[0].name == "t");
  CHECK(spec.tasks[0].head == "h.safetensors");
  CHECK(spec.tasks[0].classes == std::vector<std::string>{"cat", "dog", "3"});
  CHECK(spec.tasks[0].input.count == 5);
  CHECK(config::load_text(kClasses + "tasks: [{name: t, " + kImages + "}]", "e").tasks[0].head.empty());
  CHECK(config::load_text(kClasses, "e").tasks.empty());
}

TEST_CASE("class names may be in a file with one on each line") {
  const TemporaryFolder folder;
  const std::string file = (folder / "classes.txt").string();
  std::ofstream(file) << "annual crop\r\nforest land\n\n";
  const std::string task = "[{name: t, input: {dataset: random, count: 5, classes: 2}, classes: '" + file + "'}]";
  CHECK(config::load_text(kClasses + "tasks: " + task, "e").tasks[0].classes ==
        std::vector<std::string>{"annual crop", "forest land"});
  std::ofstream(file) << "a\n\nb\n";
  CHECK(wrong_tasks(task) == "e.yaml:2:76: '" + file + "' must hold one class name per line, and no empty line");
  std::ofstream(file) << "";
  CHECK(wrong_tasks(task) == "e.yaml:2:76: '" + file + "' must hold one class name per line, and no empty line");
  CHECK(wrong_tasks("[{name: t, " + kImages + ", classes: none.txt}]") ==
        "e.yaml:2:76: cannot read the class names none.txt (No such file or directory)");
}

TEST_CASE("two classes with the same name are refused") {
  CHECK(wrong_tasks("[{name: t, " + kImages + ", classes: [a, b, c, a]}]") ==
        "e.yaml:2:76: 'classes' names 'a' twice; tell the two apart");
  const TemporaryFolder folder;
  std::ofstream(folder / "classes.txt") << "caf\xC3\xA9\ncafe\xCC\x81\nb\n";  // composed and decomposed
  CHECK(wrong_tasks("[{name: t, " + kImages + ", classes: '" + (folder / "classes.txt").string() + "'}]") ==
        "e.yaml:2:76: 'classes' names 'caf\xC3\xA9' twice; tell the two apart");
  std::ofstream(folder / "classes.txt") << "a\nb\nb\n";
  CHECK(wrong_tasks("[{name: t, " + kImages + ", classes: '" + (folder / "classes.txt").string() + "'}]") ==
        "e.yaml:2:76: 'classes' names 'b' twice; tell the two apart");
}

TEST_CASE("a value that is not a list of tasks or lacks a part is refused") {
  CHECK(wrong_tasks("3") == "e.yaml:2:8: 'tasks' must be a list of 1 to 1024 tasks, not '3'");
  CHECK(wrong_tasks("[]") == "e.yaml:2:8: 'tasks' must be a list of 1 to 1024 tasks, not one of 0");
  CHECK(wrong_tasks("[{name: t}]") ==
        "e.yaml:2:9: task 0 needs 'input', such as {dataset: npy, images: test.npy, labels: labels.npy}");
  CHECK(wrong_tasks("[{" + kImages + "}]") == "e.yaml:2:9: task 0 needs 'name', a word such as mnist");
  CHECK(wrong_tasks("[{name: t, input: {}}]") ==
        "e.yaml:2:26: the images of task 't' need a 'dataset': they cannot come through the API");
  CHECK(wrong_tasks("[{name: t, " + kImages + ", heads: x}]") ==
        "e.yaml:2:67: unknown key 'heads'; did you mean 'head'?");
}

TEST_CASE("names of tasks become folders and columns and differ") {
  const auto named = [](const std::string& name) { return "[{name: '" + name + "', " + kImages + "}]"; };
  CHECK(wrong_tasks(named("a/b")) ==
        "e.yaml:2:16: the name 'a/b' of a task may contain only letters, digits, '_', '.' and '-'");
  CHECK(wrong_tasks(named(".x")) == "e.yaml:2:16: the name '.x' of a task must start with a letter, a digit or '_'");
  CHECK(wrong_tasks(named(std::string(65, 'x'))) ==
        "e.yaml:2:16: the name '" + std::string(65, 'x') + "' of a task is longer than 64 characters");
  CHECK(wrong_tasks(named("average")) ==
        "e.yaml:2:16: the name 'average' stands for the mean over all tasks; choose another one");
  CHECK(wrong_tasks("[{name: t, " + kImages + "},\n {name: t, " + kImages + "}]") ==
        "e.yaml:3:2: task 1 is called 't' like task 0; names must differ");
}

TEST_CASE("what the labels of a task are follows from what the members are combined over") {
  const std::string labelled = "input: {dataset: npy, images: x, labels: y";
  const auto spec = config::load_text(
      "members: [{name: a, model: {kind: fake}}]\ncombine: {activation: sigmoid}\ntasks: [{name: t, " + labelled +
          "}}]\n",
      "e.yaml");
  CHECK(spec.tasks.at(0).input.label_form == LabelForm::indicators);
  CHECK(wrong_tasks("[{name: t, " + labelled + ", ignore_index: 255}}]",
                    "members: [{name: a, model: {kind: fake}, output: values}]\ncombine: {over: values}\n") ==
        "e.yaml:3:77: 'ignore_index' marks places of masks of classes, and with 'over: values' there are none");
}

TEST_CASE("heads take features and features need heads") {
  CHECK(wrong_tasks("[{name: t, " + kImages + ", head: h.safetensors}]") ==
        "e.yaml:2:73: task 't' has a head, which takes features, but the members are combined over probabilities; set "
        "combine: {over: features}");
  CHECK(wrong_tasks("[{name: t, " + kImages + "}]", kFeatures) ==
        "e.yaml:3:9: task 't' has no 'head', and the members' features have no classes; add 'head', or combine over "
        "probabilities");
}

TEST_CASE("images with more classes than the names or the members have are refused") {
  CHECK(wrong_tasks("[{name: t, " + kImages + ", classes: [a, b]}]") ==
        "e.yaml:2:26: task 't' names 2 classes, but its images have 3");
  CHECK(wrong_tasks("[{name: t, input: {dataset: random, count: 5, classes: 5}}]") ==
        "e.yaml:2:26: member 'a' outputs 4 classes, but the images have 5");
  for (const char* classes : {"[]", "{a: b}"}) {
    CAPTURE(classes);
    CHECK(wrong_tasks("[{name: t, " + kImages + ", classes: " + classes + "}]")
              .starts_with("e.yaml:2:76: 'classes' must be a list of names or a file with one name per line, not "));
  }
  const auto wrong_class = [](const std::string& item) {
    return wrong_tasks("[{name: t, " + kImages + ", classes: [yes, " + item + ", no]}]");
  };
  CHECK(wrong_class("null") ==
        "e.yaml:2:82: class 1 of 'classes' must be a name, not nothing; if the class is called null, write it in "
        "quotes");
  CHECK(wrong_class("[a]") == "e.yaml:2:82: class 1 of 'classes' must be a name, not a list");
  CHECK(wrong_class("''") == "e.yaml:2:82: class 1 of 'classes' must be a name, not the text ''");
  CHECK(wrong_class("'null'").empty());
}

TEST_CASE("held-out images are read and checked like those of the task and must differ from them") {
  const auto held = [](const std::string& rest) {
    return "[{name: t, " + kImages + ", classes: [a, b, c], held_out: " + rest + "}]";
  };
  const auto spec = config::load_text(kClasses + "tasks: " + held("{dataset: random, count: 7, classes: 2}"), "e");
  REQUIRE(spec.tasks[0].held_out);
  CHECK(spec.tasks[0].held_out->count == 7);
  CHECK(config::load_text(spec.effective_yaml, "again") == spec);
  CHECK_FALSE(config::load_text(kClasses + "tasks: [{name: t, " + kImages + "}]", "e").tasks[0].held_out);
  CHECK(wrong_tasks(held("{}")) ==
        "e.yaml:2:97: the held-out images of task 't' need a 'dataset': they cannot come through the API");
  CHECK(wrong_tasks(held("{dataset: random, count: 5, classes: 4}")) ==
        "e.yaml:2:97: task 't' names 3 classes, but its held-out images have 4");
  CHECK(wrong_tasks(held("{dataset: random, count: 5, clases: 3}")).find("did you mean 'classes'?") !=
        std::string::npos);
  CHECK(wrong_tasks(held("{dataset: random, count: 5, classes: 3}")) ==
        "e.yaml:2:97: the held-out images of task 't' are also its 'input', which the soup is measured on; separate "
        "them, for example with 'skip' and 'limit'");
}

}  // namespace
}  // namespace tutti::test
