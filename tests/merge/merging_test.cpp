// Tests of merging: results against PyTorch's and against whole tensors in memory.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "tests/merge/merges.hpp"
#include "tests/support/places.hpp"

namespace tutti::merge::test {
namespace {

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
  const std::string data = tutti::test::in_sources("tests/merge/data");
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
        // Half a place of the shorter formats would be lost if both sides round to different neighbours.
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

TEST_CASE("weights are normalized or used unchanged") {
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

TEST_CASE("in ties changes that cancel change nothing and NaN shows") {
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
  CHECK(bench.merge(settings).notes == std::vector<std::string>{"not finite in the result: 1 value, the first in w"});
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
  bench.add({f32("z", {1}, {1}), tensor_of("a", Dtype::f16, {2}, halves)});
  bench.add({f32("z", {1}, {3}), f32("a", {2}, {2, 2})});
  const MergeOutcome outcome = bench.merge();
  CHECK(outcome.notes == std::vector<std::string>{"1 tensor not in the precision of m0, which the result keeps: a"});
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

TEST_CASE("finite values that become too large for their type are an error and nothing is written") {
  Bench bench;
  const std::vector<std::uint16_t> large{half_of_float(60000)};
  bench.add({tensor_of("w", Dtype::f16, {1}, large)});
  bench.add({tensor_of("w", Dtype::f16, {1}, large)});
  MergeSettings settings = method(MergeMethod::weighted);
  settings.weights = {1, 1};
  settings.normalize = false;
  const auto error = tutti::test::error_of([&] { bench.merge(settings); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "the merge gives NaN or infinity in tensor w");
  CHECK(error->detail() == "the checkpoints are finite there, but the result is too large for F16");
  CHECK(error->hint() == "use smaller weights or a smaller 'scaling'");
  CHECK_FALSE(std::filesystem::exists(bench.out()));
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

}  // namespace
}  // namespace tutti::merge::test
