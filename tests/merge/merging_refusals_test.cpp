// Tests of merging: integers, what does not fit, and files that change or cannot be written.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <fstream>

#include "tests/merge/merges.hpp"

namespace tutti::merge::test {
namespace {

using tutti::test::contains;
using tutti::test::error_of;

// ---- integers ------------------------------------------------------------------------------------------------------

TEST_CASE("integers and booleans that are equal are kept") {
  Bench bench;
  const Tensor mask = tensor_of<char>("mask", Dtype::boolean, {3}, {1, 0, 1});
  bench.add({f32("w", {1}, {1}), i64("ids", {2}, {7, 9}), mask});
  bench.add({f32("w", {1}, {2}), i64("ids", {2}, {7, 9}), mask});
  CHECK(bench.merge().notes.empty());
  const Safetensors made = Safetensors::read(bench.out());
  CHECK(values<std::int64_t>(made.tensor("ids").bytes) == std::vector<std::int64_t>{7, 9});
  CHECK(values<char>(made.tensor("mask").bytes) == std::vector<char>{1, 0, 1});
}

TEST_CASE("integers that differ are rejected or those of the base") {
  Bench bench;
  bench.add({f32("w", {1}, {1}), i64("ids", {2}, {7, 9})});
  bench.add({f32("w", {1}, {2}), i64("ids", {2}, {7, 8})});
  const Error error = bench.refusal();
  CHECK(error.message() == "cannot merge the checkpoints: 1 tensor of integers or booleans differ");
  CHECK(error.detail() == "ids");
  CHECK(contains(error.hint(), "name a 'base'"));
  bench.set_base({f32("w", {1}, {0}), i64("ids", {2}, {1, 2})});
  CHECK(bench.merge().notes ==
        std::vector<std::string>{"1 tensor of integers or booleans differ; the result has those of the base: ids"});
  CHECK(values<std::int64_t>(Safetensors::read(bench.out()).tensor("ids").bytes) == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("statistics of BatchNorm are averaged with a warning and its counters are not") {
  Bench bench;
  for (const std::int64_t steps : {5, 8})
    bench.add({f32("bn.running_mean", {1}, {static_cast<float>(steps)}), f32("bn.running_var", {1}, {1}),
               i64("bn.num_batches_tracked", {}, {steps})});
  const auto notes = bench.merge().notes;
  REQUIRE(notes.size() == 2);
  CHECK(notes[0] == "1 tensor that count batches differ; the result has those of m0: bn.num_batches_tracked");
  CHECK(contains(notes[1], "the merged model has averaged BatchNorm statistics (2 tensors)"));
  CHECK(contains(notes[1], "swa_utils.update_bn"));
  const Safetensors made = Safetensors::read(bench.out());
  CHECK(values(made, "bn.running_mean") == std::vector<float>{6.5F});
  CHECK(values<std::int64_t>(made.tensor("bn.num_batches_tracked").bytes) == std::vector<std::int64_t>{5});
}

TEST_CASE("a constant that not all checkpoints hold is left out") {
  Bench bench;
  bench.add({f32("w", {1}, {1}), i64("embeddings.position_ids", {1, 2}, {0, 1})});
  bench.add({f32("w", {1}, {2})});
  const auto notes = bench.merge().notes;
  CHECK(notes == std::vector<std::string>{"1 tensor that only some checkpoints have are constants and left out: "
                                          "embeddings.position_ids"});
  CHECK(Safetensors::read(bench.out()).names() == std::vector<std::string>{"w"});
  Bench other_way;
  other_way.add({f32("w", {1}, {1})});
  other_way.add({f32("w", {1}, {2}), i64("embeddings.position_ids", {1, 2}, {0, 1})});
  other_way.merge();
  CHECK(Safetensors::read(other_way.out()).names() == std::vector<std::string>{"w"});
}

// ---- what does not fit ---------------------------------------------------------------------------------------------

TEST_CASE("all differences between checkpoints are listed at once") {
  Bench bench;
  bench.add({f32("conv1.weight", {1}, {1}), f32("fc.weight", {2}, {1, 2}), i64("steps", {}, {1}), f32("x", {1}, {1})});
  bench.add(
      {f32("conv.weight", {1}, {1}), f32("fc.weight", {1, 2}, {1, 2}), f32("steps", {}, {1}), f32("x", {1}, {1})});
  bench.add({f32("conv1.weight", {1}, {1}), f32("fc.weight", {2}, {1, 2}), i64("steps", {}, {1})});
  const Error error = bench.refusal();
  CHECK(error.message() == "cannot merge the checkpoints: they do not have the same architecture");
  CHECK(error.detail() ==
        "m1 lacks 1 tensor of m0: conv1.weight (it has conv.weight)\n"
        "m1 has 1 tensor that m0 lacks: conv.weight\n"
        "m1 has 1 tensor of another shape: fc.weight [1, 2] instead of [2]\n"
        "m1 has 1 tensor of another type: steps F32 instead of I64\n"
        "m2 lacks 1 tensor of m0: x");
  CHECK(contains(error.hint(), "fine-tuned from the same base"));
}

TEST_CASE("checkpoints with nothing in common are reported in one line") {
  Bench bench;
  bench.add({f32("a", {1}, {1}), f32("b", {1}, {1})});
  bench.add({f32("encoder", {1}, {1})});
  CHECK(bench.refusal().detail() == "m1 has none of the 2 tensors of m0, such as a; it has encoder");
}

TEST_CASE("a tensor of a type that nothing computes with is rejected by its name") {
  Bench bench;
  const Tensor narrow = tensor_of<char>("q", Dtype::f8_e4m3, {1}, {1});
  bench.add({f32("w", {1}, {1}), narrow});
  bench.add({f32("w", {1}, {2}), narrow});
  const auto error = error_of([&] { bench.merge(); });
  REQUIRE(error);
  CHECK(error->message() == "cannot merge the checkpoints: the type of a tensor is not supported");
  CHECK(contains(error->detail(), "q of "));
  CHECK(contains(error->detail(), "has type F8_E4M3"));
  CHECK(contains(error->hint(), "float32"));
}

TEST_CASE("unsigned integers are kept like signed ones") {
  Bench bench;
  const Tensor ids = tensor_of<std::uint16_t>("ids", Dtype::u16, {2}, {7, 65535});
  bench.add({f32("w", {1}, {1}), ids});
  bench.add({f32("w", {1}, {3}), ids});
  bench.merge();
  CHECK(values<std::uint16_t>(Safetensors::read(bench.out()).tensor("ids").bytes) ==
        std::vector<std::uint16_t>{7, 65535});
}

TEST_CASE("names with the prefix of a wrapper are reported as that") {
  for (const auto& [prefix, maker] : {std::pair{"module.", "torch.nn.DataParallel"}, {"_orig_mod.", "torch.compile"}}) {
    Bench bench;
    bench.add({f32("a", {1}, {1}), f32("b", {1}, {1})});
    bench.add({f32(prefix + std::string("a"), {1}, {1}), f32(prefix + std::string("b"), {1}, {1})});
    const auto error = error_of([&] { bench.merge(); });
    REQUIRE(error);
    CHECK(contains(error->detail(), fmt::format("all names begin with '{}', which {} puts there", prefix, maker)));
    CHECK(contains(error->detail(), fmt::format("save model.{}state_dict()", prefix)));
  }
}

TEST_CASE("of many differences the first are named") {
  Bench bench;
  std::vector<Tensor> many;
  for (int i = 0; i < 9; ++i) many.push_back(f32(fmt::format("layer.{}", i), {1}, {1}));
  many.push_back(f32("w", {1}, {1}));
  bench.add(many);
  bench.add({f32("w", {1}, {1})});
  CHECK(bench.refusal().detail() == "m1 lacks 9 tensors of m0: layer.0, layer.1, layer.2, layer.3, layer.4 and 4 more");
}

TEST_CASE("a base may hold more than the checkpoints but not less") {
  Bench bench;
  bench.set_base({f32("w", {1}, {1}), f32("text.w", {5}, {1, 2, 3, 4, 5})});
  bench.add({f32("w", {1}, {3})});
  MergeSettings settings = method(MergeMethod::task_arithmetic);
  CHECK(bench.merged(settings) == std::vector<float>{3});
  Bench less;
  less.set_base({f32("other", {1}, {1})});
  less.add({f32("w", {1}, {3})});
  CHECK(contains(less.refusal(settings).detail(), "base has none of the 1 tensor of m0"));
}

TEST_CASE("tensors are compared under their aliases") {
  Bench bench;
  bench.add({f32("w", {1}, {1})});
  bench.add({f32("tower.w", {1}, {3}), f32("logit_scale", {}, {1})});
  bench.inputs()[1].alias = [](std::string_view name) {
    return name.starts_with("tower.") ? std::string(name.substr(6)) : std::string{};
  };
  CHECK(bench.merged() == std::vector<float>{2});
  Bench twins;
  twins.add({f32("w", {1}, {1}), f32("tower.w", {1}, {3})});
  twins.inputs()[0].alias = [](std::string_view) { return std::string("w"); };
  const Error error = twins.refusal();
  CHECK(error.message() == fmt::format("{} has two tensors for w", (twins.folder() / "m0.safetensors").string()));
  CHECK(error.detail() == "tower.w and w");
}

TEST_CASE("the layouts of an image tower have the same aliases") {
  CHECK(clip_tower_alias("vision_model.embeddings.class_embedding") == "embeddings.class_embedding");
  CHECK(clip_tower_alias("embeddings.class_embedding") == "embeddings.class_embedding");
  CHECK(clip_tower_alias("visual_projection.weight") == "visual_projection.weight");
  CHECK(clip_tower_alias("text_model.embeddings.token_embedding.weight").empty());
  CHECK(clip_tower_alias("text_projection.weight").empty());
  CHECK(clip_tower_alias("logit_scale").empty());
}

TEST_CASE("whether a merge is possible is reported without one") {
  Bench bench;
  bench.add(std::vector<float>{1});
  check_merge({}, bench.inputs(), nullptr);
  bench.add({f32("other", {1}, {1})});
  const auto error = error_of([&] { check_merge({}, bench.inputs(), nullptr); });
  REQUIRE(error);
  CHECK(error->message() == "cannot merge the checkpoints: they do not have the same architecture");
}

TEST_CASE("a merge goes to a sink as into a file") {
  Bench bench;
  bench.add(random_values(kLong, 1));
  bench.add(random_values(kLong, 2));
  bench.merge();
  std::string bytes;
  merge_checkpoints({}, bench.inputs(), nullptr, ByteSink([&](std::span<const std::byte> piece) {
                      for (const std::byte byte : piece) bytes.push_back(static_cast<char>(byte));
                    }));
  CHECK(bytes == text_of(bench.out()));
}

TEST_CASE("a checkpoint without tensors is rejected") {
  Bench bench;
  bench.add(std::vector<Tensor>{});
  CHECK(bench.refusal().message() ==
        fmt::format("{} has no tensors to merge", (bench.folder() / "m0.safetensors").string()));
}

TEST_CASE("settings that a method cannot take are rejected") {
  Bench bench;
  CHECK(bench.refusal().message() == "there is nothing to merge");
  bench.add(std::vector<float>{1});
  CHECK(bench.refusal(method(MergeMethod::task_arithmetic)).message() == "task_arithmetic needs a base");
  CHECK(bench.refusal(method(MergeMethod::ties)).message() == "ties needs a base");
  CHECK(bench.refusal(method(MergeMethod::slerp)).message() == "slerp merges two checkpoints, not 1");
  CHECK(bench.refusal(method(MergeMethod::weighted)).message() == "0 weights given for 1 checkpoint");
  MergeSettings settings;
  settings.density = 0;
  CHECK(bench.refusal(settings).message() == "the density must be above 0 and at most 1, not 0");
  settings = {};
  settings.t = std::nan("");
  CHECK(bench.refusal(settings).message() == "scaling and t must be finite, not 0.3 and nan");
}

TEST_CASE("weights that cannot be normalized are rejected") {
  const auto factors = [](std::vector<double> weights, bool normalize, bool accumulate_f64 = false) {
    MergeSettings settings = method(MergeMethod::weighted);
    settings.weights = std::move(weights);
    settings.normalize = normalize;
    settings.accumulate_f64 = accumulate_f64;
    return weight_factors(settings);
  };
  CHECK(factors({1, 3}, true) == std::vector<double>{0.25, 0.75});
  CHECK(factors({1, -1}, false) == std::vector<double>{1, -1});
  const auto zero = error_of([&] { factors({1, -1}, true); });
  REQUIRE(zero);
  CHECK(zero->kind() == ErrorKind::usage);
  CHECK(zero->message() == "the weights cannot be normalized: they sum to 0");
  CHECK(zero->hint() == "change them or set normalize: false");
  CHECK(error_of([&] {
          factors({1e308, 1e308}, true, true);
        })->message() == "the weights cannot be normalized: they sum to inf");
  CHECK(error_of([&] { factors({std::nan("")}, false); })->message() == "a weight must be a finite number, not nan");
  // In float64 a rounding error of 6e-17 is left of them, in float32 nothing.
  CHECK(error_of([&] {
          factors({0.1, 0.2, -0.3}, true, true);
        })
            ->message()
            .starts_with("the weights cannot be normalized: they sum to 5.55"));
  CHECK(error_of([&] { factors({0.1, 0.2, -0.3}, true); }));
  CHECK(error_of([&] { factors({1, 1e-9, -1}, true); }));
  CHECK(factors({1, 1e-9, -1}, true, true).size() == 3);  // float64 holds such a sum to seven digits
}

TEST_CASE("float64 is merged in float64 only") {
  Bench bench;
  const std::vector<double> third{1.0 / 3};
  bench.add({tensor_of("w", Dtype::f64, {1}, third)});
  const Error error = bench.refusal();
  CHECK(error.message() == "tensor w is F64, which float32 cannot hold");
  CHECK(error.hint() == "set 'accumulate: float64' for the merge");
  MergeSettings settings;
  settings.accumulate_f64 = true;
  bench.merge(settings);
  CHECK(values<double>(Safetensors::read(bench.out()).tensor("w").bytes) == third);
}

// ---- files ---------------------------------------------------------------------------------------------------------

TEST_CASE("a checkpoint that becomes shorter ends the merge and leaves the old file") {
  Bench bench;
  bench.add(random_values(kLong, 1));
  bench.add(random_values(kLong, 2));
  std::ofstream(bench.out()) << "old";
  std::filesystem::resize_file(bench.folder() / "m1.safetensors", 200'000);
  const auto error = error_of([&] { bench.merge(); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->detail() == "it became shorter while it was read");
  CHECK(text_of(bench.out()) == "old");
  CHECK(bench.folder().names().size() == 3);
}

TEST_CASE("a folder that is not there is reported before anything is computed") {
  Bench bench;
  bench.add(std::vector<float>{1});
  const auto error = error_of([&] { merge_checkpoints({}, bench.inputs(), nullptr, "/nowhere/out.safetensors"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "could not write /nowhere/out.safetensors");
}

TEST_CASE("a merge that is killed leaves the old file and nothing else") {
  Bench bench;
  bench.add(random_values(kLong, 1));
  bench.add(random_values(kLong, 2));
  std::ofstream(bench.out()) << "old";
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    MergeSettings settings;
    settings.threads = 1;  // no thread is started in a forked process
    merge_checkpoints(settings, bench.inputs(), nullptr, bench.out(), {},
                      [](std::uint64_t, std::uint64_t) { ::raise(SIGKILL); });
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  CHECK(text_of(bench.out()) == "old");
  CHECK(bench.folder().names().size() == 3);
}

}  // namespace
}  // namespace tutti::merge::test
