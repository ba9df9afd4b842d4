// Tests of merging: results against PyTorch's and against whole tensors in memory, and what cannot be merged.
#include "merge/merging.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <fstream>
#include <random>

#include "merge/numbers.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/merge/tensors.hpp"

namespace tutti::merge {
namespace {

using test::f32;
using test::i64;
using test::Tensor;
using tutti::test::contains;
using tutti::test::error_of;
using tutti::test::TemporaryFolder;

constexpr std::int64_t kLong = 70'001;  // two chunks and a part

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

MergeInput input(const std::filesystem::path& file) {
  return {file.stem().string(), std::make_shared<const Checkpoint>(Checkpoint::open(file))};
}

std::vector<float> values(const Safetensors& file, const std::string& name) {
  const TensorView tensor = file.tensor(name);
  std::vector<float> out(tensor.bytes.size() / size_of(tensor.dtype));
  decode<float>(tensor.dtype, tensor.bytes, out);
  return out;
}

std::vector<float> random_values(std::int64_t count, unsigned seed) {
  std::mt19937 numbers(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(static_cast<std::size_t>(count));
  for (float& value : out) value = normal(numbers);
  return out;
}

/// Checkpoints made for one test, merged into a file of the same folder.
class Bench {
 public:
  void add(const std::vector<Tensor>& tensors) {
    const auto file = folder_ / fmt::format("m{}.safetensors", inputs_.size());
    test::write(file, tensors);
    inputs_.push_back(input(file));
  }
  void add(const std::vector<float>& of_w) { add({f32("w", {static_cast<std::int64_t>(of_w.size())}, of_w)}); }
  void set_base(const std::vector<Tensor>& tensors) {
    test::write(folder_ / "base.safetensors", tensors);
    base_.emplace_back(input(folder_ / "base.safetensors"));
  }
  void set_base(const std::vector<float>& of_w) {
    set_base({f32("w", {static_cast<std::int64_t>(of_w.size())}, of_w)});
  }

  MergeOutcome merge(const MergeSettings& settings = {}) {
    return merge_checkpoints(settings, inputs_, base_.empty() ? nullptr : &base_.front(), out());
  }
  std::vector<float> merged(const MergeSettings& settings = {}, const std::string& name = "w") {
    merge(settings);
    return values(Safetensors::read(out()), name);
  }
  /// What merging is refused with; nothing is written then.
  Error refusal(const MergeSettings& settings = {}) {
    const auto error = error_of([&] { merge(settings); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK_FALSE(std::filesystem::exists(out()));
    return *error;
  }
  std::filesystem::path out() const { return folder_ / "out.safetensors"; }
  const TemporaryFolder& folder() const { return folder_; }
  std::vector<MergeInput>& inputs() { return inputs_; }
  MergeInput* base() { return base_.empty() ? nullptr : &base_.front(); }

 private:
  TemporaryFolder folder_;
  std::vector<MergeInput> inputs_;
  std::vector<MergeInput> base_;
};

MergeSettings method(MergeMethod which) {
  MergeSettings settings;
  settings.method = which;
  settings.scaling = 1;
  settings.disjoint = Disjoint::mean;
  return settings;
}

// ---- results -------------------------------------------------------------------------------------------------------

TEST_CASE("merged checkpoints are those that PyTorch computes") {
  MergeSettings weighted = method(MergeMethod::weighted);
  weighted.weights = {1, 2, 3};
  MergeSettings arithmetic = method(MergeMethod::task_arithmetic);
  arithmetic.scaling = 0.4;
  MergeSettings ties_mean = method(MergeMethod::ties);
  ties_mean.scaling = 0.7;
  MergeSettings ties_sum = ties_mean;
  ties_sum.disjoint = Disjoint::sum;
  MergeSettings slerp = method(MergeMethod::slerp);
  slerp.t = 0.3;
  const std::string data = TUTTI_TEST_DATA;
  std::vector<MergeInput> inputs;
  for (int rank = 0; rank < 3; ++rank) inputs.push_back(input(fmt::format("{}/tuned-{}.safetensors", data, rank)));
  const MergeInput base = input(data + "/base.safetensors");
  for (const auto& [name, wanted] :
       {std::pair{std::string("average"), MergeSettings{}}, std::pair{std::string("weighted"), weighted},
        std::pair{std::string("task_arithmetic"), arithmetic}, std::pair{std::string("ties-mean"), ties_mean},
        std::pair{std::string("ties-sum"), ties_sum}, std::pair{std::string("slerp"), slerp}})
    for (const bool accumulate_f64 : {false, true}) {
      MergeSettings settings = wanted;
      settings.accumulate_f64 = accumulate_f64;
      const std::string label = name;  // clang cannot capture a structured binding
      CAPTURE(label);
      CAPTURE(accumulate_f64);
      const TemporaryFolder folder;
      const std::size_t count = settings.method == MergeMethod::slerp ? 2 : 3;
      const auto outcome =
          merge_checkpoints(settings, std::span(inputs).first(count), &base, folder / "out.safetensors");
      CHECK(outcome.tensors == 6);
      CHECK(outcome.values == 13 * 7 + 5 * 11 + 2 * 6 * 9 + 1);
      CHECK(outcome.notes.empty());
      CHECK(outcome.bytes_written == std::filesystem::file_size(folder / "out.safetensors"));
      const Safetensors made = Safetensors::read(folder / "out.safetensors");
      const Safetensors expected = Safetensors::read(fmt::format("{}/merged-{}.safetensors", data, name));
      REQUIRE(made.names() == expected.names());
      for (const std::string& tensor : expected.names()) {
        CAPTURE(tensor);
        CHECK(made.tensor(tensor).shape == expected.tensor(tensor).shape);
        REQUIRE(made.tensor(tensor).dtype == expected.tensor(tensor).dtype);
        if (tensor == "steps") {
          CHECK(std::ranges::equal(made.tensor(tensor).bytes, expected.tensor(tensor).bytes));
          continue;
        }
        const Dtype dtype = expected.tensor(tensor).dtype;
        // Half a place of the shorter formats would be lost where both sides round to different neighbours.
        const double epsilon = dtype == Dtype::f32 ? 2e-6 : dtype == Dtype::f16 ? 1e-3 : 8e-3;
        const auto a = values(made, tensor);
        const auto b = values(expected, tensor);
        for (std::size_t i = 0; i < a.size(); ++i) {
          const double difference = std::fabs(static_cast<double>(a[i]) - b[i]);
          REQUIRE(difference <= epsilon * std::max(1.0, std::fabs(static_cast<double>(b[i]))));
        }
      }
    }
}

TEST_CASE("long tensors are averaged over the borders of chunks") {
  Bench bench;
  std::vector<std::vector<float>> all;
  for (unsigned seed = 0; seed < 3; ++seed) {
    all.push_back(random_values(kLong, seed));
    bench.add(all.back());
  }
  std::vector<float> expected(all[0].size());
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = (all[0][i] + all[1][i] + all[2][i]) / 3.0F;
  CHECK(bench.merged() == expected);
}

TEST_CASE("the average of equal checkpoints is that checkpoint to the bit in float64") {
  Bench bench;
  const auto one = random_values(1000, 1);
  for (int i = 0; i < 3; ++i) bench.add(one);
  MergeSettings settings;
  settings.accumulate_f64 = true;
  CHECK(bench.merged(settings) == one);
}

TEST_CASE("weights are normalized or taken as they are") {
  Bench bench;
  bench.add(std::vector<float>{1, 10});
  bench.add(std::vector<float>{2, 20});
  MergeSettings settings = method(MergeMethod::weighted);
  settings.weights = {1, 3};
  CHECK(bench.merged(settings) == std::vector<float>{1.75F, 17.5F});
  settings.normalize = false;
  CHECK(bench.merged(settings) == std::vector<float>{7, 70});
  settings.weights = {1, -1};
  CHECK(bench.merged(settings) == std::vector<float>{-1, -10});
}

TEST_CASE("task vectors are added to the base") {
  Bench bench;
  bench.set_base({1, 1, 1});
  bench.add(std::vector<float>{2, 1, 0});
  bench.add(std::vector<float>{3, 1, -1});
  MergeSettings settings = method(MergeMethod::task_arithmetic);
  settings.scaling = 0.5;
  CHECK(bench.merged(settings) == std::vector<float>{2.5F, 1, -0.5F});
}

// What the authors' code says, with whole vectors in memory.
std::vector<float> simple_ties(const std::vector<float>& base, const std::vector<std::vector<float>>& tuned,
                               double density, float scaling, bool mean) {
  std::vector<std::vector<float>> kept;
  for (const auto& one : tuned) {
    std::vector<float> change(base.size());
    std::vector<float> sizes(base.size());
    for (std::size_t i = 0; i < base.size(); ++i) {
      change[i] = one[i] - base[i];
      sizes[i] = std::fabs(change[i]);
    }
    const std::size_t drop = sizes.size() - static_cast<std::size_t>(static_cast<double>(sizes.size()) * density);
    std::ranges::sort(sizes);
    const float threshold = drop == 0 ? 0 : sizes[drop - 1];
    for (float& value : change) value = std::fabs(value) >= threshold ? value : 0;
    kept.push_back(change);
  }
  std::vector<float> out(base);
  for (std::size_t i = 0; i < base.size(); ++i) {
    float all = 0;
    for (const auto& one : kept) all += one[i];
    float sum = 0;
    float count = 0;
    for (const auto& one : kept)
      if (one[i] * all > 0) {
        sum += one[i];
        count += 1;
      }
    if (count > 0) out[i] += scaling * (mean ? sum / count : sum);
  }
  return out;
}

TEST_CASE("ties agrees with whole vectors in memory") {
  Bench bench;
  const auto base = random_values(kLong, 9);
  bench.set_base(base);
  std::vector<std::vector<float>> tuned;
  for (unsigned seed = 0; seed < 4; ++seed) {
    auto one = random_values(kLong, 20 + seed);
    for (std::size_t i = 0; i < one.size(); ++i) one[i] = base[i] + one[i] * (i % 7 == 0 ? 1.0F : 1e-3F);
    tuned.push_back(one);
    bench.add(one);
  }
  for (const double density : {0.2, 0.01, 0.77, 1.0})
    for (const bool mean : {true, false}) {
      MergeSettings settings = method(MergeMethod::ties);
      settings.density = density;
      settings.scaling = 0.5;
      settings.disjoint = mean ? Disjoint::mean : Disjoint::sum;
      CAPTURE(density);
      CAPTURE(mean);
      CHECK(bench.merged(settings) == simple_ties(base, tuned, density, 0.5F, mean));
    }
}

TEST_CASE("ties trims over the whole model and not tensor by tensor") {
  Bench bench;
  bench.set_base({f32("a", {4}, {0, 0, 0, 0}), f32("b", {4}, {0, 0, 0, 0})});
  bench.add({f32("a", {4}, {1, 2, 3, 4}), f32("b", {4}, {10, 20, 30, 40})});
  MergeSettings settings = method(MergeMethod::ties);
  settings.density = 0.375;  // three of eight, and the one whose magnitude is the threshold
  CHECK(bench.merged(settings, "a") == std::vector<float>{0, 0, 0, 0});
  CHECK(bench.merged(settings, "b") == std::vector<float>{10, 20, 30, 40});
  settings.density = 0.25;
  CHECK(bench.merged(settings, "b") == std::vector<float>{0, 20, 30, 40});
}

TEST_CASE("in ties changes that cancel change nothing and what is no number shows") {
  Bench bench;
  bench.set_base({1, 1, 1});
  bench.add({3, 2, std::nanf("")});
  bench.add(std::vector<float>{-1, 2, 5});
  MergeSettings settings = method(MergeMethod::ties);
  settings.density = 1;
  const auto merged = bench.merged(settings);
  CHECK(merged[0] == 1);
  CHECK(merged[1] == 2);
  CHECK(std::isnan(merged[2]));
  CHECK(bench.merge(settings).notes ==
        std::vector<std::string>{"1 values of the result are not finite, the first in w"});
}

TEST_CASE("slerp goes along the arc and keeps the length") {
  Bench bench;
  bench.add(std::vector<float>{2, 0});
  bench.add(std::vector<float>{0, 2});
  MergeSettings settings = method(MergeMethod::slerp);
  const auto half = bench.merged(settings);
  CHECK(half[0] == doctest::Approx(std::sqrt(2.0)));
  CHECK(half[1] == doctest::Approx(std::sqrt(2.0)));
  settings.t = 0;
  CHECK(bench.merged(settings) == std::vector<float>{2, 0});
}

TEST_CASE("slerp of colinear or empty vectors is linear") {
  for (const auto& pair : {std::pair{std::vector<float>{1, 2}, std::vector<float>{3, 6}},
                           std::pair{std::vector<float>{0, 0}, std::vector<float>{1, 2}}}) {
    Bench bench;
    bench.add(pair.first);
    bench.add(pair.second);
    MergeSettings settings = method(MergeMethod::slerp);
    settings.t = 0.25;
    const auto merged = bench.merged(settings);
    for (std::size_t i = 0; i < 2; ++i) CHECK(merged[i] == 0.75F * pair.first[i] + 0.25F * pair.second[i]);
  }
}

TEST_CASE("slerp takes a tensor of several chunks as one vector") {
  Bench bench;
  const auto first = random_values(kLong, 1);
  const auto second = random_values(kLong, 2);
  bench.add(first);
  bench.add(second);
  double both = 0;
  double ones = 0;
  double twos = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    both += static_cast<double>(first[i]) * second[i];
    ones += static_cast<double>(first[i]) * first[i];
    twos += static_cast<double>(second[i]) * second[i];
  }
  const double angle = std::acos(both / std::sqrt(ones * twos));
  const double factor = std::sin(angle / 2) / std::sin(angle);
  const auto merged = bench.merged(method(MergeMethod::slerp));
  for (std::size_t i = 0; i < merged.size(); ++i)
    REQUIRE(std::fabs(merged[i] - factor * (static_cast<double>(first[i]) + second[i])) < 1e-6);
}

TEST_CASE("the bytes of the result do not depend on the threads") {
  for (const MergeMethod which : {MergeMethod::average, MergeMethod::ties, MergeMethod::slerp}) {
    Bench bench;
    bench.set_base(random_values(200'000, 5));
    bench.add(random_values(200'000, 6));
    bench.add(random_values(200'000, 7));
    MergeSettings settings = method(which);
    settings.threads = 1;
    bench.merge(settings);
    const std::string alone = text_of(bench.out());
    settings.threads = 4;
    bench.merge(settings);
    CHECK(text_of(bench.out()) == alone);
  }
}

TEST_CASE("what is accumulated in float64 is rounded once") {
  Bench bench;
  bench.add(std::vector<float>{1.0F});
  bench.add(std::vector<float>{0x1p-25F});
  bench.add(std::vector<float>{0x1p-25F});
  MergeSettings settings = method(MergeMethod::weighted);
  settings.weights = {1, 1, 1};
  settings.normalize = false;
  CHECK(bench.merged(settings) == std::vector<float>{1});
  settings.accumulate_f64 = true;
  settings.weights = {1, 2, 2};
  CHECK(bench.merged(settings) == std::vector<float>{1.0F + 0x1p-23F});
}

TEST_CASE("the result has the types and names of the first checkpoint and its order") {
  Bench bench;
  const std::vector<std::uint16_t> halves{half_of_float(1), half_of_float(2)};
  bench.add({f32("z", {1}, {1}), test::tensor_of("a", Dtype::f16, {2}, halves)});
  bench.add({f32("z", {1}, {3}), f32("a", {2}, {2, 2})});
  const MergeOutcome outcome = bench.merge();
  CHECK(outcome.notes == std::vector<std::string>{"1 tensor of other precision than in m0, which the result keeps: a"});
  const Safetensors made = Safetensors::read(bench.out());
  CHECK(made.tensor("a").dtype == Dtype::f16);
  CHECK(values(made, "a") == std::vector<float>{1.5F, 2});
  CHECK(values(made, "z") == std::vector<float>{2});
}

TEST_CASE("metadata and progress are passed on") {
  Bench bench;
  bench.set_base(random_values(100'000, 1));
  bench.add(random_values(100'000, 2));
  bench.add(random_values(100'000, 3));
  for (const MergeMethod which :
       {MergeMethod::average, MergeMethod::task_arithmetic, MergeMethod::ties, MergeMethod::slerp}) {
    std::uint64_t last = 0;
    std::uint64_t all = 0;
    const MergeOutcome outcome = merge_checkpoints(method(which), bench.inputs(), bench.base(), bench.out(),
                                                   {{"format", "pt"}}, [&](std::uint64_t done, std::uint64_t total) {
                                                     CHECK(done >= last);
                                                     last = done;
                                                     all = total;
                                                   });
    CHECK(last == all);
    CHECK(outcome.bytes_read == all);
    CHECK(Safetensors::read(bench.out()).metadata() == std::map<std::string, std::string>{{"format", "pt"}});
  }
}

TEST_CASE("a value that is too large for its type is told") {
  Bench bench;
  const std::vector<std::uint16_t> large{half_of_float(60000)};
  bench.add({test::tensor_of("w", Dtype::f16, {1}, large)});
  bench.add({test::tensor_of("w", Dtype::f16, {1}, large)});
  MergeSettings settings = method(MergeMethod::weighted);
  settings.weights = {1, 1};
  settings.normalize = false;
  CHECK(bench.merge(settings).notes ==
        std::vector<std::string>{"1 values of the result are not finite, the first in w"});
  CHECK(std::isinf(values(Safetensors::read(bench.out()), "w").front()));
}

TEST_CASE("a tensor without values is merged") {
  Bench bench;
  bench.set_base({f32("w", {0, 3}, {})});
  bench.add({f32("w", {0, 3}, {})});
  for (const MergeMethod which : {MergeMethod::average, MergeMethod::ties, MergeMethod::task_arithmetic}) {
    bench.merge(method(which));
    CHECK(Safetensors::read(bench.out()).tensor("w").shape == std::vector<std::int64_t>{0, 3});
  }
}

// ---- integers ------------------------------------------------------------------------------------------------------

TEST_CASE("integers and booleans that are equal are kept") {
  Bench bench;
  const Tensor mask = test::tensor_of<char>("mask", Dtype::boolean, {3}, {1, 0, 1});
  bench.add({f32("w", {1}, {1}), i64("ids", {2}, {7, 9}), mask});
  bench.add({f32("w", {1}, {2}), i64("ids", {2}, {7, 9}), mask});
  CHECK(bench.merge().notes.empty());
  const Safetensors made = Safetensors::read(bench.out());
  CHECK(test::values<std::int64_t>(made.tensor("ids").bytes) == std::vector<std::int64_t>{7, 9});
  CHECK(test::values<char>(made.tensor("mask").bytes) == std::vector<char>{1, 0, 1});
}

TEST_CASE("integers that differ are refused or those of the base") {
  Bench bench;
  bench.add({f32("w", {1}, {1}), i64("ids", {2}, {7, 9})});
  bench.add({f32("w", {1}, {2}), i64("ids", {2}, {7, 8})});
  const Error error = bench.refusal();
  CHECK(error.message() == "the checkpoints cannot be merged: 1 tensor of integers or booleans differ");
  CHECK(error.detail() == "ids");
  CHECK(contains(error.hint(), "name a 'base'"));
  bench.set_base({f32("w", {1}, {0}), i64("ids", {2}, {1, 2})});
  CHECK(bench.merge().notes ==
        std::vector<std::string>{"1 tensor of integers or booleans differ and are those of the base: ids"});
  CHECK(test::values<std::int64_t>(Safetensors::read(bench.out()).tensor("ids").bytes) ==
        std::vector<std::int64_t>{1, 2});
}

TEST_CASE("statistics of BatchNorm are averaged with a warning and its counters are not") {
  Bench bench;
  for (const std::int64_t steps : {5, 8})
    bench.add({f32("bn.running_mean", {1}, {static_cast<float>(steps)}), f32("bn.running_var", {1}, {1}),
               i64("bn.num_batches_tracked", {}, {steps})});
  const auto notes = bench.merge().notes;
  REQUIRE(notes.size() == 2);
  CHECK(notes[0] == "1 tensor that count batches differ and are those of m0: bn.num_batches_tracked");
  CHECK(contains(notes[1], "the merged model has BatchNorm statistics (2 tensors) that no images gave"));
  CHECK(contains(notes[1], "swa_utils.update_bn"));
  const Safetensors made = Safetensors::read(bench.out());
  CHECK(values(made, "bn.running_mean") == std::vector<float>{6.5F});
  CHECK(test::values<std::int64_t>(made.tensor("bn.num_batches_tracked").bytes) == std::vector<std::int64_t>{5});
}

TEST_CASE("a constant that not all checkpoints hold is left out") {
  Bench bench;
  bench.add({f32("w", {1}, {1}), i64("embeddings.position_ids", {1, 2}, {0, 1})});
  bench.add({f32("w", {1}, {2})});
  const auto notes = bench.merge().notes;
  CHECK(notes == std::vector<std::string>{"1 tensor that not all checkpoints have are constants and left out: "
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
  CHECK(error.message() == "the checkpoints cannot be merged: they are not of one architecture");
  CHECK(error.detail() ==
        "m1 lacks 1 tensor of m0: conv1.weight (it has conv.weight)\n"
        "m1 has 1 tensor that m0 lacks: conv.weight\n"
        "m1 has 1 tensor of another shape: fc.weight [1, 2] instead of [2]\n"
        "m1 has 1 tensor of another type: steps F32 instead of I64\n"
        "m2 lacks 1 tensor of m0: x");
  CHECK(contains(error.hint(), "fine-tuned from one base"));
}

TEST_CASE("checkpoints with nothing in common are told in one line") {
  Bench bench;
  bench.add({f32("a", {1}, {1}), f32("b", {1}, {1})});
  bench.add({f32("encoder", {1}, {1})});
  CHECK(bench.refusal().detail() == "m1 has none of the 2 tensors of m0, such as a; it has encoder");
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

TEST_CASE("whether a merge is possible is told without one") {
  Bench bench;
  bench.add(std::vector<float>{1});
  check_merge({}, bench.inputs(), nullptr);
  bench.add({f32("other", {1}, {1})});
  const auto error = error_of([&] { check_merge({}, bench.inputs(), nullptr); });
  REQUIRE(error);
  CHECK(error->message() == "the checkpoints cannot be merged: they are not of one architecture");
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

TEST_CASE("a checkpoint without tensors is refused") {
  Bench bench;
  bench.add(std::vector<Tensor>{});
  CHECK(bench.refusal().message() ==
        fmt::format("{} holds no tensors to merge", (bench.folder() / "m0.safetensors").string()));
}

TEST_CASE("settings that a method cannot take are refused") {
  Bench bench;
  CHECK(bench.refusal().message() == "there is nothing to merge");
  bench.add(std::vector<float>{1});
  CHECK(bench.refusal(method(MergeMethod::task_arithmetic)).message() == "task_arithmetic needs a base");
  CHECK(bench.refusal(method(MergeMethod::ties)).message() == "ties needs a base");
  CHECK(bench.refusal(method(MergeMethod::slerp)).message() == "slerp merges two checkpoints, not 1");
  CHECK(bench.refusal(method(MergeMethod::weighted)).message() == "0 weights were given for 1 checkpoints");
  MergeSettings settings;
  settings.density = 0;
  CHECK(bench.refusal(settings).message() == "the density must be above 0 and at most 1, not 0");
  settings = {};
  settings.t = std::nan("");
  CHECK(bench.refusal(settings).message() == "scaling and t must be finite, not 0.3 and nan");
}

TEST_CASE("weights that cannot be normalized are refused") {
  CHECK(weight_factors(std::vector<double>{1, 3}, true) == std::vector<double>{0.25, 0.75});
  CHECK(weight_factors(std::vector<double>{1, -1}, false) == std::vector<double>{1, -1});
  const auto zero = error_of([] { weight_factors(std::vector<double>{1, -1}, true); });
  REQUIRE(zero);
  CHECK(zero->kind() == ErrorKind::usage);
  CHECK(zero->message() == "the weights cannot be normalized: they sum to 0");
  CHECK(zero->hint() == "change them or set normalize: false");
  CHECK(error_of([] {
          weight_factors(std::vector<double>{1e308, 1e308}, true);
        })->message() == "the weights cannot be normalized: they sum to inf");
  CHECK(error_of([] { weight_factors(std::vector<double>{std::nan("")}, false); })->message() ==
        "a weight must be a finite number, not nan");
}

TEST_CASE("float64 is merged in float64 only") {
  Bench bench;
  const std::vector<double> third{1.0 / 3};
  bench.add({test::tensor_of("w", Dtype::f64, {1}, third)});
  const Error error = bench.refusal();
  CHECK(error.message() == "tensor w is F64, which float32 cannot hold");
  CHECK(error.hint() == "set accumulate: float64 for the merge");
  MergeSettings settings;
  settings.accumulate_f64 = true;
  bench.merge(settings);
  CHECK(test::values<double>(Safetensors::read(bench.out()).tensor("w").bytes) == third);
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

TEST_CASE("a folder that is not there is told before anything is computed") {
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
}  // namespace tutti::merge
