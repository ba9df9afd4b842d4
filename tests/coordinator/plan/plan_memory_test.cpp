// Which workers are forked, and the terms of a plan's memory.
#include "coordinator/plan/memory_bounds.hpp"

#include <doctest/doctest.h>
#include <malloc.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "common/resample.hpp"
#include "common/wire/channel.hpp"
#include "results/journal.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/coordinator/plan/plans.hpp"
#include "tests/merge/tensors.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

std::vector<bool> forked(const std::string& members, const std::string& more = "", const Options& options = {}) {
  const std::string yaml = "members: [" + members + "]\n" + more;
  std::vector<bool> result;
  const Plan plan = make_plan(config::load_text(yaml, "test", {}), machine_of(4), {{3, 32, 32}, {}}, options);
  for (const WorkerPlan& worker : plan.workers) result.push_back(worker.forked);
  const bool any = std::find(result.begin(), result.end(), true) != result.end();
  CHECK((plan.first_forked() != nullptr) == any);
  const bool bound = std::any_of(plan.bounds.begin(), plan.bounds.end(),
                                 [](const Bound& term) { return term.name.starts_with("fork server"); });
  CHECK(bound == any);
  return result;
}

TEST_CASE("workers that load LibTorch into the same environment are forked if there are two") {
  using Bits = std::vector<bool>;
  const std::string a = "{name: a, model: {kind: small-cnn}}";
  const std::string b = "{name: b, model: {kind: mlp, layers: [10]}}";
  const std::string fake = "{name: f, model: {kind: fake, classes: 10}}";
  const std::string on_cpu = "assignment: cpu\n";
  CHECK(forked(a + ", " + b, on_cpu) == Bits{true, true});
  CHECK(forked(a + ", " + fake + ", " + b, on_cpu) == Bits{true, false, true});
  CHECK(forked(a + ", " + fake, on_cpu) == Bits{false, false});
  CHECK(forked(a + ", " + fake, on_cpu + "start_method: forkserver\n") == Bits{true, false});
  CHECK(forked(a + ", " + b, on_cpu + "start_method: spawn\n") == Bits{false, false});
  // The second has more cores, and so more threads, than the first.
  CHECK(forked(a + ", " + b, "assignment: [cpu:0, 'cpu:1-3']\n") == Bits{false, false});
  Options debugging;
  debugging.debug_member = "a";
  CHECK(forked(a + ", " + b, on_cpu, debugging) == Bits{false, false});
}

TEST_CASE("the bounds are named and their sum is what is needed") {
  const Plan plan = plan_of("cpu", machine_of(2), 3, "slots: 3\nsegment_images: 10\n");
  std::uint64_t sum = 0;
  for (const Bound& bound : plan.bounds) sum += bound.bytes;
  CHECK(plan.needed_bytes() == sum);
  REQUIRE(plan.bounds.size() == 1 + 3 * 3);
  CHECK(plan.bounds[0].bytes == ArenaLayout{3, 10, {3, 32, 32}}.bytes());
  CHECK(plan.bounds[0].name.starts_with("arena: 3 slots x "));
  CHECK(plan.bounds[1].bytes == ChannelLayout{3, 10, {4}}.bytes());
  CHECK(plan.bounds[1].name.starts_with("channel of m0: rings, 3 output slots x "));
  CHECK(plan.bounds[2].bytes == plan.bounds[1].bytes);
  CHECK(plan.bounds[2].name == "channel of a replacement of m0, in addition to that of the worker that died");
  CHECK(plan.bounds[3].name == "process of m0 (estimate, without its model)");
}

/// Bytes in use on the heap.
std::uint64_t heap_bytes() { return ::mallinfo2().uordblks; }

TEST_CASE("the index of a journal is a bound of every run whose images are counted") {
  const auto bound_of = [](std::optional<std::uint64_t> images) -> std::optional<Bound> {
    const Plan plan = make_plan(config::load_text("members: [{name: a, model: {kind: fake, classes: 4}}]\n"
                                                  "assignment: cpu\nsegment_images: 10\n",
                                                  "test"),
                                machine_of(1), {{3, 32, 32}, images}, {});
    for (const Bound& bound : plan.bounds)
      if (bound.name.starts_with("index of the journal")) return bound;
    return std::nullopt;
  };
  const auto bound = bound_of(1'000'001);
  REQUIRE(bound);
  CHECK(bound->name == "index of the journal of a run: 100001 segments x 64 B");
  CHECK(bound->bytes == 100'001 * kJournalSegmentBytes);
  CHECK_FALSE(bound_of(std::nullopt));
}

TEST_CASE("what scoring several labels holds of the predictions is a bound of a prediction") {
  InputForm form{{3, 32, 32}, 100};
  const auto bound_of = [&](bool training) {
    Options options;
    options.training = training;
    const Plan plan =
        make_plan(config::load_text("members: [{name: a, model: {kind: small-cnn}}]\nassignment: cpu\n", "test"),
                  machine_of(1), form, options);
    for (const Bound& bound : plan.bounds)
      if (bound.name == "scores of several labels, which their average precision needs all at once") return bound.bytes;
    return std::uint64_t{0};
  };
  CHECK(bound_of(false) == 0);
  form.held_score_bytes = 12345;
  CHECK(bound_of(false) == 12345);
  CHECK(bound_of(true) == 0);
}

TEST_CASE("a journal keeps no more of a segment in memory than its bound") {
  constexpr std::uint64_t kSegments = 20'000;
  const TemporaryFolder folder;
  images::Journal journal(folder.path());
  journal.begin({kSegments, 1, 1, {}});
  const std::vector<std::uint32_t> checksums{1, 2};
  const std::vector<std::byte> sums(100);
  const std::uint64_t before = heap_bytes();
  for (std::uint64_t segment = 0; segment < kSegments; ++segment) journal.append(segment, checksums, sums);
  CHECK(journal.finished_segments() == kSegments);
  // The allocator keeps a little of what was freed.
  CHECK(heap_bytes() - before <= kSegments * kJournalSegmentBytes + 4096);
}

std::vector<std::string> names_of(const Plan& plan) {
  std::vector<std::string> names;
  for (const Bound& bound : plan.bounds) names.push_back(bound.name);
  return names;
}

/// The bounds of one member, besides the arena; its model is a file of 100 bytes.
Plan plan_with_model(const TemporaryFolder& folder, const std::string& more) {
  std::ofstream(folder / "w") << std::string(100, 'x');
  const std::string yaml =
      "members: [{name: a, model: {kind: fake, weights: " + (folder / "w").string() + "}}]\nassignment: cpu\n" + more;
  return make_plan(config::load_text(yaml, "test"), machine_of(1), {{3, 32, 32}, {}}, {});
}

TEST_CASE("spares count as processes and with their models if they hold them") {
  const TemporaryFolder folder;
  const std::string file = (folder / "w").string();
  const Plan none = plan_with_model(folder, "");
  REQUIRE(none.bounds.size() == 5);
  const std::uint64_t process_bytes = none.bounds[4].bytes;
  const Plan process = plan_with_model(folder, "spares: process\n");
  REQUIRE(process.bounds.size() == 6);
  CHECK(process.bounds[5].name == "spare process of a (estimate, without its model)");
  CHECK(process.bounds[5].bytes == process_bytes);
  CHECK(process.needed_bytes() == none.needed_bytes() + process_bytes);
  const Plan member = plan_with_model(folder, "spares: member\n");
  REQUIRE(member.bounds.size() == 7);
  CHECK(member.bounds[5].name == "spare model of a: the size of " + file);
  CHECK(member.bounds[5].bytes == 100);
  CHECK(member.needed_bytes() == none.needed_bytes() + process_bytes + 100);
}

TEST_CASE("a worker that is added is refused with its own terms if these exceed what the others leave") {
  Plan plan = plan_of("cpu", machine_of(2), 2, "spares: member\n");
  const Plan one = plan_of("cpu", machine_of(2), 1, "spares: member\n");
  const WorkerPlan& added = plan.workers.back();
  plan.available.bytes = plan.needed_bytes() - one.needed_bytes();
  check_memory(plan, added);
  CHECK(error_of([&] { check_memory(plan); }).has_value());
  --plan.available.bytes;
  const auto error = error_of([&] { check_memory(plan, added); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "m1 cannot be added: it does not fit into memory");
  CHECK(contains(error->detail(), "(MemAvailable):"));
  for (const Bound& bound : plan.bounds) {
    CAPTURE(bound.name);
    const bool of_others = contains(bound.name, "m0") || contains(bound.name, "arena");
    CHECK(contains(error->detail(), bound.name) == !of_others);
  }
  CHECK(error->hint() == "use a smaller model, remove a member before, or raise the memory limit");
}

TEST_CASE("a new version is refused with the terms of all its workers if these exceed what is available") {
  const std::string yaml =
      "members: [{name: a, model: {kind: fake, classes: 4}}, {name: b, model: {kind: fake, classes: 4}}, "
      "{name: c, model: {kind: fake, classes: 4}}]\n"
      "workers: [{members: [a, b], replicas: 2}]\nspares: member\n";
  Plan plan = make_plan(config::load_text(yaml, "test", {}), machine_of(4), {{3, 32, 32}, {}}, {});
  const std::vector<std::string> terms{"channel of a+b: rings", "process of a+b (estimate"};
  std::uint64_t needed = 0;
  std::size_t found = 0;
  for (const Bound& bound : plan.bounds)
    for (const std::string& term : terms) {
      if (!bound.name.starts_with(term)) continue;
      needed += bound.bytes;
      ++found;
    }
  REQUIRE(found == 4);  // two replicas
  plan.available.bytes = needed;
  check_memory(plan, Rank(1));
  --plan.available.bytes;
  const auto error = error_of([&] { check_memory(plan, Rank(1)); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "the new version of b cannot take over: both do not fit into memory");
  for (const std::string& term : terms) CHECK(contains(error->detail(), term));
  for (const char* other : {"arena", "spare", "replacement", "of c"}) CHECK_FALSE(contains(error->detail(), other));
  CHECK(error->hint() == "use a smaller model, close the ensemble and make a new one, or raise the memory limit");
}

TEST_CASE("the fork server makes a worker that is added if that has its environment") {
  const auto plan_with = [](const std::string& members) {
    const std::string yaml = "members: [" + members + "]\nassignment: cpu\n";
    return make_plan(config::load_text(yaml, "test", {}), machine_of(4), {{3, 32, 32}, {}}, {});
  };
  const std::string a = "{name: a, model: {kind: small-cnn}}";
  const std::string b = ", {name: b, model: {kind: mlp, layers: [10]}}";
  const std::string c = ", {name: c, model: {kind: mlp, layers: [10]}}";
  WorkerPlan added = plan_with(a + b + c).workers.back();
  added.environment = plan_with(a + b).workers.back().environment;
  REQUIRE(added.forked);
  CHECK(plan_with(a + b).forks(added));
  CHECK_FALSE(plan_with(a).forks(added));  // it has no fork server
  WorkerPlan other = added;
  other.environment.emplace_back("TUTTI_TEST", "1");
  CHECK_FALSE(plan_with(a + b).forks(other));
  other = added;
  other.forked = false;
  CHECK_FALSE(plan_with(a + b).forks(other));
}

TEST_CASE("a network that another library computes counts as often as it holds the weights") {
  const auto bound = [](const std::string& backend) -> Bound {
    const std::string yaml = "members: [{name: a, model: {kind: mlp, layers: [5, 2], backend: " + backend + "}}]\n";
    const Plan plan = make_plan(config::load_text(yaml, "test", {}), machine_of(2), {{3, 2, 2}, {}}, {});
    for (const Bound& term : plan.bounds)
      if (term.name.starts_with("model of a: ")) return term;
    return {};
  };
  constexpr std::uint64_t kWeights = 4 * (12 * 5 + 5 + 5 * 2 + 2);
  CHECK(bound("torch").bytes == 0);  // there is no file
  CHECK(bound("onnxruntime").name == "model of a: its weights, 2.5 times while ONNX Runtime loads them (estimate)");
  CHECK(bound("onnxruntime").bytes == kWeights * 5 / 2);
  CHECK(bound("openvino").name == "model of a: its weights, 2 times in OpenVINO (estimate)");
  CHECK(bound("openvino").bytes == kWeights * 2);
}

/// Of the term with this name; nothing if there is none.
std::optional<std::uint64_t> bytes_of(const Plan& plan, const std::string& name) {
  const auto found = std::ranges::find(plan.bounds, name, &Bound::name);
  return found == plan.bounds.end() ? std::nullopt : std::optional(found->bytes);
}

TEST_CASE("a network behind a stage of unknown width is counted by its file, or for an assumed width that is named") {
  const TemporaryFolder folder;
  const auto plan = [&](const std::string& first, const std::string& weights) {
    const std::string yaml = "members: [{name: a, stages: [{model: " + first +
                             "}, {model: {kind: mlp, layers: [2], backend: onnxruntime" + weights + "}}]}]\n";
    return make_plan(config::load_text(yaml, "test", {}), machine_of(2), {{3, 2, 2}, {}}, {});
  };
  const std::string what = "model of a/1: its weights, 2.5 times while ONNX Runtime loads them (estimate";
  const std::string unknown = "{kind: torchscript, path: m.pt}";
  CHECK(bytes_of(plan("{kind: fake, classes: 5}", ""), what + ")") == 10 * (5 * 2 + 2));
  CHECK(bytes_of(plan(unknown, ""), what + ", if a/0 outputs 1000 values)") == 10 * (1000 * 2 + 2));
  const auto file = folder / "w.safetensors";
  merge::test::write(file, {merge::test::f32("layers.0.weight", {2, 7}, std::vector<float>(14)),
                            merge::test::tensor_of("small", merge::Dtype::f4, {6}, std::vector<std::uint8_t>(3))});
  CHECK(bytes_of(plan(unknown, ", weights: " + file.string()), what + ")") == 10 * (14 + 6));
}

TEST_CASE("a tower that another library computes counts as often as it holds the weights") {
  const std::string tower = test::in_sources("tests/torch/data/clip/sharded");
  const std::string yaml = "members: [{name: a, model: {kind: clip-vit, path: " + tower +
                           ", backend: openvino}, output: features}]\ncombine: {over: features}\n";
  const Plan plan = make_plan(config::load_text(yaml, "test", {}), machine_of(2), {{3, 32, 32}, {}}, {});
  constexpr std::uint64_t kLayer = 4 * (32 * 32 + 32) + 2 * 32 * 48 + 48 + 32 + 4 * 32;
  constexpr std::uint64_t kTower = 32 + 32 * 3 * 64 + 17 * 32 + 4 * 32 + 2 * kLayer;
  CHECK(bytes_of(plan, "model of a: its weights, 2 times in OpenVINO (estimate)") == 2 * 4 * (kTower + 16 * 32 + 1));
}

TEST_CASE("the model of another precision counts twice, and a compiled one that is kept counts too") {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "m.onnx") << std::string(1000, 'x');
  const auto plan = [&](const std::string& more) {
    const std::string yaml =
        "members: [{name: a, model: {kind: openvino, path: " + (folder / "m.onnx").string() + more + "}}]\n";
    return make_plan(config::load_text(yaml, "test", {}), machine_of(2), {{3, 2, 2}, {}}, {});
  };
  const std::uint64_t plain = plan("").needed_bytes();
  const Plan exact = plan(", precision: bf16");
  CHECK(bytes_of(exact, "model of a: again in f32, to compare bf16 with while it warms up (estimate)") == 1000);
  CHECK(exact.needed_bytes() == plain + 1000);
  const Plan cached = plan(", cache: c");
  CHECK(bytes_of(cached, "model of a: its compiled form from c (estimate)") == 1000);
  CHECK(cached.needed_bytes() == plain + 1000);
  const Plan both = plan(", cache: c, precision: bf16");
  CHECK(bytes_of(both, "model of a: its compiled form in both precisions from c (estimate)") == 2000);
  CHECK(both.needed_bytes() == plain + 3000);
}

TEST_CASE("images that a worker makes for its member are a term and bytes in the arena are a quarter") {
  const auto plan_with = [](const std::string& input, Dtype pixels, bool training = false) {
    Options options;
    options.training = training;
    return make_plan(config::load_text("members: [{name: a, model: {kind: fake}" + input +
                                           "}]\nassignment: cpu\nsegment_images: 10\nbatch_images: 4",
                                       "test"),
                     machine_of(1), {{3, 32, 32}, {}, pixels}, options);
  };
  const Plan plain = plan_with("", Dtype::float32);
  const Plan bytes = plan_with(", input: {mean: 0.5}", Dtype::uint8);
  CHECK(bytes.bounds[0].bytes == ArenaLayout{4, 10, {3, 32, 32}, Dtype::uint8}.bytes());
  CHECK(contains(bytes.bounds[0].name, "images 3x32x32 as bytes, labels, numbers"));
  REQUIRE(bytes.bounds.size() == plain.bounds.size() + 1);
  CHECK(bytes.bounds[3].name == "images prepared for a: 4 x 3x32x32, and what resizing takes");
  CHECK(bytes.bounds[3].bytes == 4 * 3072 * sizeof(float));
  const Plan resized = plan_with(", input: {resize: [20, 30]}", Dtype::uint8);
  const MemberRequest& request = resized.members[0].request;
  CHECK(resized.bounds[3].bytes ==
        4 * 1800 * sizeof(float) + 1800 + Resampler::buffer_bytes(request.takes[0].input->resize, {3, 32, 32}));
  const Plan training = plan_with(", input: {mean: 0.5}", Dtype::uint8, true);
  CHECK(training.bounds[3].bytes == 10 * 3072 * sizeof(float));
}

TEST_CASE("views of a batch are a term with their predictions and what resizing takes") {
  const auto plan_with = [](const std::string& views, const Options& options = {}) {
    return make_plan(config::load_text("members: [{name: a, views: " + views +
                                           ", model: {kind: fake, classes: 3, per_class: [32, 32]}}]\n"
                                           "assignment: cpu\nsegment_images: 10\nbatch_images: 4\n"
                                           "input: {shape: [3, 32, 32]}",
                                       "test"),
                     machine_of(1), {{3, 32, 32}, {}}, options);
  };
  const Plan plain = plan_with("[]");
  const Plan mirrored = plan_with("[identity, hflip]");
  REQUIRE(mirrored.bounds.size() == plain.bounds.size() + 1);
  CHECK(mirrored.bounds[3].name == "views of a: one view of 4 images, their predictions, and what resizing takes");
  CHECK(mirrored.bounds[3].bytes == (4 * (3072 + 3072) + 1024) * sizeof(float));
  MemberRequest request = mirrored.members[0].request;
  CHECK(request.views == std::vector<View>{{.kind = ViewKind::identity}, {.kind = ViewKind::hflip}});
  CHECK(request.seen() == ImageShape{3, 32, 32}.layout());
  Options training;
  training.training = true;
  CHECK(plan_with("[identity, hflip]", training).bounds[3].bytes == mirrored.bounds[3].bytes);
}

TEST_CASE("a scale is a larger view with larger predictions and two resamplers") {
  const Plan plan =
      make_plan(config::load_text("members: [{name: a, views: [{scale: 2}], model: {kind: fake, classes: 5}}]\n"
                                  "assignment: cpu\nbatch_images: 4\ninput: {shape: [3, 20, 30]}",
                                  "test"),
                machine_of(1), {{3, 20, 30}, {}}, {});
  const View scale{.kind = ViewKind::scale, .scale = 2};
  const Resize back{.rule = ResizeRule::exact, .height = 20, .width = 30};
  CHECK(plan.bounds[3].bytes == (4 * (3 * 40 * 60 + 4 * 5) + 20 * 30) * sizeof(float) +
                                    Resampler::buffer_bytes(resize_of(scale, {3, 20, 30}), {3, 20, 30}) +
                                    Resampler::buffer_bytes(back, {1, 40, 60}));
}

TEST_CASE("if no worker is replaced there is no second channel") {
  CHECK(names_of(plan_of("cpu", machine_of(2), 1, "on_worker_failure: fail\n")).size() == 3);
  CHECK(names_of(plan_of("cpu", machine_of(2), 1, "on_worker_failure: degrade\n")).size() == 4);
}

}  // namespace
}  // namespace tutti::test
