// The keys of a member of kind `python`.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/common/error_of.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

std::string python_problem(const std::string& model) {
  const std::string text = problem("members: [{name: a, model: {" + model + "}}]");
  return text.substr(std::min(text.find(": "), text.size() - 2) + 2);
}

PythonModel python_model(const config::EnsembleSpec& spec) {
  return std::get<PythonModel>(spec.members.front().model.kind);
}

TEST_CASE("modules of a Python member are looked for in the folder of the description") {
  const std::string yaml = "members: [{name: a, model: {kind: python, factory: 'm:make'}}]";
  CHECK(python_model(config::load_text(yaml, "e.yaml")).folder == ".");
  CHECK(python_model(config::load_text(yaml, "below/e.yaml")).folder == "below");
  CHECK(python_model(config::load_text(yaml, "text", {}, "there")).folder == "there");
  const auto own =
      config::load_text("members: [{name: a, model: {kind: python, factory: 'm:make', folder: nets}}]", "e.yaml");
  CHECK(python_model(own).folder == "nets");
  const auto command_line =
      config::load_text(yaml, "below/e.yaml", {{"members.0.model.factory=other:make"}, {}}, "below");
  CHECK(python_model(command_line).folder == "below");
}

TEST_CASE("the arguments of a factory keep their types") {
  const auto spec = config::load_text(
      "members: [{name: a, model: {kind: python, factory: 'm:make', arguments: "
      "{i: -3, big: 18446744073709551615, f: 2.5, e: 1e-7, t: true, n: null, q: '3', w: no, l: [1, {x: y}], d: {}}}}]",
      "e.yaml");
  const std::string json = python_model(spec).arguments.json;
  CHECK(json == R"({"i":-3,"big":18446744073709551615,"f":2.5E0,"e":1E-7,"t":true,"n":null,"q":"3","w":"no",)"
                R"("l":[1,{"x":"y"}],"d":{}})");
  CHECK(python_model(config::load_text(spec.effective_yaml, "e.yaml")).arguments.json == json);
  CHECK(python_problem("kind: python, factory: 'm:make', arguments: {x: .nan}") ==
        "'arguments' cannot hold .nan; write it in quotes, and convert it in the factory");
}

TEST_CASE("a factory is a module or a file and the name of a function") {
  for (const char* right : {"m:make", "a.b.c:make", "m:_x1", "nets/a b.py:make", "/abs/x.py:f", "x.py:f"}) {
    CAPTURE(right);
    CHECK(problem("members: [{name: a, model: {kind: python, factory: '" + std::string(right) + "'}}]").empty());
  }
  for (const char* wrong : {"m", ":make", "m:", "m:1x", "a..b:f", "a/b:f", "m:f()", "a b:f", "m.:f"}) {
    CAPTURE(wrong);
    CHECK(contains(python_problem("kind: python, factory: '" + std::string(wrong) + "'"),
                   "'factory' must be a module or a file, ':' and a function, such as my_models:make"));
  }
}

TEST_CASE("a Python member shares a worker only with members of the same interpreter") {
  const auto said = [](const std::string& first, const std::string& second) {
    return problem("members: [{name: a, model: {kind: python, factory: 'm:f'" + first +
                   "}}, {name: b, model: " + second + "}]\nworkers: [{members: [a, b]}]");
  };
  CHECK(said("", "{kind: python, factory: 'm:f'}").empty());
  CHECK(said("", "{kind: fake}").empty());
  CHECK(contains(said("", "{kind: python, factory: 'm:f', python: p}"),
                 "members 'a' and 'b' cannot share a worker: their 'python' differs"));
  CHECK(said(", folder: nets", "{kind: python, factory: 'm:f', folder: ./nets/}").empty());
  CHECK(contains(said(", folder: a", "{kind: python, factory: 'm:f', folder: b}"),
                 "cannot share a worker: their modules are looked for in different folders ('"));
  CHECK(said(", folder: nets", "{kind: python, factory: 'nets/x.py:f', folder: nets}").empty());
  CHECK(contains(said("", "{kind: python, factory: 'nets/m.py:f'}"), "in different folders ('"));
  CHECK(contains(said("", "{kind: torchscript, path: x.pt}"),
                 "one computes with Python, the other with LibTorch; give them a worker each"));
}

TEST_CASE("random members do not share a worker in threads") {
  const auto said = [](const std::string& first, const std::string& mode) {
    return problem("members: [{name: a, model: " + first + "}, {name: b, model: " + first +
                   "}]\nworkers: [{members: [a, b], mode: " + mode + "}]");
  };
  for (const char* kind : {"{kind: python, factory: 'm:f'", "{kind: torchscript, path: x.pt"}) {
    CAPTURE(kind);
    const std::string model = kind;
    CHECK(said(model + "}", "threads").empty());
    CHECK(said(model + ", random: true}", "loop").empty());
    CHECK(contains(said(model + ", random: true}", "threads"),
                   "member 'a' is random, and cannot share a worker in threads: the others would draw from its random "
                   "numbers, and no run would repeat; use 'mode: loop'"));
  }
}

TEST_CASE("numbers in the arguments of a factory keep every digit") {
  const auto spec = config::load_text(
      "members: [{name: a, model: {kind: python, factory: 'm:f', arguments: {a: 0.48785665652414756, "
      "t: 'a \"1\" 2', b: [-3, 1.7976931348623157e308], '4': 5}}}]",
      "e.yaml");
  const std::string json = python_model(spec).arguments.json;
  CHECK(json == R"({"a":4.8785665652414756E-1,"t":"a \"1\" 2","b":[-3,1.7976931348623157E308],"4":5})");
  CHECK(python_model(config::load_text(spec.effective_yaml, "e.yaml")).arguments.json == json);
}

}  // namespace
}  // namespace tutti::test
