// The steps behind a model: what a plain loop computes, sample by sample, in place and not, and what goes with NaN.
#include "worker/steps.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "common/random.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/wire/every_step.hpp"

namespace tutti::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Values between -4 and 4.
std::vector<float> some_values(std::size_t count) {
  std::vector<float> values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(unit_float(random_at(3, i)) * 8 - 4);
  return values;
}

/// What the step makes of predictions of these sizes.
std::vector<float> made_by(const Step& step, const Dims& dims, std::vector<float> values) {
  worker::StepWork work(step, dims);
  if (work.is_in_place()) {
    work.replace(values);
    return values;
  }
  std::vector<float> made(values.size() / elements_of(dims) * elements_of(work.output()));
  work.make(values, made);
  return made;
}

bool same_bits(const std::vector<float>& one, const std::vector<float>& other) {
  return one.size() == other.size() && std::memcmp(one.data(), other.data(), one.size() * sizeof(float)) == 0;
}

/// Close to an expected value that was computed in float64.
void check_close(const std::vector<float>& values, const std::vector<double>& expected, double relative) {
  REQUIRE(values.size() == expected.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    CHECK(std::fabs(static_cast<double>(values[i]) - expected[i]) <= relative * std::fabs(expected[i]));
}

const Dims kMap{3, 8, 6};

TEST_CASE("a softmax step is that of a plain loop in float64 and large logits do not overflow") {
  auto logits = some_values(std::size_t{5} * 24);
  logits[7] = 300;
  const std::vector<float> made = made_by(SoftmaxStep{}, {4, 6}, logits);
  std::vector<double> expected(logits.size());
  for (std::size_t sample = 0; sample < 5; ++sample)
    for (std::size_t place = 0; place < 6; ++place) {
      const auto at = [&](std::size_t c) { return sample * 24 + c * 6 + place; };
      double top = -1e9;
      double sum = 0;
      for (std::size_t c = 0; c < 4; ++c) top = std::max(top, static_cast<double>(logits[at(c)]));
      for (std::size_t c = 0; c < 4; ++c) sum += std::exp(static_cast<double>(logits[at(c)]) - top);
      for (std::size_t c = 0; c < 4; ++c) expected[at(c)] = std::exp(static_cast<double>(logits[at(c)]) - top) / sum;
    }
  for (std::size_t i = 0; i < made.size(); ++i)
    CHECK(std::fabs(static_cast<double>(made[i]) - expected[i]) <= 1e-6 * expected[i] + 1e-38);
}

TEST_CASE("a normalize step computes with one value for all channels or one for each") {
  const auto values = some_values(std::size_t{2} * 12);
  const auto made = made_by(NormalizeStep{.mean = {0.5F, 1, -2}, .std = {0.3F}}, {3, 2, 2}, values);
  const auto only_mean = made_by(NormalizeStep{.mean = {0.5F}}, {12}, values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float mean = std::array{0.5F, 1.0F, -2.0F}.at(i / 4 % 3);
    CHECK(made[i] == (values[i] - mean) / 0.3F);
    CHECK(only_mean[i] == values[i] - 0.5F);
  }
}

TEST_CASE("a step l2_normalize makes rows of length 1 and leaves a row of zeros as it is") {
  auto values = some_values(std::size_t{3} * 10);
  std::fill_n(values.begin(), 10, 0.0F);
  values[12] = 3e30F;  // whose square is no float32
  const auto made = made_by(L2NormalizeStep{}, {10}, values);
  std::vector<double> expected(values.size());
  for (std::size_t row = 1; row < 3; ++row) {
    double squares = 0;
    for (std::size_t i = row * 10; i < row * 10 + 10; ++i) squares += std::pow(static_cast<double>(values[i]), 2);
    for (std::size_t i = row * 10; i < row * 10 + 10; ++i)
      expected[i] = static_cast<double>(values[i]) / std::sqrt(squares);
  }
  check_close(made, expected, 1.2e-7);
}

TEST_CASE("a threshold step makes 1 of what is above it and 0 of the rest") {
  CHECK(made_by(ThresholdStep{}, {5}, {0.5F, 0.50001F, -1, kInfinity, -kInfinity}) ==
        std::vector<float>{0, 1, 0, 1, 0});
  CHECK(made_by(ThresholdStep{.above = -1}, {2}, {-1, 0}) == std::vector<float>{0, 1});
}

TEST_CASE("a step top_k gives the largest values first and of equal ones the first") {
  const std::vector<float> row{1, 5, 3, 5, -kInfinity, 4};
  CHECK(made_by(TopKStep{.k = 4}, {6}, row) == std::vector<float>{5, 5, 4, 3});
  CHECK(made_by(TopKStep{.k = 4, .give = TopKGives::indices}, {6}, row) == std::vector<float>{1, 3, 5, 2});
  // Two samples of 3 classes at 2 places.
  const std::vector<float> map{1, 9, 2, 8, 3, 7, 6, 1, 5, 2, 4, 3};
  CHECK(made_by(TopKStep{.k = 2}, {3, 2}, map) == std::vector<float>{3, 9, 2, 8, 6, 3, 5, 2});
  CHECK(made_by(TopKStep{.k = 1, .give = TopKGives::indices, .axis = -1}, {3, 2}, map) ==
        std::vector<float>{1, 1, 1, 0, 0, 0});
}

TEST_CASE("a resize step is the resampling of a member's input") {
  const Resize resize{.rule = ResizeRule::shorter, .height = 6, .width = 6, .crop_height = 4, .crop_width = 6};
  const ImageShape from{2, 9, 12};
  const auto values = some_values(3 * from.elements());
  Resampler resampler(resize, from);
  const std::size_t size = resampler.shape().elements();
  std::vector<float> expected(3 * size);
  for (std::size_t sample = 0; sample < 3; ++sample)
    resampler.apply(std::span(values).subspan(sample * from.elements(), from.elements()),
                    std::span(expected).subspan(sample * size, size));
  CHECK(same_bits(made_by(ResizeStep{resize}, {2, 9, 12}, values), expected));
}

TEST_CASE("what a step makes of a sample does not depend on the samples next to it") {
  constexpr std::size_t kSamples = 3;
  const auto values = some_values(kSamples * elements_of(kMap));
  for (const Step& step : steps_of_maps()) {
    CAPTURE(to_text(step));
    std::vector<float> apart;
    for (std::size_t sample = 0; sample < kSamples; ++sample) {
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(sample * elements_of(kMap));
      const auto made = made_by(step, kMap, {begin, begin + static_cast<std::ptrdiff_t>(elements_of(kMap))});
      apart.insert(apart.end(), made.begin(), made.end());
    }
    CHECK(same_bits(made_by(step, kMap, values), apart));
  }
}

TEST_CASE("no step hides a NaN that it computes with") {
  const auto has_nan = [](const std::vector<float>& values) {
    return std::ranges::any_of(values, [](float value) { return std::isnan(value); });
  };
  for (Step step : steps_of_maps()) {
    if (auto* resize = std::get_if<ResizeStep>(&step)) resize->resize.crop_height = resize->resize.crop_width = 0;
    CAPTURE(to_text(step));
    for (const std::size_t place : {0, 50, 143}) {
      auto values = some_values(elements_of(kMap));
      values[place] = kNan;
      CHECK(has_nan(made_by(step, kMap, values)));
    }
  }
  CHECK(std::isnan(made_by(TopKStep{.k = 1}, {3}, {1, kNan, 5})[0]));
  CHECK(std::isnan(made_by(TopKStep{.k = 1, .give = TopKGives::indices}, {3}, {1, 5, kNan})[0]));
  CHECK(std::isnan(made_by(L2NormalizeStep{}, {3}, {1, kNan, 5})[0]));
}

/// A model with outputs of 3x8x6 that are the numbers of its samples and then some.
class Numbers final : public worker::Model {
 public:
  Dims output() const override { return kMap; }
  std::uint64_t parameters() const override { return 7; }
  void predict(const worker::Samples& samples, std::uint32_t count, std::span<float> output) override {
    written = output.data();
    for (std::size_t i = 0; i < output.size(); ++i)
      output[i] = samples.floats()[i * count / output.size()] + some_values(elements_of(kMap))[i % elements_of(kMap)];
  }
  std::span<const float> probe(const worker::Samples&, std::uint32_t) override { return {}; }
  const float* written = nullptr;
};

/// A request for a member that outputs values behind these steps.
MemberRequest stepped_request(std::vector<Step> steps) {
  MemberRequest request;
  request.name = "m";
  request.model = TorchScriptModel{};
  request.takes = {TakenTensor::unchanged({Dtype::float32, {1}})};
  request.steps = std::move(steps);
  request.output = request.over = OutputKind::values;
  return request;
}

std::vector<float> predicted(worker::Model& model, const std::vector<float>& samples) {
  std::vector<float> output(samples.size() * elements_of(model.output()));
  model.predict(worker::Samples(samples.data()), static_cast<std::uint32_t>(samples.size()), output);
  return output;
}

TEST_CASE("several steps compute one after the other in any order") {
  const std::vector<float> samples{1, 2, 3, 4, 5};
  const Step resize = ResizeStep{{.rule = ResizeRule::exact, .height = 4, .width = 5}};
  const Step top = TopKStep{.k = 2};
  const Step softmax = SoftmaxStep{};
  const Step narrow = NormalizeStep{.std = {4}};
  for (const std::vector<Step>& steps : std::vector<std::vector<Step>>{{softmax},
                                                                       {resize},
                                                                       {narrow, softmax},
                                                                       {narrow, resize, softmax, top, narrow},
                                                                       {top, resize, top, softmax},
                                                                       {resize, top, resize, TopKStep{}, narrow}}) {
    Numbers numbers;
    std::vector<float> expected = predicted(numbers, samples);
    Dims dims = kMap;
    for (const Step& step : steps) {
      expected = made_by(step, dims, expected);
      dims = output_of(step, dims).dims;
    }
    worker::Stepped stepped(stepped_request(steps), std::make_unique<Numbers>());
    CHECK(stepped.output() == dims);
    CHECK(stepped.parameters() == 7);
    CHECK(same_bits(predicted(stepped, samples), expected));
    CHECK(same_bits(predicted(stepped, {1, 2}), {expected.begin(), expected.begin() + expected.size() / 5 * 2}));
  }
}

TEST_CASE("steps that keep the size need no memory besides that of the outputs") {
  auto model = std::make_unique<Numbers>();
  const Numbers& numbers = *model;
  worker::Stepped stepped(stepped_request({SoftmaxStep{}, ThresholdStep{}}), std::move(model));
  std::vector<float> output(elements_of(kMap));
  const float sample = 1;
  stepped.predict(worker::Samples(&sample), 1, output);
  CHECK(numbers.written == output.data());
}

TEST_CASE("behind the steps the predictions become what is combined") {
  MemberRequest request = stepped_request({NormalizeStep{.std = {2}}});
  request.output = OutputKind::logits;
  request.over = OutputKind::probabilities;
  worker::Stepped stepped(request, std::make_unique<Numbers>());
  Numbers numbers;
  const auto logits = made_by(NormalizeStep{.std = {2}}, kMap, predicted(numbers, {1}));
  CHECK(same_bits(predicted(stepped, {1}), made_by(SoftmaxStep{}, kMap, logits)));

  const MemberRequest behind = worker::before_steps(request);
  CHECK(behind.steps.empty());
  CHECK(behind.over == behind.output);
  request.model = SmallCnnModel{};
  CHECK(worker::before_steps(request).over == OutputKind::logits);
}

TEST_CASE("a step that does not fit the outputs of a loaded model says which and why") {
  const auto refused = [](std::vector<Step> steps, OutputKind kind = OutputKind::values) {
    MemberRequest request = stepped_request(std::move(steps));
    request.output = request.over = kind;
    const auto error = error_of([&] { worker::Stepped(request, std::make_unique<Numbers>()); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    return error->message() + "; " + error->hint();
  };
  CHECK(refused({TopKStep{.k = 4}}) ==
        "step 'top_k' does not fit outputs of 3x8x6: there are not 4 values along axis 1, but 3; set its 'k' to 3 at "
        "most, or its 'axis' to a longer one");
  CHECK(contains(refused({TopKStep{.k = 2}, TopKStep{.k = 3}}), "outputs of 2x8x6"));
  MemberRequest placed = stepped_request({TopKStep{.k = 2}, TopKStep{.k = 3}});
  placed.step_places = {"e.yaml:4:9", "e.yaml:5:9"};
  const auto where = error_of([&] { worker::Stepped(placed, std::make_unique<Numbers>()); });
  REQUIRE(where);
  CHECK(where->message().starts_with("e.yaml:5:9: step 'top_k' does not fit outputs of 2x8x6"));
  CHECK(contains(refused({SoftmaxStep{.axis = 4}}), "there is no axis 4"));
  MemberRequest request = stepped_request({ThresholdStep{}});
  request.output = request.over = OutputKind::probabilities;
  request.axis = 4;
  const auto error = error_of([&] { worker::Stepped(request, std::make_unique<Numbers>()); });
  REQUIRE(error);
  CHECK(error->message() == "the steps make outputs of 3x8x6, which have no axis 4 with classes");
}

}  // namespace
}  // namespace tutti::test
