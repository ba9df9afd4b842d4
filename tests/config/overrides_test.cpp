// `key=value` on the command line.
#include "config/overrides.hpp"

#include <doctest/doctest.h>

#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

const std::string kFile =
    "members: [{name: a, model: {kind: fake}}, {name: b.c, model: {kind: mlp, layers: [4, 10]}}]\n"
    "assignment: {a: cpu, b.c: cpu}\n"
    "segment_images: 7\n";

config::EnsembleSpec load_with(std::vector<std::string> assignments) {
  return config::load_text(kFile, "e.yaml", {std::move(assignments), {}});
}

std::string wrong_overrides(const std::string& argument) { return problem(kFile, {{argument}, {}}); }

/// The violation is reported at this argument.
std::string at(const std::string& argument, const std::string& text) {
  return "command line: '" + argument + "': " + text;
}

TEST_CASE("an override replaces a value of the file") {
  CHECK(load_with({}).segment_images == 7);
  CHECK(load_with({"segment_images=100"}).segment_images == 100);
  CHECK(load_with({"segment_images=100", "segment_images=200"}).segment_images == 200);
  CHECK(load_with({"segment_images=null"}).segment_images == config::EnsembleSpec().segment_images);
}

TEST_CASE("an override sets a key that the file does not have") {
  CHECK(load_with({"input.dataset=digits", "input.limit=100"}).input.limit == 100U);
  CHECK(load_with({"combine.rule=vote"}).combine.rule == CombineRule::vote);
  CHECK(load_with({"output=runs/x=y"}).output == "runs/x=y");
}

TEST_CASE("an override reaches into lists by index") {
  CHECK(load_with({"members.0.weight=2"}).members[0].weight == 2.0);
  CHECK(std::get<MlpModel>(load_with({"members.1.model.layers.0=9"}).members[1].model.kind).layers[0] == 9);
  CHECK(load_with({"members.1.name=z", "assignment={a: cpu, z: cpu:1}"}).members[1].name == "z");
}

TEST_CASE("the value of an override is YAML") {
  CHECK(load_with({"input={dataset: random, count: 5}"}).input.count == 5);
  CHECK(load_with({"input.shape=[1, 2, 3]"}).input.shape == ImageShape{1, 2, 3});
  CHECK(load_with({"save_members=true"}).save_members);
  CHECK(config::to_text(load_with({"assignment.a=cpu:0-3,8"}).members[0].device) == "cpu:0-3,8");
}

TEST_CASE("an existing key with dots is found as a whole") {
  CHECK(config::to_text(load_with({"assignment.b.c=cpu:3"}).members[1].device) == "cpu:3");
}

TEST_CASE("an unknown key of an override is reported with the argument") {
  CHECK(wrong_overrides("segmnt_images=3") ==
        at("segmnt_images=3", "unknown key 'segmnt_images'; did you mean 'segment_images'?"));
  CHECK(wrong_overrides("members.0.weigth=3") ==
        at("members.0.weigth=3", "unknown key 'weigth'; did you mean 'weight'?"));
}

TEST_CASE("a wrong value of an override is reported with the argument") {
  CHECK(wrong_overrides("slots=many") == at("slots=many", "'slots' must be a whole number of at least 1, not 'many'"));
  CHECK(wrong_overrides("input={dataset: digits, limit: x}") ==
        at("input={dataset: digits, limit: x}", "'limit' must be a whole number of at least 0, not 'x'"));
  CHECK(wrong_overrides("slots=[1").starts_with(at("slots=[1", "this is not YAML: ")));
  CHECK(wrong_overrides("slots=") == at("slots=", "the value is empty; write slots=VALUE, or null for the default"));
  CHECK(wrong_overrides("combine={rule: max, rule: sum}") ==
        at("combine={rule: max, rule: sum}", "duplicate key 'rule'; it is already given in line 1"));
}

TEST_CASE("a key with its value in it is reported with the blank that is missing") {
  CHECK(wrong_overrides("combine={rule:vote}") ==
        at("combine={rule:vote}", "unknown key 'rule:vote'; write a blank after the colon: rule: vote"));
  CHECK(wrong_overrides("combine={a:b: 3}") == at("combine={a:b: 3}", "unknown key 'a:b'"));
}

TEST_CASE("a rule of the command line is blamed on its argument and not on a line of the file") {
  const std::string file = kFile + "combine: {rule: mean, over: logits}\n";
  const std::string wrong = "rule geometric_mean is defined over probabilities only; logits may be negative";
  CHECK(problem(file, {{"combine.rule=geometric_mean"}, {}}) == at("combine.rule=geometric_mean", wrong));
  CHECK(problem(kFile + "combine: {rule: geometric_mean, over: logits}\n") == "e.yaml:4:10: " + wrong);
}

TEST_CASE("an argument that is not an override is refused with what to write") {
  CHECK(wrong_overrides("slots") == at("slots", "write key=value, for example segment_images=100"));
  CHECK(wrong_overrides("=3") == at("=3", "the key is empty; write key=value, for example segment_images=100"));
  CHECK(wrong_overrides("input..limit=3") ==
        at("input..limit=3", "'input..limit' has an empty key; write a.b.c=VALUE"));
  CHECK(wrong_overrides("combine.=3") == at("combine.=3", "'combine.' has an empty key; write a.b.c=VALUE"));
}

TEST_CASE("a path that crosses a scalar is refused") {
  CHECK(wrong_overrides("segment_images.x=3") ==
        at("segment_images.x=3", "'segment_images' is '7', not a map; write segment_images=VALUE to replace it"));
}

TEST_CASE("an index outside of a list is refused") {
  CHECK(wrong_overrides("members.2.weight=3") ==
        at("members.2.weight=3", "'members' is a list; write an index from 0 to 1 after it, not '2'"));
  CHECK(wrong_overrides("members.a.weight=3") ==
        at("members.a.weight=3", "'members' is a list; write an index from 0 to 1 after it, not 'a'"));
  CHECK(wrong_overrides("members.-1.weight=3") ==
        at("members.-1.weight=3", "'members' is a list; write an index from 0 to 1 after it, not '-1'"));
  const auto lines = problems(kFile, {{"members=[]", "members.0=3"}, {}});
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == at("members.0=3", "'members' is an empty list; it has no item '0'"));
  CHECK(lines[1] == at("members=[]", "'members' must be a list of 1 to 1024 members, not one of 0"));
}

TEST_CASE("an include comes too late on the command line") {
  CHECK(wrong_overrides("include=x.yaml") == at("include=x.yaml", "'include' can only be written in a file"));
  CHECK(wrong_overrides("include.0=x.yaml") == at("include.0=x.yaml", "'include' can only be written in a file"));
}

}  // namespace
}  // namespace tutti::test
