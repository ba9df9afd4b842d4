// `assignment:` in all its forms, and --assign.
#include <doctest/doctest.h>

#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

const std::string kThree =
    "members: [{name: a, model: {kind: fake}}, {name: b, model: {kind: fake}}, {name: c.d, model: {kind: fake}}]\n";

/// The devices of three members, separated by spaces.
std::string devices(const std::string& assignment, const config::Overrides& overrides = {}) {
  std::string text;
  for (const auto& member : config::load_text(kThree + assignment, "e.yaml", overrides).members)
    text += (text.empty() ? "" : " ") + config::to_text(member.device);
  return text;
}

std::string wrong_assignment(const std::string& assignment, const config::Overrides& overrides = {}) {
  return problem(kThree + assignment, overrides);
}

TEST_CASE("an absent or null assignment lets each member choose") {
  CHECK(devices("") == "null null null");
  CHECK(devices("assignment: null") == "null null null");
  CHECK(devices("assignment: auto") == "null null null");
}

TEST_CASE("one device applies to all members") {
  CHECK(devices("assignment: cpu") == "cpu cpu cpu");
  CHECK(devices("assignment: cpu:0-1,3") == "cpu:0-1,3 cpu:0-1,3 cpu:0-1,3");
  CHECK(devices("assignment: -1") == "cpu cpu cpu");
  CHECK(devices("assignment: 1") == "cuda:1 cuda:1 cuda:1");
}

TEST_CASE("a map by name gives each member its device") {
  CHECK(devices("assignment: {a: cpu:0, b: cuda:1, c.d: null}") == "cpu:0 cuda:1 null");
  CHECK(devices("assignment:\n  c.d: cpu:0,8\n  b: {cpu: [0, 1, 8]}\n  a: 'cpu:0-3,8'\n") ==
        "cpu:0-3,8 cpu:0-1,8 cpu:0,8");
  CHECK(devices("assignment: {a: {cpu: 0-3}, b: {cuda: 1}, c.d: {cuda: MIG-1a}}") == "cpu:0-3 cuda:1 cuda:MIG-1a");
  CHECK(devices("assignment: {a: {cpu: [0-3, 8]}, b: -1, c.d: auto}") == "cpu:0-3,8 cpu null");
}

TEST_CASE("a map by rank gives each member its device") {
  CHECK(devices("assignment: {0: cuda:0, 1: 1, 2: -1}") == "cuda:0 cuda:1 cpu");
  CHECK(devices("assignment: {0: cpu:0, 1: null, 2: ~}") == "cpu:0 null null");
}

TEST_CASE("a list gives each member its device") {
  CHECK(devices("assignment: [0, -1, 1]") == "cuda:0 cpu cuda:1");
  CHECK(devices("assignment: [cpu:0, null, {cpu: [0, 8]}]") == "cpu:0 null cpu:0,8");
}

TEST_CASE("a device map is an assignment by another name at the top and next to the rule") {
  CHECK(devices("device_map: {0: cuda:0, 1: cuda:1, 2: cpu}") == "cuda:0 cuda:1 cpu");
  CHECK(devices("combine: {rule: max, device_map: {0: cuda:0, 1: 1, 2: -1}}") == "cuda:0 cuda:1 cpu");
  CHECK(devices("combine: {device_map: null}") == "null null null");
  CHECK(devices("device_map: null\nassignment: cpu") == "cpu cpu cpu");
  CHECK(devices("device_map: {0: cpu, 1: cpu, 2: cpu}", {{}, {"a=cpu:1"}}) == "cpu:1 cpu cpu");
}

TEST_CASE("a device map that lacks a member or comes with an assignment is an error") {
  CHECK(wrong_assignment("device_map: {0: cpu, 1: cpu}") ==
        "e.yaml:2:13: 'device_map' has no device for member 'c.d'; add c.d: cpu, another device, or null for the first "
        "usable one");
  CHECK(wrong_assignment("combine: {device_map: {0: cpu, 1: cpu, 2: cpu, 3: cpu}}") ==
        "e.yaml:2:48: 'device_map' names member 3, but the last member is 2");
  CHECK(wrong_assignment("assignment: cpu\ndevice_map: cpu") ==
        "e.yaml:3:13: 'device_map' is another word for 'assignment'; 'assignment' is already given");
  CHECK(wrong_assignment("device_map: cpu\ncombine: {device_map: cpu}") ==
        "e.yaml:3:23: 'device_map' is another word for 'assignment'; a 'device_map' is already given");
  CHECK(wrong_assignment("combine: {device_map:}") ==
        "e.yaml:2:11: 'device_map' has no value; write one, or null for the default");
}

TEST_CASE("a member without a device is an error that names it") {
  CHECK(wrong_assignment("assignment: {a: cpu, b: cpu}") ==
        "e.yaml:2:13: 'assignment' has no device for member 'c.d'; add c.d: cpu, another device, or null for the first "
        "usable one");
  CHECK(problems(kThree + "assignment: {}").size() == 3);
}

TEST_CASE("a device for an unknown member is an error with the nearest member") {
  CHECK(problem("members: [{name: cnn-0, model: {kind: fake}}]\nassignment: {cnn-0: cpu, cnn-O: cpu}") ==
        "e.yaml:2:26: 'assignment' names 'cnn-O', which is not a member; did you mean 'cnn-0'?");
  CHECK(wrong_assignment("assignment: {0: cpu, 1: cpu, 2: cpu, 3: cpu}") ==
        "e.yaml:2:38: 'assignment' names member 3, but the last member is 2");
}

TEST_CASE("a member that is named by name and by rank is an error") {
  CHECK(wrong_assignment("assignment: {0: cpu, b: cpu, c.d: cpu, a: cpu:1}") ==
        "e.yaml:2:40: 'assignment' names member 'a' twice, by name and by rank");
}

TEST_CASE("a list of another length than the members is an error") {
  CHECK(wrong_assignment("assignment: [0, 1]") ==
        "e.yaml:2:13: 'assignment' lists 2 devices for 3 members; it must list one for each");
  CHECK(wrong_assignment("assignment: [cpu:0-3,8, cpu, cpu]") ==
        "e.yaml:2:13: 'assignment' lists 4 devices for 3 members; it must list one for each; the comma ends 'cpu:0-3' "
        "inside brackets; quote it: \"cpu:0-3,8\", or write {cpu: [0-3,8]}");
}

TEST_CASE("an unquoted comma in a map in braces is explained") {
  CHECK(wrong_assignment("assignment: {a: cpu:0-3,8, b: cpu, c.d: cpu}") ==
        "e.yaml:2:17: the comma ends 'cpu:0-3' inside brackets; quote it: \"cpu:0-3,8\", or write {cpu: [0-3,8]}");
  CHECK(wrong_assignment("assignment: {a: cpu, b: cpu, c.d: cpu:0,2-3,8}") ==
        "e.yaml:2:35: the comma ends 'cpu:0' inside brackets; quote it: \"cpu:0,2-3,8\", or write {cpu: [0,2-3,8]}");
}

TEST_CASE("a device that is wrong is refused at its position") {
  CHECK(wrong_assignment("assignment: {a: cpu, b: tpu, c.d: cpu}") ==
        "e.yaml:2:25: 'tpu' cannot be used: LibTorch has no such device; use cpu or cuda");
  CHECK(wrong_assignment("assignment: tpu") ==
        "e.yaml:2:13: 'tpu' cannot be used: LibTorch has no such device; use cpu or cuda");
  CHECK(wrong_assignment("assignment: [cpu, cpu, gpu]").starts_with("e.yaml:2:24: unknown device 'gpu'"));
  const std::string shape = "a device is written as cpu:0-3, cuda:1, a number, null or {cpu: [0, 1]}, not as ";
  CHECK(wrong_assignment("assignment: [cpu, cpu, [0, 1]]") == "e.yaml:2:24: " + shape + "a list");
  CHECK(wrong_assignment("assignment: {a: cpu, b: {cpu: 0, x: 1}, c.d: cpu}") == "e.yaml:2:25: " + shape + "a map");
  CHECK(wrong_assignment("assignment: {a: cpu, b: {cpu: [[1]]}, c.d: cpu}") == "e.yaml:2:25: " + shape + "a map");
  CHECK(wrong_assignment("assignment:\n  a: cpu\n  b:\n  c.d: cpu\n") == "e.yaml:4:3: " + shape + "nothing");
}

TEST_CASE("an assignment without a value is refused") {
  CHECK(wrong_assignment("assignment:\n") ==
        "e.yaml:2:1: 'assignment' has no value; write one, or null for the default");
}

TEST_CASE("the command line overrides devices") {
  CHECK(devices("assignment: cpu", {{}, {"b=cuda:1"}}) == "cpu cuda:1 cpu");
  CHECK(devices("assignment: cpu", {{}, {"a=cpu:0,8,c.d=cpu:1", "1=0"}}) == "cpu:0,8 cuda:0 cpu:1");
  CHECK(devices("", {{}, {"a=cpu"}}) == "cpu null null");
  CHECK(devices("assignment: cpu", {{}, {"a=null"}}) == "null cpu cpu");
}

TEST_CASE("only members that remain without a device are errors") {
  CHECK(devices("assignment: {a: cpu}", {{}, {"b=cpu:0,c.d=cpu:1"}}) == "cpu cpu:0 cpu:1");
  CHECK(devices("assignment: {}", {{}, {"a=cpu,b=cpu", "c.d=-1"}}) == "cpu cpu cpu");
}

TEST_CASE("a mistake in a device on the command line is reported with the option") {
  const auto assign = [](const char* option) { return wrong_assignment("assignment: cpu", {{}, {option}}); };
  CHECK(assign("a") == "command line: '--assign a': write a member and its device: --assign cnn-0=cpu:1");
  CHECK(assign("=cpu") == "command line: '--assign =cpu': write a member and its device: --assign cnn-0=cpu:1");
  CHECK(assign("a=") == "command line: '--assign a=': write a member and its device: --assign cnn-0=cpu:1");
  CHECK(assign("c.e=cpu") ==
        "command line: '--assign c.e=cpu': --assign names 'c.e', which is not a member; did you mean 'c.d'?");
  CHECK(assign("7=cpu") == "command line: '--assign 7=cpu': --assign names member 7, but the last member is 2");
  CHECK(assign("a=tpu") ==
        "command line: '--assign a=tpu': 'tpu' cannot be used: LibTorch has no such device; use cpu or cuda");
  CHECK(assign("a=cpu,b=cpu,a=cpu:1") == "command line: '--assign a=cpu:1': --assign names member 'a' twice");
  CHECK(wrong_assignment("", {{}, {"a=cpu", "0=cpu:1"}}) ==
        "command line: '--assign 0=cpu:1': --assign names member 'a' twice");
}

}  // namespace
}  // namespace tutti::test
