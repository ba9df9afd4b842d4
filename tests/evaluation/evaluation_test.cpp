// Single models and members under rules, from the same outputs, with and without a head: compared with values by hand.
#include "evaluation/evaluation.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <span>

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/program/made_heads.hpp"

namespace tutti::test {
namespace {

constexpr float kNoNumber = std::numeric_limits<float>::quiet_NaN();

config::CombineSpec rule(CombineRule which, OutputKind over = OutputKind::probabilities) {
  config::CombineSpec combine;
  combine.rule = which;
  combine.over = over;
  return combine;
}

/// Outputs of models for one segment; an empty one is not present.
void add(Evaluation& evaluation, const std::vector<std::vector<float>>& answers, std::uint32_t width,
         const std::vector<std::int64_t>& labels, std::uint32_t count, bool set_aside = false) {
  const std::vector<float> nothing(std::size_t{count} * width, kNoNumber);
  std::vector<MemberSegmentResult> members;
  for (const auto& values : answers) members.push_back({width, values.empty() ? nothing : values, !values.empty()});
  SegmentResult result;
  result.count = count;
  result.members = members;
  result.labels = labels;
  result.set_aside = set_aside;
  evaluation.add(result);
}

TEST_CASE("each model is scored alone and the members under every rule in one pass") {
  Evaluation evaluation({OutputKind::probabilities,
                         2,
                         {1, 3},
                         {rule(CombineRule::mean), rule(CombineRule::weighted), rule(CombineRule::vote)}},
                        nullptr);
  // Member 0 is right about both images, member 1 only about the second; the third model is not a member.
  add(evaluation, {{0.9F, 0.1F, 0.2F, 0.8F}, {0.3F, 0.7F, 0.4F, 0.6F}, {0, 1, 1, 0}}, 2, {0, 1}, 2);
  REQUIRE(evaluation.models().size() == 3);
  CHECK(*evaluation.models()[0]->accuracy() == 1.0);
  CHECK(*evaluation.models()[1]->accuracy() == 0.5);
  CHECK(*evaluation.models()[2]->accuracy() == 0.0);
  CHECK(*evaluation.models()[0]->loss() == doctest::Approx(-(std::log(0.9) + std::log(0.8)) / 2));
  CHECK(*evaluation.rules()[0]->accuracy() == 1.0);  // (0.6, 0.4)
  CHECK(*evaluation.rules()[1]->accuracy() == 0.5);  // (0.45, 0.55)
  CHECK(*evaluation.rules()[1]->loss() == doctest::Approx(-(std::log(0.45) + std::log(0.65)) / 2));
  CHECK(*evaluation.rules()[2]->accuracy() == 0.5);
  CHECK(evaluation.combined()[0].predicted == std::vector<std::int64_t>{0, 1});
  CHECK(evaluation.combined()[1].predicted == std::vector<std::int64_t>{1, 1});
  CHECK(evaluation.images() == 2);
}

TEST_CASE("the combined values are those of the accumulator to the last bit") {
  const config::CombineSpec mean = rule(CombineRule::mean);
  const std::vector<float> a{0.1F, 0.9F};
  const std::vector<float> b{0.7F, 0.3F};
  Evaluation evaluation({OutputKind::probabilities, 2, {1, 1}, {mean}}, nullptr);
  add(evaluation, {a, b}, 2, {}, 1);
  const std::vector<std::span<const float>> answers{a, b};
  CHECK(evaluation.combined()[0].values == Accumulator(mean, {1, 1}).combine(answers, 1, 2).values);
}

TEST_CASE("a member that is missing counts neither for itself nor in the rules and the others do") {
  Evaluation evaluation({OutputKind::probabilities, 2, {1, 1}, {rule(CombineRule::mean)}}, nullptr);
  add(evaluation, {{1, 0}, {}}, 2, {0}, 1);
  add(evaluation, {{1, 0}, {0, 1}}, 2, {0}, 1);
  add(evaluation, {{}, {}}, 2, {0}, 1);
  add(evaluation, {{1, 0}, {1, 0}}, 2, {0}, 1, true);
  CHECK(evaluation.models()[0]->images() == 3);
  CHECK(evaluation.models()[1]->images() == 2);
  CHECK(evaluation.rules()[0]->images() == 2);
  CHECK(evaluation.combined()[0].predicted == std::vector<std::int64_t>{-1});
  CHECK(std::isnan(evaluation.disagreement_rows()[0][0]));
  CHECK(evaluation.disagreement().images() == 2);
  CHECK(evaluation.images() == 4);
}

TEST_CASE("models that are not combined count neither in rules nor in the disagreement") {
  Evaluation evaluation({OutputKind::probabilities, 1, {1}, {rule(CombineRule::mean)}}, nullptr);
  add(evaluation, {{0.5F, 0.5F}, {0, 1}}, 2, {1}, 1);
  CHECK(evaluation.combined()[0].values == std::vector<float>{0.5F, 0.5F});
  CHECK(evaluation.disagreement_rows()[0][1] == 0);
  CHECK(*evaluation.models()[1]->accuracy() == 1.0);
}

TEST_CASE("with a head features are combined first and classes decided after it") {
  const TemporaryFolder folder;
  write_head(folder / "head.safetensors", 3, 2, {1, 0, 0, 1, -1, -1});
  const merge::Head head = merge::Head::read(folder / "head.safetensors");
  Evaluation evaluation({OutputKind::features, 2, {1, 1}, {rule(CombineRule::mean, OutputKind::features)}}, &head);
  add(evaluation, {{4, 0}, {0, 2}}, 2, {0}, 1);
  CHECK(evaluation.combined()[0].values == std::vector<float>{2, 1});
  CHECK(evaluation.combined()[0].predicted.empty());
  CHECK(*evaluation.models()[0]->accuracy() == 1.0);
  CHECK(*evaluation.models()[1]->accuracy() == 0.0);
  CHECK(*evaluation.rules()[0]->accuracy() == 1.0);
  // Logits 2, 1, -3.
  CHECK(*evaluation.rules()[0]->loss() == doctest::Approx(std::log(1 + std::exp(-1.0) + std::exp(-5.0))));
  CHECK(evaluation.rules()[0]->classes() == 3);
  CHECK(evaluation.has_classes());
}

TEST_CASE("rules that need classes are applied after the head to each member's probabilities") {
  const TemporaryFolder folder;
  write_head(folder / "head.safetensors", 2, 2, {1, 0, 0, 1});
  const merge::Head head = merge::Head::read(folder / "head.safetensors");
  Evaluation evaluation(
      {OutputKind::features, 3, {1, 1, 1}, {rule(CombineRule::vote), rule(CombineRule::most_confident)}}, &head);
  // Members 0 and 1 slightly prefer class 0, member 2 is sure of class 1.
  add(evaluation, {{1, 0}, {1, 0}, {0, 9}}, 2, {0}, 1);
  CHECK(evaluation.combined()[0].predicted == std::vector<std::int64_t>{0});
  CHECK(evaluation.combined()[0].values[0] == doctest::Approx(2.0F / 3));
  CHECK(evaluation.combined()[1].predicted == std::vector<std::int64_t>{1});
  CHECK(evaluation.combined()[1].values[1] == doctest::Approx(1 / (1 + std::exp(-9.0))));
  CHECK(*evaluation.rules()[0]->accuracy() == 1.0);
  CHECK(*evaluation.rules()[0]->loss() == doctest::Approx(-std::log(2.0 / 3)));
  add(evaluation, {{1, 0}, {}, {0, 9}}, 2, {0}, 1);
  CHECK(evaluation.combined()[0].values[0] == doctest::Approx(0.5F));
}

TEST_CASE("without labels nothing is scored but the disagreement is known") {
  Evaluation evaluation({OutputKind::logits, 2, {1, 1}, {rule(CombineRule::mean, OutputKind::logits)}}, nullptr);
  add(evaluation, {{0, 1}, {1, 0}}, 2, {}, 1);
  CHECK_FALSE(evaluation.models()[0]);
  CHECK_FALSE(evaluation.rules()[0]);
  CHECK(evaluation.disagreement_rows()[0][1] > 0);
}

TEST_CASE("features without a head are combined and nothing more") {
  Evaluation evaluation({OutputKind::features, 2, {1, 1}, {rule(CombineRule::max, OutputKind::features)}}, nullptr);
  add(evaluation, {{0, 1}, {1, 0}}, 2, {1}, 1);
  CHECK(evaluation.combined()[0].values == std::vector<float>{1, 1});
  CHECK_FALSE(evaluation.models()[0]);
  CHECK_FALSE(evaluation.rules()[0]);
  CHECK(evaluation.disagreement_rows().empty());
  CHECK_FALSE(evaluation.has_classes());
}

TEST_CASE("logits are scored as logits and votes over them as shares") {
  Evaluation evaluation({OutputKind::logits,
                         1,
                         {1},
                         {rule(CombineRule::mean, OutputKind::logits), rule(CombineRule::vote, OutputKind::logits)}},
                        nullptr);
  add(evaluation, {{0, std::log(3.0F)}}, 2, {1}, 1);
  CHECK(*evaluation.models()[0]->loss() == doctest::Approx(-std::log(0.75)));
  CHECK(*evaluation.rules()[0]->loss() == doctest::Approx(-std::log(0.75)));
  CHECK(*evaluation.rules()[1]->loss() == doctest::Approx(0.0));
}

TEST_CASE("a label that is not a class is refused with its image") {
  Evaluation evaluation({OutputKind::probabilities, 1, {1}, {}}, nullptr);
  add(evaluation, {{0, 1}}, 2, {1}, 1);
  const auto error = error_of([&] { add(evaluation, {{0, 1}}, 2, {2}, 1); });
  REQUIRE(error);
  CHECK(error->message() == "the label of image 1 is 2");
}

TEST_CASE("the output after a head is the softmax of its logits and without one the combined output") {
  const TemporaryFolder folder;
  write_head(folder / "head.safetensors", 3, 2, {1, 0, 0, 1, -1, -1});
  const merge::Head head = merge::Head::read(folder / "head.safetensors");
  Evaluation evaluation(
      {OutputKind::features, 2, {1, 1}, {rule(CombineRule::mean, OutputKind::features), rule(CombineRule::vote)}},
      &head);
  add(evaluation, {{4, 0}, {0, 2}}, 2, {0}, 1);
  // Logits 2, 1, -3.
  const double sum = std::exp(2) + std::exp(1) + std::exp(-3);
  REQUIRE(evaluation.answer(0).values.size() == 3);
  CHECK(evaluation.answer(0).values[1] == doctest::Approx(std::exp(1) / sum));
  CHECK(evaluation.answer(0).predicted == std::vector<std::int64_t>{0});
  CHECK(evaluation.answer(1).values == evaluation.combined()[1].values);
  add(evaluation, {{}, {}}, 2, {0}, 1);
  CHECK(std::isnan(evaluation.answer(0).values[2]));
  CHECK(evaluation.answer(0).predicted == std::vector<std::int64_t>{-1});
}

/// The label of image i is the number i, or the class i % 2 at each of two places.
class NumberedLabels final : public TensorSource {
 public:
  NumberedLabels(Dtype dtype, Dims dims) : layout_{dtype, std::move(dims)} {}
  std::string name() const override { return "numbered"; }
  std::uint64_t count() const override { return 4; }
  std::uint32_t classes() const override { return 2; }
  bool labelled() const override { return false; }
  std::vector<NamedLayout> tensors() const override { return {}; }
  void read_tensors(std::span<const std::uint64_t>, std::span<const std::span<std::byte>>,
                    std::span<std::int64_t>) override {}
  std::optional<TensorLayout> label_layout() const override { return layout_; }
  void read_labels(std::span<const std::uint64_t> indices, std::span<std::byte> labels) override {
    ++reads;
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const auto number = static_cast<float>(indices[i]);
      const std::vector<std::int64_t> places(2, static_cast<std::int64_t>(indices[i] % 2));
      const void* const label = layout_.dtype == Dtype::int64 ? static_cast<const void*>(places.data()) : &number;
      std::memcpy(&labels[i * layout_.bytes()], label, layout_.bytes());
    }
  }
  int reads = 0;

 private:
  TensorLayout layout_;
};

EvaluationForm form_over(OutputKind over, const std::vector<CombineRule>& rules, Dims output) {
  EvaluationForm form{over, 2, {1, 1}, {}};
  form.output = std::move(output);
  form.combine = rule(CombineRule::mean, over);
  for (const CombineRule each : rules) form.rules.push_back(rule(each, over));
  return form;
}

TEST_CASE("models and rules over masks are compared with masks, each once") {
  NumberedLabels labels(Dtype::int64, {2});
  Evaluation evaluation(form_over(OutputKind::probabilities, {CombineRule::mean, CombineRule::most_confident}, {2, 2}),
                        nullptr);
  evaluation.compare_with({labels, {}, {{2, 2}, {2, 2}, {2, 2}}});
  CHECK_FALSE(evaluation.has_classes());
  // Image 0: class 0 is right at both places. The third model is not a member.
  add(evaluation, {{0.9F, 0.6F, 0.1F, 0.4F}, {0.4F, 0.1F, 0.6F, 0.9F}, {0, 0, 1, 1}}, 4, {}, 1);
  CHECK(labels.reads == 1);
  REQUIRE(evaluation.labels() != nullptr);
  const auto models = evaluation.labels()->members();
  REQUIRE(models.size() == 3);
  CHECK(*models[0].value("pixel_accuracy") == 1.0);
  CHECK(*models[1].value("pixel_accuracy") == 0.0);
  CHECK(*models[2].value("pixel_accuracy") == 0.0);
  const auto rules = evaluation.labels()->rules();
  REQUIRE(rules.size() == 2);
  CHECK(*rules[0].value("pixel_accuracy") == 0.5);  // 0.65 and 0.35
  CHECK(*rules[1].value("pixel_accuracy") == 0.5);
  CHECK(rules[1].images == 1);
  CHECK(evaluation.disagreement_rows().empty());
  CHECK_FALSE(evaluation.models()[0]);
}

TEST_CASE("a rule does not count for an image that no member predicted, whatever other models did") {
  NumberedLabels labels(Dtype::float32, {});
  Evaluation evaluation(form_over(OutputKind::values, {CombineRule::median}, {1}), nullptr);
  evaluation.compare_with({labels, {}, {{1}, {1}, {1}}});
  add(evaluation, {{}, {}, {3}}, 1, {}, 1);
  add(evaluation, {{3}, {5}, {3}}, 1, {}, 1);
  CHECK(evaluation.labels()->rules()[0].images == 1);
  CHECK(*evaluation.labels()->rules()[0].value("mean_absolute_error") == 4.0);
  CHECK(evaluation.labels()->members()[2].images == 2);
}

}  // namespace
}  // namespace tutti::test
