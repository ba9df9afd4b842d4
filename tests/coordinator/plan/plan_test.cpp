// What would run where: every way to write an assignment, on made-up machines.
#include "coordinator/plan/plan.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

#include <tutti/error.hpp>

#include "common/wire/channel.hpp"
#include "config/load.hpp"
#include "coordinator/plan/memory_bounds.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/coordinator/plan/plans.hpp"

namespace tutti::test {
namespace {

std::optional<Error> refusal(const std::string& assignment, const Machine& machine, std::size_t members = 1) {
  return error_of([&] { plan_of(assignment, machine, members); });
}

std::vector<std::string> devices(const Plan& plan) {
  std::vector<std::string> texts;
  for (const WorkerPlan& worker : plan.workers) texts.push_back(worker.device);
  return texts;
}

using Texts = std::vector<std::string>;

TEST_CASE("members are placed by name and by index and by list") {
  const Machine machine = with_gpus(machine_of(4));
  const Texts expected{"cuda:1 (L4)", "cpu"};
  CHECK(devices(plan_of("{m0: cuda:1, m1: cpu}", machine)) == expected);
  CHECK(devices(plan_of("{0: cuda:1, 1: cpu}", machine)) == expected);
  CHECK(devices(plan_of("{0: 1, 1: -1}", machine)) == expected);
  CHECK(devices(plan_of("[1, -1]", machine)) == expected);
  CHECK(devices(plan_of("{m0: 'cuda:GPU-bb', m1: cpu}", machine)) == expected);
  CHECK(devices(plan_of("cpu", machine)) == Texts{"cpu", "cpu"});
}

TEST_CASE("the command line overrides the placement in the file") {
  const Plan plan = plan_of("{m0: cpu, m1: cpu}", machine_of(4), 2, "", {}, {"m1=cpu:2"});
  CHECK(devices(plan) == Texts{"cpu", "cpu:2"});
}

TEST_CASE("a core set pins the worker to those cores") {
  const Plan plan = plan_of("{m0: 'cpu:0-1', m1: {cpu: [3]}}", machine_of(4));
  CHECK(plan.workers[0].cores == std::vector<int>{0, 1});
  CHECK(plan.workers[0].device == "cpu:0-1");
  CHECK(plan.members[0].request.threads == 2);
  CHECK(plan.workers[1].cores == std::vector<int>{3});
  CHECK(plan.members[1].request.threads == 1);
  CHECK_FALSE(plan.workers[0].shares_cores);
}

TEST_CASE("a member without cores may use all and is not pinned") {
  const Plan plan = plan_of("cpu", machine_of(4), 1);
  CHECK(plan.workers[0].cores.empty());
  CHECK(plan.members[0].request.threads == 4);
  CHECK(variable(plan.workers[0], "OMP_NUM_THREADS") == "4");
  CHECK(variable(plan.workers[0], "MKL_NUM_THREADS") == "4");
}

TEST_CASE("workers that share cores share the threads and wait passively") {
  const Plan plan = plan_of("{m0: 'cpu:0-3', m1: 'cpu:0-3', m2: 'cpu:4'}", machine_of(5), 3);
  CHECK(plan.members[0].request.threads == 2);
  CHECK(plan.workers[0].shares_cores);
  CHECK(variable(plan.workers[0], "OMP_WAIT_POLICY") == "passive");
  CHECK(plan.members[2].request.threads == 1);
  CHECK_FALSE(plan.workers[2].shares_cores);
  CHECK(variable(plan.workers[2], "OMP_WAIT_POLICY") == "(not set)");
}

TEST_CASE("a program adds variables and does not replace those of Tutti") {
  Options options;
  options.environment = {{"TUTTI_LIBTORCH", "/x"}, {"OMP_NUM_THREADS", "99"}};
  const Plan plan = plan_of("cpu:0", machine_of(4), 1, "", options);
  CHECK(variable(plan.workers[0], "TUTTI_LIBTORCH") == "/x");
  const auto& all = plan.workers[0].environment;  // of two, the first counts
  CHECK(std::ranges::find(all, "OMP_NUM_THREADS", &std::pair<std::string, std::string>::first)->second == "1");
}

TEST_CASE("core sets that overlap in one core share it") {
  const Plan plan = plan_of("{m0: 'cpu:0-2', m1: 'cpu:2-3'}", machine_of(4));
  CHECK(plan.workers[0].shares_cores);
  CHECK(plan.members[0].request.threads == 1);
  CHECK(plan.members[1].request.threads == 1);
}

TEST_CASE("every worker has a thread even with few cores") {
  const Plan plan = plan_of("cpu", machine_of(1), 4);
  for (const MemberPlan& member : plan.members) CHECK(member.request.threads == 1);
  for (const WorkerPlan& worker : plan.workers) CHECK(worker.shares_cores);
}

TEST_CASE("a quota counts as the cores that it is worth") {
  CHECK(plan_of("cpu", machine_of(4, 1.5), 1).members[0].request.threads == 1);
  CHECK(plan_of("cpu", machine_of(4, 3.0), 1).members[0].request.threads == 3);
  CHECK(plan_of("cpu", machine_of(4, 0.5), 1).members[0].request.threads == 1);
  CHECK(plan_of("cpu", machine_of(8, 4.0), 2).members[0].request.threads == 2);
  CHECK(plan_of("cpu", machine_of(2, 16.0), 1).members[0].request.threads == 2);
}

TEST_CASE("threads that the user sets are used unchanged") {
  const Plan plan = plan_of("cpu", machine_of(4), 2, "threads: 3\n");
  CHECK(plan.members[0].request.threads == 3);
  CHECK(variable(plan.workers[0], "OMP_NUM_THREADS") == "3");
}

TEST_CASE("a core that does not exist is refused with those that do") {
  const auto error = refusal("'cpu:5'", machine_of(4));
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "m0: core 5 does not exist; usable: cpu:0-3");
  CHECK(contains(error->hint(), "--assign"));
}

TEST_CASE("a core that exists and may not be used is refused with the reason") {
  Machine machine = machine_of(4);
  machine.cores = {0, 2};
  const auto error = refusal("'cpu:1'", machine);
  REQUIRE(error);
  CHECK(error->message() ==
        "m0: core 1 may not be used by this process (offline, or left out by its affinity mask or cpuset); usable: "
        "cpu:0,2");
}

TEST_CASE("a GPU without a driver is refused with what is missing") {
  const auto error = refusal("cuda:0", machine_of(4));
  REQUIRE(error);
  CHECK(error->message() == "m0: cuda:0 does not exist; no NVIDIA driver: libnvidia-ml.so.1 is not installed");
}

TEST_CASE("a GPU index that is too large is refused with how many there are") {
  const auto error = refusal("cuda:2", with_gpus(machine_of(4)));
  REQUIRE(error);
  CHECK(error->message() == "m0: cuda:2 does not exist; this machine has 2 GPUs");
}

TEST_CASE("all members that cannot be placed are named at once") {
  const auto error = refusal("{m0: cuda:7, m1: cpu, m2: 'cpu:9'}", with_gpus(machine_of(2)), 3);
  REQUIRE(error);
  CHECK(error->message() == "2 members cannot be placed");
  CHECK(contains(error->detail(), "m0: cuda:7"));
  CHECK(contains(error->detail(), "m2: core 9"));
}

TEST_CASE("null is the first GPU if there is one and says so") {
  const Plan plan = plan_of("{m0: null, m1: cpu}", with_gpus(machine_of(2)));
  CHECK(devices(plan) == Texts{"cuda:0 (H200)", "cpu"});
  CHECK(plan.members[0].assigned == "null");
  CHECK(plan.notes == Texts{"m0 runs on cuda:0 (H200), because 'assignment' gives it no device"});
}

TEST_CASE("null is the cpu if there is no GPU and says why") {
  const Plan plan = plan_of("{m0: null, m1: cpu}", machine_of(2));
  CHECK(devices(plan) == Texts{"cpu", "cpu"});
  CHECK(plan.notes ==
        Texts{"m0 runs on the CPU, because 'assignment' gives it no device and there is no usable GPU (no NVIDIA "
              "driver: libnvidia-ml.so.1 is not installed)"});
}

TEST_CASE("threads that would share a core are noted") {
  const std::string note =
      "m0: more threads than cores; they wait for each other at every step, which takes far longer: "
      "lower 'threads', or give more cores";
  CHECK(plan_of("{m0: 'cpu:0', m1: 'cpu:0-1'}", machine_of(4), 2, "threads: 2\n").notes == Texts{note});
  CHECK(plan_of("{m0: 'cpu:0-1', m1: 'cpu:0-1'}", machine_of(4), 2, "threads: 2\n").notes.empty());
  CHECK(plan_of("{m0: cpu, m1: cpu}", machine_of(2), 2, "threads: 3\n").notes.size() == 1);
}

TEST_CASE("members that nothing is assigned to share one note") {
  CHECK(plan_of("null", machine_of(2), 3).notes ==
        Texts{"all members run on the CPU, because 'assignment' gives them no device and there is no usable GPU (no "
              "NVIDIA driver: libnvidia-ml.so.1 is not installed)"});
  CHECK(plan_of("{m0: null, m1: cpu, m2: null}", with_gpus(machine_of(2)), 3).notes ==
        Texts{"m0, m2 run on cuda:0 (H200), because 'assignment' gives them no device"});
}

TEST_CASE("a GPU is chosen by its uuid in the worker's environment") {
  const Plan plan = plan_of("{m0: cuda:1, m1: cpu}", with_gpus(machine_of(2)));
  CHECK(plan.members[0].request.cuda);
  CHECK(variable(plan.workers[0], "CUDA_VISIBLE_DEVICES") == "GPU-bbbb");
  CHECK(variable(plan.workers[0], "NVIDIA_TF32_OVERRIDE") == "0");
  CHECK_FALSE(plan.members[1].request.cuda);
  CHECK(variable(plan.workers[1], "CUDA_VISIBLE_DEVICES").empty());
}

TEST_CASE("a MIG instance is passed on to CUDA if there is any GPU") {
  const Plan plan = plan_of("'cuda:MIG-1234'", with_gpus(machine_of(2)), 1);
  CHECK(plan.workers[0].device == "cuda:MIG-1234");
  CHECK(variable(plan.workers[0], "CUDA_VISIBLE_DEVICES") == "MIG-1234");
  CHECK(refusal("'cuda:MIG-1234'", machine_of(2)));
}

TEST_CASE("a batch is not longer than a segment and the rest of a segment is warmed up") {
  const auto request = [](const std::string& more) {
    return plan_of("cpu", machine_of(2), 1, more).members[0].request;
  };
  CHECK(request("segment_images: 10\nbatch_images: 4\n").batch_images == 4);
  CHECK(request("segment_images: 10\nbatch_images: 4\n").warm_up_batches == std::vector<std::uint32_t>{2});
  CHECK(request("segment_images: 3\nbatch_images: 4\n").batch_images == 3);
  CHECK(request("segment_images: 8\nbatch_images: 4\n").warm_up_batches.empty());
}

TEST_CASE("the batches of a last segment are warmed up if its length is known") {
  const auto batches = [](std::uint64_t images) {
    return plan_of("cpu", machine_of(2), 1, "segment_images: 10\nbatch_images: 4\n", {}, {}, images)
        .members[0]
        .request.warm_up_batches;
  };
  using Sizes = std::vector<std::uint32_t>;
  CHECK(batches(20) == Sizes{2});
  CHECK(batches(21) == Sizes{1, 2});
  CHECK(batches(27) == Sizes{2, 3});
  CHECK(batches(24) == Sizes{2});
  CHECK(batches(3) == Sizes{2, 3});
  CHECK(batches(0) == Sizes{2});
}

TEST_CASE("without the CUDA plugin null is the cpu and cuda is refused with what is missing") {
  Machine machine = with_gpus(machine_of(2));
  machine.why_no_cuda_members = "Tutti was built without its CUDA plugin, libtutti-cuda.so";
  CHECK(plan_of("{m0: null, m1: cpu}", machine).notes ==
        Texts{"m0 runs on the CPU, because 'assignment' gives it no device and there is no usable GPU (Tutti was built "
              "without its CUDA plugin, libtutti-cuda.so)"});
  const auto error = refusal("cuda:0", machine);
  REQUIRE(error);
  CHECK(error->message() == "m0: cuda:0 cannot be used: Tutti was built without its CUDA plugin, libtutti-cuda.so");
}

TEST_CASE("a worker gets what the description says about its member") {
  const std::string yaml = R"(
members:
  - {name: a, model: {kind: mlp, layers: [8, 4], weights: w.safetensors}, copy_input: true, weight: 2.5, seed: 77,
     train: {epochs: 5, batch_images: 6, learning_rate: 0.5, bootstrap: true, init: i.safetensors}}
combine: {rule: weighted, over: logits}
assignment: cpu
)";
  const auto spec = config::load_text(yaml, "test");
  const Plan plan = make_plan(spec, machine_of(1), {{3, 4, 5}, {}}, {});
  const MemberPlan& member = plan.members[0];
  CHECK(member.request.name == "a");
  CHECK(member.request.weights == "w.safetensors");
  CHECK(member.request.seed == 77);
  CHECK(member.request.seen() == ImageShape{3, 4, 5}.layout());
  CHECK(member.request.over == OutputKind::logits);
  CHECK(member.request.copy_input);
  CHECK(member.request.train_batch_images == 6);
  CHECK(member.request.learning_rate == 0.5);
  CHECK(member.request.bootstrap);
  CHECK(member.epochs == 5);
  CHECK(member.weights == "w.safetensors");
  CHECK(plan.weights == std::vector<float>{2.5F});
  Options training;
  training.training = true;
  CHECK(make_plan(spec, machine_of(1), {{3, 4, 5}, {}}, training).members[0].request.weights == "i.safetensors");
}

TEST_CASE("a plan says for how long the others continue while a worker is replaced") {
  const auto survival = [](const std::string& more, bool training = false) {
    Options options;
    options.training = training;
    return plan_of("cpu", machine_of(2), 2, more, options).survival;
  };
  CHECK(survival("slots: 7\n") ==
        Texts{"while a worker is replaced, the others continue for up to 7 segments ('slots')"});
  CHECK(survival("slots: 1\n") ==
        Texts{"while a worker is replaced, the others continue for up to 1 segment ('slots')"});
  CHECK(survival("slots: 4\n", true) ==
        Texts{"while a worker is replaced, the others continue for up to 4 segments ('slots')",
              "a replacement trains on up to 2 segments again ('train.checkpoint_segments')"});
  CHECK(survival("on_worker_failure: degrade\n") ==
        Texts{"while a worker is replaced, the others continue for up to 4 segments ('slots')",
              "a member that uses up its restarts is left out ('on_worker_failure: degrade')"});
  CHECK(survival("on_worker_failure: fail\n", true) ==
        Texts{"a worker that dies ends the run ('on_worker_failure: fail')"});
}

TEST_CASE("checkpoints leave a slot free even if the description asks for more") {
  auto spec = config::load_text("members: [{name: a, model: {kind: fake}}]\nassignment: cpu\nslots: 6\n", "test");
  spec.checkpoint_segments = 4;
  CHECK(make_plan(spec, machine_of(1), {{3, 4, 5}, {}}, {}).checkpoint_segments == 4);
  spec.slots = 2;
  CHECK(make_plan(spec, machine_of(1), {{3, 4, 5}, {}}, {}).checkpoint_segments == 1);
  spec.slots = 1;
  CHECK(make_plan(spec, machine_of(1), {{3, 4, 5}, {}}, {}).checkpoint_segments == 1);
}

TEST_CASE("a plan that does not fit is refused with every term") {
  Plan plan = plan_of("cpu", machine_of(2), 1);
  plan.available.bytes = plan.needed_bytes();
  check_memory(plan);
  --plan.available.bytes;
  const auto error = error_of([&] { check_memory(plan); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "the ensemble does not fit into memory");
  CHECK(contains(error->detail(), "(MemAvailable)"));
  for (const Bound& bound : plan.bounds) CHECK(contains(error->detail(), bound.name));
  CHECK(contains(error->hint(), "segment_images"));
}

TEST_CASE("a member to debug must exist") {
  Options options;
  options.debug_member = "m1";
  CHECK(plan_of("cpu", machine_of(1), 2, "", options).debugging);
  options.debug_member = "nobody";
  const auto error = error_of([&] { plan_of("cpu", machine_of(1), 2, "", options); });
  REQUIRE(error);
  CHECK(error->message() == "there is no member 'nobody' to debug");
}

TEST_CASE("this machine has cores and memory") {
  const Machine machine = look_at_machine("/nowhere/tutti-worker", GpuSearch::yes);
  CHECK_FALSE(machine.cores.empty());
  CHECK(std::is_sorted(machine.cores.begin(), machine.cores.end()));
  CHECK(std::includes(machine.present_cores.begin(), machine.present_cores.end(), machine.cores.begin(),
                      machine.cores.end()));
  CHECK(machine.memory.bytes > 0);
  CHECK_FALSE(machine.memory.limited_by.empty());
  CHECK(machine.gpus.empty() != machine.why_no_gpu.empty());
  CHECK(machine.why_no_cuda_members == "Tutti was built without its CUDA plugin, libtutti-cuda.so");
}

/// A plan for one member, over images of 3x8x12.
Plan plan_over(const std::string& member, const std::string& rest, Dtype pixels) {
  return make_plan(
      config::load_text("members: [{name: a, model: {kind: fake}" + member + "}]\nassignment: cpu\n" + rest, "test"),
      machine_of(1), {{3, 8, 12}, {}, pixels}, {});
}

TEST_CASE("a member sees the images in the arena as its own input changes them") {
  const Plan plan = plan_over(", input: {resize: 4, crop: [3, 2], std: 2}", "", Dtype::uint8);
  const MemberRequest& request = plan.members[0].request;
  CHECK(plan.arena.arrays.front().dtype == Dtype::uint8);
  REQUIRE(request.takes.size() == 1);
  CHECK(request.takes[0].stored == ImageShape{3, 8, 12}.layout(Dtype::uint8));
  CHECK(request.seen() == ImageShape{3, 3, 2}.layout());
  REQUIRE(request.takes[0].input);
  CHECK(request.takes[0].input->std == std::vector<float>{2});
}

TEST_CASE("the preprocessing of the whole is every other member's input if workers prepare images") {
  const std::string random =
      "input: {dataset: random, count: 3, shape: [3, 8, 12], preprocess: {mean: 0.5, std: [1, 2, 3]}}";
  const auto input = [&](const std::string& member, const std::string& rest, Dtype pixels) {
    return plan_over(member, rest, pixels).members[0].request.takes[0].input;
  };
  CHECK_FALSE(input("", random, Dtype::float32));  // the source prepares them
  const std::string folder = "input: {dataset: folder, path: d, preprocess: {mean: 0.5, std: [1, 2, 3]}}";
  CHECK(input("", folder, Dtype::uint8) == MemberInput{{}, {0.5F}, {1, 2, 3}});
  CHECK(input(", input: {mean: 0.25}", folder, Dtype::uint8) == MemberInput{{}, {0.25F}, {}});
  CHECK(input("", "input: {dataset: folder, path: d}", Dtype::uint8) == MemberInput{});
  const Plan two = make_plan(config::load_text("members: [{name: a, model: {kind: fake}, input: {mean: 9}}, {name: b, "
                                               "model: {kind: fake}}]\nassignment: cpu\n" +
                                                   random,
                                               "test"),
                             machine_of(1), {{3, 8, 12}, {}}, {});
  CHECK(two.members[0].request.takes[0].input == MemberInput{{}, {9}, {}});
  CHECK(two.members[1].request.takes[0].input == MemberInput{{}, {0.5F}, {1, 2, 3}});
  CHECK_FALSE(input(", input: {}", "", Dtype::float32));  // there is nothing to do
}

TEST_CASE("a mean for other channels than the images have is refused if only the images show it") {
  const auto error =
      error_of([] { plan_over(", input: {mean: [1, 2]}", "input: {dataset: npy, images: x.npy}", Dtype::uint8); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "a: 'mean' has 2 values, but an image has 3 channels");
  CHECK(error->hint() == "give one for each channel, or one for all");
}

TEST_CASE("a crop larger than the images is refused if only the images show it") {
  const auto error =
      error_of([] { plan_over(", input: {crop: 64}", "input: {dataset: npy, images: x.npy}", Dtype::uint8); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "a: 'crop' 64x64 is larger than the images, which are 3x8x12");
}

}  // namespace
}  // namespace tutti::test
