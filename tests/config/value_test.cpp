// Descriptions that a program builds or changes: they pass the checks of YAML, and say the same.
#include "config/value.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>

#include "config/load.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/common/wire/every_model.hpp"
#include "tests/config/problems.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

using config::checked_value;
namespace fs = std::filesystem;

/// A member of kind `fake`.
MemberSpec fake(const std::string& name) {
  return {.name = name, .model = {.kind = FakeModel{}}, .device = CpuDevice{}};
}

EnsembleSpec two_fakes() {
  EnsembleSpec value;
  value.members = {fake("a"), fake("b")};
  return value;
}

/// The violations of two fake members after a change.
template <class Change>
std::string mistakes(Change&& change) {
  EnsembleSpec value = two_fakes();
  change(value);
  std::string lines;
  for (const std::string& line : problems_of([&] { checked_value(value); })) lines += line + "\n";
  return lines;
}

TEST_CASE("every example is the same as a value and as YAML") {
  std::size_t found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(test::in_sources("config"))) {
    if (entry.path().extension() != ".yaml") continue;
    CAPTURE(entry.path().filename().string());
    const EnsembleSpec read = config::load_file(entry.path());
    CHECK(checked_value(read) == read);
    CHECK(config::load_text(checked_value(read).effective_yaml, "the value") == read);
    ++found;
  }
  CHECK(found > 15);
}

TEST_CASE("a model of every kind is the same as a value and as YAML") {
  const TemporaryFolder folder;
  Change change(folder.path());
  for (const ModelKind& kind : every_model(change)) {
    CAPTURE(kind_name(kind));
    EnsembleSpec value;
    value.members = {{.name = "a", .model = {.kind = kind}, .device = CpuDevice{{1, 3}}}};
    if (const auto output = facts_of(kind).output) value.members[0].output = output->kind;
    value.input.shape = facts_of(kind).images.value_or(ImageShape{3, 8, 8});
    if (is_saved(facts_of(kind))) {
      value.input = {};
      value.input.dataset = Dataset::digits;
    }
    const EnsembleSpec checked = checked_value(value);
    CHECK(checked.members[0].model == value.members[0].model);
    CHECK(checked.members[0].device == value.members[0].device);
    CHECK(config::load_text(checked.effective_yaml, "the value") == checked);
  }
}

TEST_CASE("a description from scratch says what its YAML would say") {
  EnsembleSpec value = two_fakes();
  value.members[1].weight = 0.25;
  value.members[1].seed = 1;
  value.combine.rule = CombineRule::weighted;
  value.input.shape = {1, 4, 4};
  value.workers = {{.members = {0, 1}, .mode = UnitMode::threads}};
  value.failure.restart_limit = std::nullopt;
  value.segment_images = 20;
  value.failure.kill_deadline = 3;
  EnsembleSpec wanted = config::load_text(R"(
members:
  - {name: a, model: {kind: fake}}
  - {name: b, model: {kind: fake}, weight: 0.25}
assignment: cpu
combine: {rule: weighted}
input: {shape: [1, 4, 4]}
workers: [{members: [a, b], mode: threads}]
restarts: {limit: off}
segment_images: 20
)",
                                          "e.yaml");
  wanted.failure.kill_deadline = 3;  // which is not a key
  CHECK(checked_value(value) == wanted);
  value = wanted;
  value.members.pop_back();
  value.workers.clear();
  CHECK(checked_value(value).effective_yaml.find("\"b\"") == std::string::npos);
}

/// One member of two stages, of which each has two replicas: the first on two devices.
EnsembleSpec with_stages() {
  EnsembleSpec value;
  value.members = {fake("m"), fake("n")};
  value.members[0].before = {{.model = {.kind = FakeModel{.classes = 3, .faults = {}}}, .device = CpuDevice{{0}}}};
  value.members[0].before[0].workers = {.replicas = 2, .devices = {CpuDevice{{0}}, CpuDevice{{1}}}};
  value.members[0].device = CpuDevice{{2}};
  value.members[0].last.replicas = 2;
  value.members[1].seed = 1;
  value.input.shape = {1, 4, 4};
  return value;
}

TEST_CASE("stages of a value say what those of YAML say") {
  const EnsembleSpec checked = checked_value(with_stages());
  const EnsembleSpec read = config::load_text(R"(
members:
  - name: m
    stages:
      - {model: {kind: fake, classes: 3}, replicas: {cpu:0: 1, cpu:1: 1}}
      - {model: {kind: fake}, device: cpu:2, replicas: 2}
  - {name: n, model: {kind: fake}}
assignment: {n: cpu}
input: {shape: [1, 4, 4]}
slots: 4
)",
                                              "e.yaml");
  CHECK(checked.members == read.members);
  CHECK(checked.members[0].before[0].workers.devices.size() == 2);
  CHECK(checked.members[0].last.replicas == 2);
  CHECK(checked_value(checked) == checked);
  CHECK(config::load_text(checked.effective_yaml, "the value") == checked);
}

TEST_CASE("a mistake in a stage of a value names its field") {
  const auto problem = [](auto&& change) {
    EnsembleSpec value = with_stages();
    change(value.members[0]);
    std::string lines;
    for (const std::string& line : problems_of([&] { checked_value(value); })) lines += line + "\n";
    return lines;
  };
  const auto field = [&](auto&& change) {
    const std::string lines = problem(change);
    CAPTURE(lines);
    CHECK(std::ranges::count(lines, '\n') == 1);
    return lines.substr(0, lines.find(": "));
  };
  const ModelKind bad = MlpModel{.layers = {0}};
  CHECK(field([&](MemberSpec& member) { member.before[0].model.kind = bad; }) ==
        "members[0].before[0].model.layers[0]");
  CHECK(field([&](MemberSpec& member) { member.model.kind = bad; }) == "members[0].model.layers[0]");
  CHECK(field([](MemberSpec& member) { member.last.replicas = 1U << 20; }) == "members[0].last.replicas");
  CHECK(field([](MemberSpec& member) { member.before[0].workers = {.replicas = 1U << 20}; }) ==
        "members[0].before[0].workers.replicas");
  CHECK(field([](MemberSpec& member) { member.device = CpuDevice{{-1}}; }) == "members[0].device");
  CHECK(field([](MemberSpec& member) {
          member.before[0].model.kind = PythonModel{.factory = "m:make", .arguments = {"{x"}};
        }) == "members[0].before[0].model.arguments");
  const std::string reason =
      ": it has a value that means nothing with the other fields, so it would not count; leave it at its default\n";
  CHECK(problem([](MemberSpec& member) { member.before[0].device = CpuDevice{{3}}; }) ==
        "members[0].before[0].device" + reason);
  CHECK(problem([](MemberSpec& member) { member.before[0].workers.mode = UnitMode::threads; }) ==
        "members[0].before[0].workers" + reason);
  CHECK(problem([](MemberSpec& member) { member.before.clear(); }) == "members[0].last" + reason);
  CHECK(problem([](MemberSpec& member) { member.train.epochs = 7; }) == "members[0].train" + reason);
}

TEST_CASE("training is on the input unless the value says otherwise") {
  EnsembleSpec value = two_fakes();
  value.input.dataset = Dataset::digits;
  CHECK(checked_value(value).train_input.dataset == Dataset::digits);
  CHECK(checked_value(value).train_input.split == Split::train);
  value.train_input = value.input;
  CHECK(checked_value(value).train_input.split == Split::test);
}

TEST_CASE("checkpoints of a value fit few slots unless the value says otherwise") {
  EnsembleSpec value = two_fakes();
  value.slots = 2;
  CHECK(checked_value(value).checkpoint_segments == 1);
  value.checkpoint_segments = 3;
  CHECK(problems_of([&] { checked_value(value); }).size() == 1);
}

TEST_CASE("a mistake in a value names its field") {
  CHECK(mistakes([](EnsembleSpec& value) { value.members[1].weight = std::numeric_limits<double>::quiet_NaN(); }) ==
        "members[1].weight: 'weight' must be a number, not 'nan'\n");
  const auto field = [](const std::string& lines) {
    CAPTURE(lines);
    CHECK(std::ranges::count(lines, '\n') == 1);
    return lines.substr(0, lines.find(": "));
  };
  CHECK(field(mistakes([](EnsembleSpec& value) { value.members[1].name = "a"; })) == "members[1]");
  CHECK(field(mistakes([](EnsembleSpec& value) { value.members[0].device = CudaDevice{}; })) == "members[0].device");
  CHECK(field(mistakes([](EnsembleSpec& value) { value.members[0].device = CpuDevice{{-1}}; })) == "members[0].device");
  CHECK(field(mistakes([](EnsembleSpec& value) { value.slots = 0; })) == "slots");
  CHECK(field(mistakes([](EnsembleSpec& value) { value.failure.restart_window = -1; })) == "failure.restart_window");
  CHECK(field(mistakes([](EnsembleSpec& value) { value.start_deadline = 0; })) == "start_deadline");
  CHECK(field(mistakes([](EnsembleSpec& value) { value.input.preprocess.std = {0}; })) == "input.preprocess.std[0]");
  CHECK(field(mistakes([](EnsembleSpec& value) { value.combine.rule = static_cast<CombineRule>(77); })) ==
        "combine.rule");
  CHECK(field(mistakes([](EnsembleSpec& value) {
          value.members[0].model.kind = MlpModel{.layers = {0}};
          value.members[0].model.weights = "w.safetensors";
        })) == "members[0].model.layers[0]");
  CHECK(field(mistakes([](EnsembleSpec& value) { value.members.clear(); })) == "members");
  CHECK(field(mistakes([](EnsembleSpec& value) {
          value.train_input = value.input;
          value.train_input.shape.height = 0;
        })) == "train_input.shape[1]");
}

TEST_CASE("all mistakes of a value are said at once") {
  const std::string lines = mistakes([](EnsembleSpec& value) {
    value.slots = 0;
    value.members[0].name = "a/b";
    value.threads = 1U << 20;
  });
  CHECK(std::ranges::count(lines, '\n') == 3);
}

TEST_CASE("a rank that is none, or arguments that are no JSON, are mistakes of the value") {
  CHECK(mistakes([](EnsembleSpec& value) {
          value.workers = {{.members = {0, 2}}};
          value.cascade = {{.after = {0}, .when = Doubt::margin_below, .threshold = 0.1, .then = {9}}};
          value.merge = MergeSpec{.over = {0, 5}};
        }) ==
        "workers[0].members[1]: there is no member 2; the ensemble has 2\n"
        "cascade[0].then[0]: there is no member 9; the ensemble has 2\n"
        "merge.over[1]: there is no member 5; the ensemble has 2\n");
  const std::string arguments = mistakes(
      [](EnsembleSpec& value) { value.members[0].model.kind = PythonModel{.factory = "m:make", .arguments = {"{x"}}; });
  CHECK(std::ranges::count(arguments, '\n') == 1);
  CHECK(arguments.starts_with("members[0].model.arguments: it is not a JSON object"));
}

TEST_CASE("the arguments of a factory may be written as any JSON, and what is none is a mistake") {
  const auto arguments_of = [](const std::string& json) {
    EnsembleSpec value = two_fakes();
    value.members[0].model.kind = PythonModel{.factory = "m:make", .arguments = {json}};
    return std::get<PythonModel>(checked_value(value).members[0].model.kind).arguments.json;
  };
  CHECK(arguments_of("{ \"b\": [1, 2.50], \"a\": \"\\u0041\" }") == "{\"b\":[1,2.5E0],\"a\":\"A\"}");
  CHECK(arguments_of(arguments_of("{\"x\" :1e3}")) == arguments_of("{\"x\" :1e3}"));
  for (const std::string text : {"", "{\"x", "{\"x\": \"y\\", "{\"a\": 1, \"a\": 2}", "[1]", "3"}) {
    CAPTURE(text);
    const std::vector<std::string> lines = problems_of([&] { arguments_of(text); });
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].starts_with("members[0].model.arguments: "));
  }
  CHECK(problems_of([&] { arguments_of("{\"a\": 1, \"a\": 2}"); })[0] ==
        "members[0].model.arguments: it is not a JSON object: it has a name twice");
}

TEST_CASE("devices of replicas are one for each and next to each other, and modes are all that are possible") {
  const CpuDevice zero{{0}};
  const CpuDevice one{{1}};
  const auto on = [&](std::vector<Device> devices, std::uint32_t replicas) {
    return mistakes([&](EnsembleSpec& value) {
      value.members[0].device = value.members[1].device = zero;
      value.workers = {{.members = {0, 1}, .replicas = replicas, .devices = std::move(devices)}};
    });
  };
  CHECK(on({zero, zero, one}, 3).empty());
  CHECK(on({zero, one}, 1) == "workers[0].devices: it has 2 devices, and 'replicas' is 1; name one for each replica\n");
  CHECK(on({zero, one, zero}, 3) == "workers[0].devices[2]: the replicas on cpu:0 must be next to each other\n");
  const auto with_modes = [](std::vector<std::size_t> members, std::vector<UnitMode> modes) {
    return mistakes(
        [&](EnsembleSpec& value) { value.workers = {{.members = std::move(members), .modes = std::move(modes)}}; });
  };
  CHECK(with_modes({0, 1}, {UnitMode::loop, UnitMode::threads}).empty());
  CHECK(with_modes({0, 1}, {UnitMode::threads}) ==
        "workers[0].modes: it must be all that these members can have, in this order: loop, threads\n");
  CHECK(with_modes({0}, {UnitMode::loop}) ==
        "workers[0].modes: one member has no modes to choose from; leave it empty\n");
}

TEST_CASE("what YAML would say otherwise is a mistake of the value") {
  const auto weights = [](const std::string& path) {
    return mistakes([&](EnsembleSpec& value) { value.members[0].model.weights = path; });
  };
  CHECK(weights("a/~/${x}.st").empty());
  CHECK(weights("~/a.st") ==
        "members[0].model.weights: '~/a.st' begins with '~/', which only YAML replaces; write the folder out\n");
  CHECK(weights("${HOME}/a.st") ==
        "members[0].model.weights: '${HOME}/a.st' begins with '${', which only YAML replaces; write the folder out\n");
  CHECK(
      weights("$HOME/a.st") ==
      "members[0].model.weights: '$HOME/a.st' begins with '$HOME/', which only YAML replaces; write the folder out\n");
  CHECK(weights("$a.st").empty());
  CHECK(weights("a\xff.st").ends_with(" is not UTF-8\n"));
  for (const double seconds : {0.0, -1.0, 1e9, std::numeric_limits<double>::quiet_NaN()})
    CHECK(mistakes([&](EnsembleSpec& value) {
            value.failure.kill_deadline = seconds;
          }).starts_with("failure.kill_deadline: it must be a number of seconds above 0 and at most 1000000, not "));
}

TEST_CASE("members whose device is the default run on the devices of their worker") {
  EnsembleSpec value = two_fakes();
  value.workers = {{.members = {0, 1}, .replicas = 2, .devices = {CpuDevice{{2}}, CpuDevice{{3}}}}};
  CHECK(checked_value(value).members[1].device == Device(CpuDevice{{2}}));
  value.members[1].device = CpuDevice{{3}};
  CHECK(problems_of([&] { checked_value(value); }) ==
        std::vector<std::string>{"members: member 'b' is assigned cpu:3, but its worker runs on cpu:2 ('workers'); "
                                 "say it once"});
}

TEST_CASE("a field that would not count is a mistake") {
  const std::string reason =
      ": it has a value that means nothing with the other fields, so it would not count; leave it at its default";
  const auto check = [&](const std::string& field, auto&& change) { CHECK(mistakes(change) == field + reason + "\n"); };
  check("combine", [](EnsembleSpec& value) { value.combine.normalize = false; });
  check("input", [](EnsembleSpec& value) { value.input.count = 5; });
  check("train_input", [](EnsembleSpec& value) {
    value.train_input = value.input;
    value.train_input.on_broken = OnBroken::skip;
  });
  check("members[1].output", [](EnsembleSpec& value) {
    value.members[1].model.kind = MlpModel{.layers = {10}};
    value.members[1].output = OutputKind::features;
  });
  check("members[0].takes", [](EnsembleSpec& value) {
    value.input.tensors = {{.name = "x", .layout = {Dtype::float32, {4}}},
                           {.name = "y", .layout = {Dtype::float32, {4}}}};
    value.members[0].takes = {{"x", "left"}, {"y", "left"}};
    value.members[1].takes = {{"x", ""}};
  });
  check("merge", [](EnsembleSpec& value) {
    for (MemberSpec& member : value.members) member.model.weights = "w.safetensors";
    value.merge = MergeSpec{.scaling = 0.5};
  });
  check("workers[0].same_bits", [](EnsembleSpec& value) { value.workers = {{.members = {0}, .same_bits = false}}; });
  check("failure.progress_deadline", [](EnsembleSpec& value) { value.failure.progress_deadline = 3; });
  check("batch_images", [](EnsembleSpec& value) {
    value.measure_batch_images = true;
    value.batch_images = 5;
  });
}

}  // namespace
}  // namespace tutti::test
