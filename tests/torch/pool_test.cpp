// The pool with LibTorch members in their processes, held against a plain loop over the members in this process: same
// kernels, same batch boundaries, same bytes. (The arithmetic of each rule has its own tests in tests/coordinator.)
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <vector>

#include <tutti/ensemble.hpp>

#include "common/atomic_file.hpp"
#include "common/random.hpp"
#include "config/spec.hpp"
#include "coordinator/decide/logarithm.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/script_files.hpp"
#include "worker/torch/models.hpp"

namespace {

using namespace tutti;

constexpr std::uint32_t kImages = 53;  // divides neither by the segment nor by the batch
constexpr std::uint32_t kSegment = 20;
constexpr std::uint32_t kBatch = 6;
constexpr std::uint32_t kClasses = 10;
constexpr ImageShape kShape{3, 32, 32};

const std::string kNativeMembers = R"(
  - {name: a, model: {kind: small-cnn}, seed: 11}
  - {name: b, model: {kind: mlp, layers: [32, 10]}, seed: 12, weight: 2}
  - {name: c, model: {kind: small-cnn}, seed: 13, weight: 0.5}
)";

Spec ensemble_of(const std::string& combine, const std::string& members = kNativeMembers) {
  return parse_spec(fmt::format(R"(
members:{}assignment: cpu
threads: 1
combine: {}
input: {{shape: [3, 32, 32]}}
segment_images: {}
batch_images: {}
)",
                                members, combine, kSegment, kBatch));
}

/// The members' outputs in a plain loop, one after another: images x classes each.
std::vector<std::vector<float>> answers_in_a_loop(const Spec& spec, const std::vector<float>& pixels) {
  std::vector<std::vector<float>> all;
  for (const config::MemberSpec& member : spec.checked().members) {
    MemberRequest request;
    request.name = member.name;
    request.model = member.model.kind;
    request.seed = member.seed;
    request.takes = {TakenTensor::unchanged(kShape.layout())};
    request.batch_images = kBatch;
    request.over = spec.checked().combine.over;
    request.copy_input = member.copy_input;
    const auto model = worker::make_torch_model(request);
    std::vector<float> answers(std::size_t{kImages} * kClasses);
    for (std::uint32_t segment = 0; segment < kImages; segment += kSegment) {
      const std::uint32_t end = std::min(segment + kSegment, kImages);
      for (std::uint32_t first = segment; first < end; first += kBatch) {
        const std::uint32_t count = std::min(kBatch, end - first);
        model->predict(pixels.data() + first * kShape.elements(), count,
                       std::span(answers).subspan(std::size_t{first} * kClasses, std::size_t{count} * kClasses));
      }
    }
    all.push_back(std::move(answers));
  }
  return all;
}

bool same_bytes(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// sum over members, in order, of weights[m] * answers[m][i], in float32.
std::vector<float> summed(const std::vector<std::vector<float>>& answers, const std::vector<float>& weights) {
  std::vector<float> sums(answers.front().size(), 0.0F);
  for (std::size_t m = 0; m < answers.size(); ++m)
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += weights[m] * answers[m][i];
  return sums;
}

std::vector<float> divided(std::vector<float> values, float divisor) {
  for (float& value : values) value /= divisor;
  return values;
}

using Answers = std::vector<std::vector<float>>;

std::size_t top_of(const std::vector<float>& answers, std::size_t image) {
  std::size_t top = 0;
  for (std::size_t c = 1; c < kClasses; ++c)
    if (answers[image * kClasses + c] > answers[image * kClasses + top]) top = c;
  return top;
}

/// Per image the share of the weights that chose each class.
std::vector<float> voted(const Answers& answers, const std::vector<float>& weights) {
  float total = 0;
  for (const float weight : weights) total += weight;
  std::vector<float> votes(answers.front().size(), 0.0F);
  for (std::size_t image = 0; image < kImages; ++image)
    for (std::size_t m = 0; m < answers.size(); ++m) votes[image * kClasses + top_of(answers[m], image)] += weights[m];
  return divided(votes, total);
}

std::vector<float> median_of_three(const Answers& x) {
  std::vector<float> middle(x[0].size());
  for (std::size_t i = 0; i < middle.size(); ++i)
    middle[i] = std::max(std::min(x[0][i], x[1][i]), std::min(std::max(x[0][i], x[1][i]), x[2][i]));
  return middle;
}

/// exp of the mean logarithm of positive numbers, and then each image's values divided by their sum.
std::vector<float> geometric_mean(const Answers& answers) {
  std::vector<float> values(answers.front().size());
  const double share = 1.0 / static_cast<double>(answers.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    double product = 1;
    for (const auto& answer : answers) product *= static_cast<double>(answer[i]);
    values[i] = static_cast<float>(exp_within(ln_of_normal(product) * share));
  }
  for (std::size_t image = 0; image < kImages; ++image) {
    double sum = 0;
    for (std::size_t c = 0; c < kClasses; ++c) sum += static_cast<double>(values[image * kClasses + c]);
    for (std::size_t c = 0; c < kClasses; ++c) {
      float& value = values[image * kClasses + c];
      value = static_cast<float>(static_cast<double>(value) / sum);
    }
  }
  return values;
}

/// Per image the output of the member with the highest value, the first of equals.
std::vector<float> most_confident(const Answers& answers) {
  std::vector<float> chosen;
  for (std::size_t image = 0; image < kImages; ++image) {
    std::size_t best = 0;
    const auto confidence = [&](std::size_t m) { return answers[m][image * kClasses + top_of(answers[m], image)]; };
    for (std::size_t m = 1; m < answers.size(); ++m)
      if (confidence(m) > confidence(best)) best = m;
    const auto row = answers[best].begin() + static_cast<std::ptrdiff_t>(image * kClasses);
    chosen.insert(chosen.end(), row, row + kClasses);
  }
  return chosen;
}

/// (sum of weights[m] * answers[m][i]) / divisor in float64, rounded once.
std::vector<float> averaged_in_float64(const Answers& answers, const std::vector<double>& weights, double divisor) {
  std::vector<float> values;
  for (std::size_t i = 0; i < answers.front().size(); ++i) {
    double sum = 0;
    for (std::size_t m = 0; m < answers.size(); ++m) sum += weights[m] * static_cast<double>(answers[m][i]);
    values.push_back(static_cast<float>(sum / divisor));
  }
  return values;
}

/// 96 made-up labelled images, the same each time.
class MadeUp final : public Source {
 public:
  std::string name() const override { return "made-up"; }
  ImageShape shape() const override { return kShape; }
  std::uint64_t count() const override { return 96; }
  std::uint32_t classes() const override { return kClasses; }
  bool labelled() const override { return true; }
  void read(std::span<const std::uint64_t> indices, std::span<float> images, std::span<std::int64_t> labels) override {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      labels[i] = static_cast<std::int64_t>(indices[i] % kClasses);
      for (std::size_t p = 0; p < kShape.elements(); ++p)
        images[i * kShape.elements() + p] = unit_float(random_at(indices[i], p));
    }
  }
};

}  // namespace

TEST_CASE("members whose batch was measured give the bytes of members that were given it") {
  const std::vector<float> pixels = test::some_images(kImages, kShape);
  const Images images{std::span<const float>(pixels), kShape};
  const std::string members = R"(
  - {name: a, model: {kind: small-cnn}, seed: 11}
  - {name: b, model: {kind: small-cnn}, seed: 12}
)";
  const auto spec_with = [&](const std::string& batch) {
    return parse_spec(
        fmt::format("members:{}assignment: cpu\nthreads: 1\ninput: {{shape: [3, 32, 32]}}\n"
                    "segment_images: 20\nbatch_images: {}\n",
                    members, batch));
  };
  Ensemble measured(spec_with("auto"));
  const Status status = measured.status();
  const std::uint32_t batch = status.members[0].batch_images;
  CHECK(status.members[1].batch_images == batch);
  CHECK(status.members[0].batch_images_measured);
  Ensemble given(spec_with(std::to_string(batch)));
  const std::vector<float> right = given.predict(images).values;
  CHECK(same_bytes(measured.predict(images).values, right));

  // The replacement is loaded with the chosen batch, after its predecessor had tried all sizes.
  ::kill(status.members[1].pid, SIGKILL);
  for (int round = 0; round < 3; ++round) CHECK(same_bytes(measured.predict(images).values, right));
  CHECK(measured.status().members[1].deaths == 1);
  CHECK(measured.status().members[1].batch_images == batch);
}

TEST_CASE("the pool gives the bytes of a plain loop over the members") {
  const std::vector<float> pixels = test::some_images(kImages, kShape);
  const std::map<std::string, std::function<std::vector<float>(const Answers&)>> rules{
      {"{rule: mean, over: probabilities}",
       [](const Answers& x) {
         return divided(summed(x, {1, 1, 1}), 3.0F);
       }},
      {"{rule: mean, over: logits}",
       [](const Answers& x) {
         return divided(summed(x, {1, 1, 1}), 3.0F);
       }},
      {"{rule: sum, over: logits}",
       [](const Answers& x) {
         return summed(x, {1, 1, 1});
       }},
      {"{rule: weighted, over: probabilities}",
       [](const Answers& x) {
         return divided(summed(x, {1, 2, 0.5F}), 3.5F);
       }},
      {"{rule: max, over: probabilities}",
       [](const Answers& x) {
         std::vector<float> top = x[0];
         for (std::size_t i = 0; i < top.size(); ++i) top[i] = std::max({x[0][i], x[1][i], x[2][i]});
         return top;
       }},
      {"{rule: vote, over: probabilities}",
       [](const Answers& x) {
         return voted(x, {1, 2, 0.5F});
       }},
      {"{rule: median, over: probabilities}", median_of_three},
      {"{rule: median, over: logits}", median_of_three},
      {"{rule: geometric_mean, over: probabilities}", geometric_mean},
      {"{rule: most_confident, over: probabilities}", most_confident},
      {"{rule: mean, over: logits, accumulate: float64}",
       [](const Answers& x) {
         return averaged_in_float64(x, {1, 1, 1}, 3);
       }},
      {"{rule: weighted, over: probabilities, accumulate: float64}",
       [](const Answers& x) {
         return averaged_in_float64(x, {1, 2, 0.5}, 3.5);
       }},
  };
  for (const auto& [combine, rule] : rules) {
    CAPTURE(combine);
    const Spec spec = ensemble_of(combine);
    Ensemble ensemble(spec);
    const std::vector<float> expected = rule(answers_in_a_loop(spec, pixels));
    const Predictions first = ensemble.predict(Images(pixels, kShape));
    CHECK(same_bytes(first.values, expected));
    // A second pass over the same pool, from another thread, gives the same.
    CHECK(same_bytes(ensemble.submit(Images(pixels, kShape)).get().values, expected));
  }
}

TEST_CASE("each member keeps its predictions byte for byte under the rule none") {
  const std::vector<float> pixels = test::some_images(kImages, kShape);
  const Spec spec = ensemble_of("{rule: none, over: probabilities}");
  Ensemble ensemble(spec);
  const Predictions predictions = ensemble.predict(Images(pixels, kShape));
  const auto expected = answers_in_a_loop(spec, pixels);
  REQUIRE(predictions.members.size() == expected.size());
  for (std::size_t m = 0; m < expected.size(); ++m) CHECK(same_bytes(predictions.members[m].values, expected[m]));
}

TEST_CASE("members that were trained in a pool predict like their saved weights loaded by another pool") {
  const test::TemporaryFolder folder;
  const std::string members = R"(
members:
  - {name: a, model: {kind: small-cnn}, train: {epochs: 1}}
  - {name: b, model: {kind: mlp, layers: [16, 10]}, train: {epochs: 2, bootstrap: true}}
assignment: cpu
threads: 1
input: {dataset: digits, split: test, limit: 40}
train: {batch_images: 16, input: {dataset: digits, split: train, limit: 96}}
segment_images: 32
batch_images: 8
)";
  const std::vector<float> pixels = test::some_images(kImages, kShape);
  const auto trained = [&](const std::string& name) {
    Options options;
    options.training = true;
    const Spec spec = parse_spec(members);
    Ensemble ensemble(spec, options);
    MadeUp source;
    const TrainResult result = ensemble.train(source, folder.path() / name);
    CHECK(result.weights.size() == 2);
    return ensemble.predict(Images(pixels, kShape));
  };
  const Predictions first = trained("first");
  const Predictions again = trained("again");
  CHECK(same_bytes(first.values, again.values));
  const Spec loaded = parse_spec(
      members, {fmt::format("members.0.model.weights={}", (folder.path() / "first/a.safetensors").string()),
                fmt::format("members.1.model.weights={}", (folder.path() / "first/b.safetensors").string())});
  CHECK(same_bytes(Ensemble(loaded).predict(Images(pixels, kShape)).values, first.values));
  CHECK_FALSE(same_bytes(Ensemble(parse_spec(members)).predict(Images(pixels, kShape)).values, first.values));
}

TEST_CASE("a TorchScript member in a pool gives the bytes of a plain loop") {
  const test::TemporaryFolder folder;
  const auto file = folder / "dense.pt";
  test::save_script(file, test::kDenseScript);
  const std::string members = fmt::format(R"(
  - {{name: a, model: {{kind: small-cnn}}, seed: 11}}
  - {{name: script, model: {{kind: torchscript, path: {0}}}}}
  - {{name: as-is, model: {{kind: torchscript, path: {0}, optimize: off}}}}
)",
                                          file.string());
  const std::vector<float> pixels = test::some_images(kImages, kShape);
  const Spec spec = ensemble_of("{rule: none, over: logits}", members);
  Ensemble ensemble(spec);
  const auto expected = answers_in_a_loop(spec, pixels);
  const Predictions predictions = ensemble.predict(Images(pixels, kShape));
  REQUIRE(predictions.members.size() == 3);
  for (std::size_t m = 0; m < expected.size(); ++m) CHECK(same_bytes(predictions.members[m].values, expected[m]));
  const Spec combined = ensemble_of("{rule: mean, over: probabilities}", members);
  CHECK(same_bytes(Ensemble(combined).predict(Images(pixels, kShape)).values,
                   divided(summed(answers_in_a_loop(combined, pixels), {1, 1, 1}), 3.0F)));
}

TEST_CASE("a TorchScript member that writes to its input is reported with the option to copy it and then works") {
  const test::TemporaryFolder folder;
  test::save_script(folder / "writing.pt", test::kWritingScript);
  const auto members = [&](const char* copy) {
    return fmt::format(R"(
  - {{name: a, model: {{kind: small-cnn}}, seed: 11}}
  - {{name: writer, model: {{kind: torchscript, path: {}, optimize: off}}, copy_input: {}}}
)",
                       (folder / "writing.pt").string(), copy);
  };
  const std::vector<float> pixels = test::some_images(kImages, kShape);
  const auto error = test::error_of(
      [&] { Ensemble(ensemble_of("{rule: none, over: logits}", members("false"))).predict(Images(pixels, kShape)); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(test::contains(error->message(), "writer on cpu failed"));
  CHECK(test::contains(error->message(), "the model writes to its input, which all members share"));
  CHECK(error->hint() == "give it a private copy of each batch: set 'copy_input: true' at member 'writer'");
  const Spec copying = ensemble_of("{rule: none, over: logits}", members("true"));
  Ensemble ensemble(copying);
  const auto expected = answers_in_a_loop(copying, pixels);
  const Predictions predictions = ensemble.predict(Images(pixels, kShape));
  REQUIRE(predictions.members.size() == 2);
  for (std::size_t m = 0; m < expected.size(); ++m) CHECK(same_bytes(predictions.members[m].values, expected[m]));
}

/// The content of the weights that member `a` has after training from `init`, or from its seed.
std::string weights_after(const std::filesystem::path& folder, double learning_rate, const std::string& init = {}) {
  Options options;
  options.training = true;
  Ensemble ensemble(parse_spec(fmt::format(R"(
members:
  - {{name: a, model: {{kind: mlp, layers: [16, 10]}}, train: {{epochs: 1, learning_rate: {}{}}}}}
assignment: cpu
threads: 1
input: {{shape: [3, 32, 32]}}
train: {{batch_images: 16}}
segment_images: 32
)",
                                           learning_rate, init.empty() ? "" : ", init: " + init)),
                    options);
  MadeUp source;
  return read_text(ensemble.train(source, folder).weights.front(), "weights");
}

TEST_CASE("training starts from the weights that it is given") {
  const test::TemporaryFolder folder;
  // So small that float32 weights which are not near zero stay what they are.
  constexpr double kStandingStill = 1e-30;
  const std::string seeded = weights_after(folder / "seeded", kStandingStill);
  const std::string trained = weights_after(folder / "trained", 1e-2);
  const std::string init = (folder / "trained/a.safetensors").string();
  CHECK(trained != seeded);
  CHECK(weights_after(folder / "again", kStandingStill, init) == trained);
  CHECK(weights_after(folder / "further", 1e-2, init) != trained);
}
