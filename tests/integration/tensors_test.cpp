// Ensembles over samples of several tensors through the API: members that take different ones, workers that die, and
// samples that do not fit.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <future>
#include <utility>
#include <vector>

#include "common/random.hpp"
#include "common/tensor_values.hpp"
#include "config/load.hpp"
#include "images/sources.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/array_files.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

/// Four members of 4 classes; each takes other tensors. `fault` is of the second.
config::EnsembleSpec tensors_spec(const std::string& fault = "") {
  return config::load_text(R"(
members:
  - {name: both, model: {kind: fake, classes: 4}, takes: [image, ids]}
  - {name: named, model: {kind: fake, classes: 4)" +
                               fault + R"(}, takes: {words: ids, one: number, mask: truths}}
  - {name: prepared, model: {kind: fake, classes: 4}, takes: image, input: {}}
  - {name: two, model: {kind: fake, classes: 4}, takes: [image, ids, other, third], input: {tensors: [third, image]}}
assignment: cpu
combine: {rule: mean, over: logits}
input:
  inputs:
    image: {shape: [2, 3, 3], dtype: uint8}
    ids: {shape: [5], dtype: int64}
    number: {shape: []}
    truths: {shape: [2, 2], dtype: bool}
    other: {shape: [1, 2, 2], dtype: uint8}
    third: {shape: [3, 2, 1], dtype: uint8}
segment_images: 8
batch_images: 3
slots: 2
restarts: {back_off_s: 0.001}
)",
                           "test");
}

/// Made-up samples for it, in memory.
struct MadeUp {
  explicit MadeUp(std::uint64_t count) {
    const auto spec = tensors_spec();
    std::vector<NamedLayout> tensors;
    for (const config::InputTensor& tensor : spec.input.tensors) tensors.push_back({tensor.name, tensor.layout});
    const auto source = images::make_random(count, tensors, 0, 3);
    std::vector<std::uint64_t> indices(count);
    for (std::uint64_t i = 0; i < count; ++i) indices[i] = i;
    read = read_samples(*source, indices);
    std::vector<TensorView> views;
    for (std::size_t t = tensors.size(); t-- > 0;) views.emplace_back(tensors[t], read.tensors[t]);
    samples = Samples(std::move(views));  // in another order than the ensemble's
  }
  ReadSamples read;
  Samples samples;
};

bool prepares(const config::MemberSpec& member, const std::string& tensor) {
  return member.input &&
         (member.prepares.empty() || std::ranges::find(member.prepares, tensor) != member.prepares.end());
}

/// What the members predict for a sample, and their mean, by plain loops.
std::vector<float> plain_mean(const config::EnsembleSpec& spec, const ReadSamples& read, std::size_t count) {
  constexpr std::size_t kClasses = 4;
  std::vector<float> all;
  for (std::size_t sample = 0; sample < count; ++sample) {
    std::array<float, kClasses> sum{};
    for (std::size_t rank = 0; rank < spec.members.size(); ++rank) {
      const config::MemberSpec& member = spec.members[rank];
      std::array<float, kClasses> row{};
      for (std::size_t c = 0; c < kClasses; ++c) row[c] = unit_float(random_at(member.seed, c));
      for (const config::TakesSpec& taken : member.takes) {
        const auto tensor = std::ranges::find(spec.input.tensors, taken.tensor, &config::InputTensor::name);
        const auto place = static_cast<std::size_t>(tensor - spec.input.tensors.begin());
        const TensorLayout& layout = tensor->layout;
        for (std::size_t i = 0; i < layout.elements(); ++i) {
          const float value =
              read_value(&read.tensors[place][sample * layout.bytes() + i * size_of(layout.dtype)], layout.dtype);
          row[i % kClasses] += prepares(member, taken.tensor) ? value / 255.0F : value;
        }
      }
      for (std::size_t c = 0; c < kClasses; ++c) sum[c] += row[c];
    }
    for (const float value : sum) all.push_back(value / 4);
  }
  return all;
}

TEST_CASE("members that take different tensors of a sample predict as plain loops do") {
  const NothingLeft census;
  const auto spec = tensors_spec();
  Ensemble ensemble(published(spec), with_worker());
  for (const std::size_t count : {21, 1, 0}) {
    const MadeUp made(count);
    const std::vector<float> expected = plain_mean(spec, made.read, count);
    CHECK(ensemble.predict(made.samples).values == expected);
    CHECK(ensemble.submit(made.samples).get().values == expected);
  }
}

TEST_CASE("samples of several tensors share segments and each call gets its own rows") {
  const NothingLeft census;
  auto spec = tensors_spec();
  spec.coalesce = config::CoalesceSpec{10'000'000};
  fake_model(spec, 0).delay_us = 20000;
  Ensemble ensemble(published(spec), with_worker());
  const MadeUp made(6);
  const Predictions all = ensemble.predict(made.samples);
  std::vector<std::future<Predictions>> calls;
  for (std::size_t row = 0; row < 6; ++row) {
    std::vector<TensorView> views;
    for (const TensorView& whole : made.samples.tensors()) {
      const std::uint64_t bytes = whole.tensor.layout.bytes();
      views.emplace_back(whole.tensor, whole.bytes.subspan(row * bytes, bytes));
    }
    calls.push_back(ensemble.submit(Samples(std::move(views))));
  }
  for (std::size_t row = 0; row < 6; ++row) {
    const auto first = all.values.begin() + static_cast<std::ptrdiff_t>(row * all.width);
    CHECK(calls[row].get().values == std::vector<float>(first, first + all.width));
  }
  CHECK(ensemble.status().members[0].segments_answered < 1 + 6);
}

TEST_CASE("workers that die on the way change no bit of what they compute from several tensors") {
  const NothingLeft census;
  const auto spec = tensors_spec(", faults: [{kind: kill, at_batch: 7}]");
  Ensemble ensemble(published(spec), with_worker());
  const MadeUp made(80);
  CHECK(ensemble.predict(made.samples).values == plain_mean(spec, made.read, 80));
  const Status status = ensemble.status();
  CHECK(status.faults.deaths >= 3);
  CHECK(status.faults.restarts == status.faults.deaths);
  CHECK(status.members[0].generation == 0);
}

TEST_CASE("samples that an ensemble does not take are refused and it continues") {
  const auto spec = tensors_spec();
  Ensemble ensemble(published(spec), with_worker());
  const std::vector<std::int64_t> ids(5);
  const Samples few{{"ids", ids, {5}}};
  CHECK(message_of([&] { ensemble.predict(few); }) == "memory has other samples than the ensemble takes");
  CHECK(message_of([&] { ensemble.submit(few); }) == "memory has other samples than the ensemble takes");
  const std::vector<std::int64_t> torn(6);
  CHECK(message_of([&] {
          ensemble.predict(Samples{{"ids", torn, {5}}});
        }) == "the samples of 'ids' in memory are not whole");
  const auto images = random_images(2);
  CHECK(message_of([&] { ensemble.predict(view(images)); }) == "memory has other samples than the ensemble takes");
  const MadeUp made(2);
  CHECK(ensemble.predict(made.samples).values == plain_mean(spec, made.read, 2));
}

/// Twice as many values as its index, and a label.
struct HostTensors final : TensorSource {
  std::string name() const override { return "host"; }
  std::uint64_t count() const override { return 20; }
  std::uint32_t classes() const override { return 4; }
  bool labelled() const override { return true; }
  std::vector<NamedLayout> tensors() const override { return {{"x", {Dtype::float32, {2}}}}; }
  void read_tensors(std::span<const std::uint64_t> indices, std::span<const std::span<std::byte>> tensors,
                    std::span<std::int64_t> labels) override {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const std::array values{static_cast<float>(indices[i]), 1.0F};
      std::memcpy(&tensors[0][i * sizeof values], values.data(), sizeof values);
      if (!labels.empty()) labels[i] = static_cast<std::int64_t>(indices[i] % 4);
    }
  }
};

TEST_CASE("a source of tensors of a host program is streamed and members are trained on it") {
  const auto spec = config::load_text(
      "members: [{name: m, model: {kind: fake, classes: 4}}]\nassignment: cpu\ncombine: {over: logits}\n"
      "input: {inputs: {x: {shape: [2]}}}\nsegment_images: 8\nbatch_images: 3\n",
      "test");
  HostTensors source;
  ListSink sink;
  {
    Ensemble ensemble(published(spec), with_worker());
    ensemble.run(source, sink);
  }
  REQUIRE(sink.values.size() == 80);
  CHECK(sink.values[4 * 19] == unit_float(random_at(spec.members[0].seed, 0)) + 19.0F);
  CHECK(sink.labels[19] == 3);
  Options options = with_worker();
  options.training = true;
  const TemporaryFolder folder;
  Ensemble trainer(published(spec), options);
  CHECK(trainer.train(source, folder.path()).weights.size() == 1);
}

}  // namespace
}  // namespace tutti::test
