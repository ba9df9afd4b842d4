// `workers`: which members share one, where it runs, and what is refused.
#include <doctest/doctest.h>

#include "config/candidates.hpp"
#include "config/load.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

/// A description of four members with these lines.
std::string with(const std::string& lines) {
  return "members:\n"
         "  - {name: a, model: {kind: small-cnn}}\n"
         "  - {name: b, model: {kind: small-cnn}}\n"
         "  - {name: c, model: {kind: mlp, layers: [10]}}\n"
         "  - {name: d, model: {kind: onnx, path: d.onnx}}\n" +
         lines;
}

config::EnsembleSpec load(const std::string& lines) { return config::load_text(with(lines), "e.yaml", {{}, {}}, {}); }

std::string problem(const std::string& lines, const std::vector<std::string>& devices = {}) {
  const auto error = error_of([&] { config::load_text(with(lines), "e.yaml", {{}, devices}, {}); });
  return error ? error->detail().empty() ? error->message() : error->detail() : "nothing";
}

TEST_CASE("members that are named together share a worker and take its device") {
  const auto spec =
      load("assignment: cpu\nworkers: [{members: [c, a], device: cpu:0, mode: threads}, {members: [d]}]\n");
  CHECK(spec.workers == std::vector<config::UnitSpec>{{{0, 2}, UnitMode::threads}, {{3}, UnitMode::loop}});
  CHECK(config::to_text(spec.members[0].device) == "cpu:0");
  CHECK(config::to_text(spec.members[1].device) == "cpu");
  CHECK(config::to_text(spec.members[2].device) == "cpu:0");
}

TEST_CASE("what the description in effect says of workers is read back as the same") {
  const auto spec = load("assignment: cpu\nworkers: [{members: [a, b], device: cpu:1}]\n");
  const auto again = config::load_text(spec.effective_yaml, "effective", {{}, {}}, {});
  CHECK(again.workers == spec.workers);
  CHECK(again.members == spec.members);
}

TEST_CASE("with mode auto the modes are those that the members can have") {
  using Modes = std::vector<UnitMode>;
  const auto spec = load(
      "assignment: cpu\nworkers: [{members: [a, b], mode: auto}, {members: [c], mode: auto}, {members: [d], mode: "
      "loop}]\n");
  CHECK(spec.workers[0].modes == Modes{UnitMode::loop, UnitMode::threads, UnitMode::fused});
  CHECK(spec.workers[0].mode == UnitMode::loop);
  CHECK(spec.workers[1].modes.empty());  // one member has nothing to choose
  CHECK(spec.workers[2].modes.empty());
  CHECK(load("assignment: cpu\nworkers: [{members: [a, c], mode: auto}]\n").workers[0].modes ==
        Modes{UnitMode::loop, UnitMode::threads});
  CHECK(config::leaves_choice(spec));
  const auto again = config::load_text(spec.effective_yaml, "effective", {{}, {}}, {});
  CHECK(again.workers == spec.workers);
  CHECK(spec.effective_yaml.find("mode: auto") != std::string::npos);
  const auto random = config::load_text(
      "members: [{name: a, model: {kind: torchscript, path: a.pt, random: true}}, {name: b, model: {kind: fake}}]\n"
      "assignment: cpu\nworkers: [{members: [a, b], mode: auto}]\n",
      "e.yaml", {{}, {}}, {});
  CHECK(random.workers[0].modes.empty());  // a loop is what they can have
}

TEST_CASE("an assignment needs no device for members that a worker's device places") {
  const auto spec = load("assignment: {c: cpu:1, d: cpu:1}\nworkers: [{members: [a, b], device: cpu:0}]\n");
  CHECK(config::to_text(spec.members[1].device) == "cpu:0");
  CHECK(config::to_text(spec.members[3].device) == "cpu:1");
}

TEST_CASE("workers that make no sense are refused with their position") {
  CHECK(problem("workers: {members: [a, b]}\n") ==
        "e.yaml:6:10: 'workers' must be a list such as [{members: [cnn-0, cnn-1], device: cpu:0}], not a map");
  CHECK(
      problem("workers: [{device: cpu:0}]\n") ==
      "e.yaml:6:11: an entry of 'workers' needs 'members', the members that share the worker, such as [cnn-0, cnn-1]");
  CHECK(problem("workers: [{members: []}]\n") ==
        "e.yaml:6:21: 'members' must be a list of members such as [cnn-0, cnn-1], not an empty one");
  CHECK(problem("workers: [{members: [a, e]}]\n") == "e.yaml:6:25: 'members' names 'e', but no member has that name");
  CHECK(problem("workers: [{members: [a, b]}, {members: [b, c]}]\n") ==
        "e.yaml:6:30: 'workers' names member 'b' twice; it runs in one of them");
  CHECK(problem("workers: [{members: [a, b], mode: fast}]\n") ==
        "e.yaml:6:35: 'mode' must be loop, threads, fused or auto, not 'fast'");
  CHECK(problem("workers: [{members: [a, b], devise: cpu}]\n").find("did you mean 'device'?") != std::string::npos);
  CHECK(problem("workers: [{members: [a, b], device: tpu}]\n") != "nothing");
}

TEST_CASE("a unit may have several workers on one device or on several") {
  const auto spec = load(
      "assignment: cpu\nworkers: [{members: [a], replicas: 3}, {members: [b, c], replicas: {'cpu:0': 1, 'cpu:1': "
      "2}}]\n");
  CHECK(spec.workers[0].replicas == 3);
  CHECK(spec.workers[0].devices.empty());
  CHECK(spec.workers[1].replicas == 3);
  REQUIRE(spec.workers[1].devices.size() == 3);
  CHECK(config::to_text(spec.workers[1].devices[0]) == "cpu:0");
  CHECK(config::to_text(spec.workers[1].devices[2]) == "cpu:1");
  CHECK(config::to_text(spec.members[1].device) == "cpu:0");
  const auto again = config::load_text(spec.effective_yaml, "effective", {{}, {}}, {});
  CHECK(again.workers == spec.workers);
  CHECK(again.slots == spec.slots);
}

TEST_CASE("there are slots for all replicas unless the description says how many") {
  CHECK(load("assignment: cpu\nworkers: [{members: [a], replicas: 3}]\n").slots == 8);
  CHECK(load("assignment: cpu\nworkers: [{members: [a]}]\n").slots == 4);
  CHECK(load("assignment: cpu\nslots: 2\nworkers: [{members: [a], replicas: 3}]\n").slots == 2);
}

TEST_CASE("replicas on different kinds of devices must be wanted") {
  const std::string lines = "assignment: cpu\nworkers: [{members: [a], replicas: {'cpu:0': 1, 'cuda:0': 2}";
  CHECK(problem(lines + "}]\n") ==
        "e.yaml:7:36: replicas on cpu:0 and on cuda:0 compute different last bits, so the result would depend on which "
        "is faster; use devices of one kind, or accept that with 'same_bits: off'");
  const auto spec = load(lines + ", same_bits: off}]\n");
  CHECK_FALSE(spec.workers[0].same_bits);
  CHECK(config::load_text(spec.effective_yaml, "effective", {{}, {}}, {}).workers == spec.workers);
}

TEST_CASE("replicas that make no sense are refused with their position") {
  CHECK(problem("workers: [{members: [a], replicas: 0}]\n") ==
        "e.yaml:6:36: 'replicas' must be a whole number of at least 1, not '0'");
  CHECK(problem("workers: [{members: [a], replicas: many}]\n").find("'replicas' must be a whole number") !=
        std::string::npos);
  CHECK(problem("workers: [{members: [a], replicas: {}}]\n") ==
        "e.yaml:6:36: 'replicas' names 0 workers; a unit has 1 to 64");
  CHECK(problem("workers: [{members: [a], replicas: {'cpu:0': 40, 'cpu:1': 40}}]\n") ==
        "e.yaml:6:36: 'replicas' names 80 workers; a unit has 1 to 64");
  CHECK(problem("workers: [{members: [a], replicas: {'cpu:0': none}}]\n")
            .find("the number of replicas on 'cpu:0' must") != std::string::npos);
  CHECK(problem("workers: [{members: [a], replicas: {tpu: 1}}]\n") ==
        "e.yaml:6:37: 'tpu' cannot be used: LibTorch has no such device; use cpu or cuda");
  CHECK(problem("workers: [{members: [a], device: cpu, replicas: {'cpu:0': 1}}]\n") ==
        "e.yaml:6:26: 'replicas' names the devices here, so 'device' would say it twice");
  CHECK(problem("workers: [{members: [a], replicas: {'cpu:0-1': 1, 'cpu:0,1': 1}}]\n") ==
        "e.yaml:6:51: 'replicas' names the device cpu:0-1 twice");
  CHECK(problem("workers: [{members: [a], replicas: {'cpu:0': 1, 'cpu:1': 1}, same_bits: off}]\n") ==
        "e.yaml:6:73: 'same_bits: off' is for replicas on different kinds of devices; these compute the same bits");
  CHECK(problem("workers: [{members: [a], replicas: 2, same_bits: off}]\n") ==
        "e.yaml:6:39: 'same_bits' belongs to 'replicas' on several devices, such as {cpu:0: 1, cuda:0: 1}");
}

TEST_CASE("a worker runs on one device") {
  CHECK(problem("assignment: [cpu:0, cpu:1, cpu, cpu]\nworkers: [{members: [a, b]}]\n") ==
        "e.yaml:7:11: members 'a' and 'b' share a worker, but one is assigned cpu:0 and the other cpu:1; give both the "
        "same device, or say 'device' here");
  CHECK(problem("assignment: {a: cpu:1, b: cpu:0, c: cpu, d: cpu}\nworkers: [{members: [a, b], device: cpu:0}]\n") ==
        "e.yaml:6:13: member 'a' is assigned cpu:1, but its worker runs on cpu:0 ('workers'); say it once");
  CHECK(
      problem("workers: [{members: [a, b], device: cpu:0}]\n", {"b=cpu:1"}) ==
      "command line: '--assign': member 'b' is assigned cpu:1, but its worker runs on cpu:0 ('workers'); say it once");
}

TEST_CASE("members that compute with different libraries cannot share a worker") {
  CHECK(problem("workers: [{members: [a, d]}]\n") ==
        "e.yaml:6:11: members 'a' and 'd' cannot share a worker: one computes with LibTorch, the other with ONNX "
        "Runtime; give them a worker each");
}

TEST_CASE("members whose library is chosen share a worker only if they have the same forms") {
  const auto with = [](const std::string& a, const std::string& b) {
    const std::string yaml = "members:\n  - {name: a, model: " + a + "}\n  - {name: b, model: " + b +
                             "}\nassignment: cpu\ninput: {dataset: random, count: 5, shape: [1, 4, 4]}\n"
                             "workers: [{members: [a, b]}]\n";
    const auto error = error_of([&] { config::load_text(yaml, "e.yaml", {{}, {}}, {}); });
    return error ? error->message() : std::string("nothing");
  };
  const std::string open = "{kind: mlp, layers: [4], backend: auto}";
  const std::string no =
      "e.yaml:6:11: members 'a' and 'b' cannot share a worker: the library of 'a' is chosen at the start ('auto'), "
      "and 'b' does not have the same forms to choose from; give them a worker each, or name a form of each";
  CHECK(with(open, open) == "nothing");
  CHECK(with(open, "{kind: mlp, layers: [4]}") == no);
  CHECK(with(open, "{kind: mlp, layers: [8, 4], backend: auto}") == no);
  // All of these compute with LibTorch.
  CHECK(with("{kind: auto, files: [a.pt]}", "{kind: auto, files: [b.pt, b.pt2]}") == "nothing");
}

TEST_CASE("a tower is not fused, whichever library computes it") {
  for (const char* const backend : {"torch", "openvino", "auto"}) {
    const std::string model = std::string("{kind: clip-vit, path: t, backend: ") + backend + "}";
    const std::string yaml = "members:\n  - {name: a, model: " + model +
                             ", output: features}\n  - {name: b, model: " + model +
                             ", output: features}\nassignment: cpu\ncombine: {over: features}\n"
                             "input: {dataset: random, count: 5, shape: [3, 4, 4]}\n"
                             "workers: [{members: [a, b], mode: fused}]\n";
    const auto error = error_of([&] { config::load_text(yaml, "e.yaml", {{}, {}}, {}); });
    REQUIRE(error);
    CHECK(contains(error->message(), "member 'a' cannot be fused: only members of the kind small-cnn or mlp can"));
  }
}

TEST_CASE("only equal networks over the same samples are fused") {
  CHECK(problem("workers: [{members: [a, b], mode: fused}]\n") == "nothing");
  CHECK(problem("workers: [{members: [a, c], mode: fused}]\n") ==
        "e.yaml:6:11: members 'a' and 'c' cannot be fused: they are different networks; use 'mode: loop' or 'mode: "
        "threads'");
  CHECK(problem("workers: [{members: [d], mode: fused}]\n") ==
        "e.yaml:6:11: member 'd' cannot be fused: only members of the kind small-cnn or mlp can; use 'mode: loop' or "
        "'mode: threads'");
}

}  // namespace
}  // namespace tutti::test
