// How masks, numbers and several labels are compared with the labels of a source, segment by segment.
#include "evaluation/label_scores.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

constexpr float kNotANumber = std::numeric_limits<float>::quiet_NaN();

/// A source whose labels are these values, `layout.elements()` for each image.
template <class Value>
class MadeLabels final : public Source {
 public:
  MadeLabels(Dims dims, std::vector<Value> values, std::uint32_t classes = 0)
      : layout_{std::is_same_v<Value, float> ? Dtype::float32 : Dtype::int64, std::move(dims)},
        values_(std::move(values)),
        classes_(classes) {}

  std::string name() const override { return "made"; }
  ImageShape shape() const override { return {1, 1, 1}; }
  std::uint64_t count() const override { return values_.size() / layout_.elements(); }
  std::uint32_t classes() const override { return classes_; }
  bool labelled() const override { return layout_ == TensorLayout{Dtype::int64, {}}; }
  void read(std::span<const std::uint64_t>, std::span<float>, std::span<std::int64_t>) override {}
  std::optional<TensorLayout> label_layout() const override { return layout_; }
  void read_labels(std::span<const std::uint64_t> indices, std::span<std::byte> labels) override {
    REQUIRE(labels.size() == indices.size() * layout_.bytes());
    for (std::size_t i = 0; i < indices.size(); ++i)
      std::memcpy(&labels[i * layout_.bytes()], &values_[indices[i] * layout_.elements()], layout_.bytes());
    ++reads;
  }

  int reads = 0;

 private:
  TensorLayout layout_;
  std::vector<Value> values_;
  std::uint32_t classes_;
};

std::vector<MemberStatus> models(std::vector<Dims> outputs) {
  std::vector<MemberStatus> all;
  for (Dims& output : outputs) {
    all.emplace_back();
    all.back().name = "m" + std::to_string(all.size() - 1);
    all.back().output = std::move(output);
  }
  return all;
}

/// A segment of images from `first` on; the ensemble has the values of its own, or those of the first member.
struct Predicted {
  std::uint64_t first = 0;
  std::uint32_t count = 1;
  std::vector<std::vector<float>> members;
  std::vector<float> values{};
  std::vector<std::int64_t> predicted{};
  std::vector<bool> present{};
  bool set_aside = false;
};

void add_to(LabelScores& scores, const Predicted& segment) {
  std::vector<MemberSegmentResult> members;
  for (std::size_t rank = 0; rank < segment.members.size(); ++rank) {
    const std::vector<float>& values = segment.members[rank];
    members.push_back({static_cast<std::uint32_t>(values.size() / segment.count), values,
                       segment.present.empty() || segment.present[rank]});
  }
  SegmentResult result;
  result.first = segment.first;
  result.count = segment.count;
  result.values = segment.values.empty() ? segment.members.front() : segment.values;
  result.width = static_cast<std::uint32_t>(result.values.size() / segment.count);
  result.predicted = segment.predicted;
  result.members = members;
  result.set_aside = segment.set_aside;
  scores.add(result);
}

LabelScores made(const config::CombineSpec& combine, std::optional<std::int64_t> ignored, Source& source,
                 const std::vector<MemberStatus>& members) {
  return LabelScores(compared_form(combine, ignored, members), source);
}

config::CombineSpec over(OutputKind kind, Activation activation = Activation::softmax,
                         CombineRule rule = CombineRule::mean) {
  config::CombineSpec combine;
  combine.rule = rule;
  combine.over = kind;
  combine.activation = activation;
  return combine;
}

const config::CombineSpec kMasks = over(OutputKind::probabilities);
const config::CombineSpec kValues = over(OutputKind::values);
const config::CombineSpec kSeveral = over(OutputKind::probabilities, Activation::sigmoid);

TEST_CASE("members are compared by their largest values along the axis, and the ensemble by what the rule decided") {
  MadeLabels<std::int64_t> source({1, 3}, {0, 1, 255, 1, 1, 0}, 2);
  LabelScores scores = made(kMasks, 255, source, models({{2, 1, 3}, {2, 1, 3}}));
  // Classes 0 1 1 and 0 0 0, then 1 1 0 and 0 0 0; equal values are class 0.
  add_to(scores,
         {0,
          2,
          {{0.9F, 0.2F, 0.1F, 0.1F, 0.8F, 0.9F, 0.1F, 0.2F, 0.6F, 0.9F, 0.8F, 0.4F}, std::vector<float>(12, 0.5F)},
          {},
          {1, 1, 1, 1, 1, 1}});
  const auto members = scores.members();
  REQUIRE(members.size() == 2);
  CHECK(members[0].compared == 5);
  CHECK(*members[0].value("pixel_accuracy") == 1.0);
  CHECK(*members[1].value("pixel_accuracy") == 2.0 / 5);
  REQUIRE(scores.ensemble());
  CHECK(*scores.ensemble()->value("pixel_accuracy") == 3.0 / 5);
  CHECK(*scores.ensemble()->value("mean_iou") == (0.0 + 3.0 / 5) / 2);
}

TEST_CASE("classes along the last axis are found there") {
  config::CombineSpec combine = over(OutputKind::probabilities, Activation::softmax, CombineRule::none);
  combine.axis = -1;
  MadeLabels<std::int64_t> source({2}, {1, 2}, 3);
  LabelScores scores = made(combine, {}, source, models({{2, 3}}));
  add_to(scores, {0, 1, {{0.1F, 0.7F, 0.2F, 0.0F, 0.3F, 0.7F}}});
  CHECK(*scores.members()[0].value("pixel_accuracy") == 1.0);
  CHECK_FALSE(scores.ensemble());
}

TEST_CASE("labels are those of the images in the whole set, in however many segments they come") {
  std::vector<float> labels(10);
  for (std::size_t i = 0; i < 10; ++i) labels[i] = static_cast<float>(i);
  MadeLabels<float> source({}, labels);
  LabelScores scores = made(kValues, {}, source, models({{1}}));
  add_to(scores, {6, 2, {{6, 8}}});
  add_to(scores, {2, 1, {{5}}});
  CHECK(*scores.ensemble()->value("mean_absolute_error") == 4.0 / 3);
  CHECK(*scores.members()[0].value("mean_squared_error") == 10.0 / 3);
}

TEST_CASE("large labels are read image by image and give the same figures") {
  constexpr std::uint32_t kSide = 300;
  const std::vector<float> all(3 * kSide * kSide, 1.0F);
  MadeLabels<float> source({kSide, kSide}, all);
  LabelScores scores = made(kValues, {}, source, models({{kSide, kSide}}));
  std::vector<float> values = all;
  values[2 * kSide * kSide] = 4.0F;
  add_to(scores, {0, 3, {values}});
  CHECK(source.reads == 3);
  CHECK(*scores.ensemble()->value("mean_absolute_error") == doctest::Approx(3.0 / (3 * kSide * kSide)));
}

TEST_CASE("what a member did not predict does not count for it, nor what nobody predicted for the ensemble") {
  MadeLabels<float> source({}, {1, 2, 3});
  LabelScores scores = made(kValues, {}, source, models({{1}, {1}}));
  add_to(scores, {0, 1, {{1}, {kNotANumber}}, {}, {}, {true, false}});
  add_to(scores, {1, 1, {{4}, {kNotANumber}}, {kNotANumber}, {}, {true, false}, true});
  add_to(scores, {2, 1, {{kNotANumber}, {kNotANumber}}, {kNotANumber}, {}, {false, false}});
  CHECK(scores.members()[0].compared == 2);
  CHECK(*scores.members()[0].value("mean_absolute_error") == 1.0);
  CHECK(scores.members()[1].compared == 0);
  CHECK_FALSE(scores.members()[1].value("mean_absolute_error"));
  CHECK(scores.ensemble()->compared == 1);
  CHECK(*scores.ensemble()->value("mean_absolute_error") == 0.0);
}

TEST_CASE("several labels are predicted above one half, unless the rule's values are no probabilities") {
  MadeLabels<float> source({2}, {1, 0, 0, 1});
  const Predicted segment{0, 2, {{0.6F, 0.2F, 0.7F, 0.9F}}};
  LabelScores mean = made(kSeveral, {}, source, models({{2}}));
  add_to(mean, segment);
  CHECK(mean.ensemble()->kind == "labels");
  CHECK(*mean.ensemble()->value("mean_accuracy") == 0.75);
  CHECK(*mean.ensemble()->value("macro_f1") == (2.0 / 3 + 1.0) / 2);
  config::CombineSpec rule = kSeveral;
  rule.rule = CombineRule::sum;
  LabelScores sum = made(rule, {}, source, models({{2}}));
  add_to(sum, segment);
  CHECK_FALSE(sum.ensemble()->value("macro_f1"));
  CHECK(*sum.ensemble()->value("mean_average_precision") == (0.5 + 1.0) / 2);
  CHECK(sum.members()[0].value("macro_f1"));
  rule.rule = CombineRule::weighted;
  CHECK(made(rule, {}, source, models({{2}})).ensemble());
  rule.normalize = false;
  LabelScores weighted = made(rule, {}, source, models({{2}}));
  add_to(weighted, segment);
  CHECK_FALSE(weighted.ensemble()->value("macro_f1"));
}

TEST_CASE("masks of several labels have figures for each label and not for each place") {
  MadeLabels<float> source({2, 1, 2}, {1, 0, 0, 0});
  LabelScores scores = made(kSeveral, {}, source, models({{2, 1, 2}}));
  add_to(scores, {0, 1, {{0.9F, 0.1F, 0.1F, 0.8F}}});
  CHECK(scores.ensemble()->lists[0].values == std::vector<std::optional<double>>{1.0, 0.5});
}

/// A segment of one image with these members.
SegmentResult segment_of(const std::vector<MemberSegmentResult>& members) {
  SegmentResult result;
  result.count = 1;
  result.members = members;
  return result;
}

TEST_CASE("several rules are compared from what each of them gives, and the members once") {
  MadeLabels<std::int64_t> source({2}, {1, 0}, 2);
  ComparedForm form = compared_form(kMasks, {}, models({{2, 2}, {2, 2}}));
  form.rules.push_back(over(OutputKind::probabilities, Activation::softmax, CombineRule::vote));
  LabelScores scores(std::move(form), source);
  CHECK(scores.rows() == 4);
  const std::vector<float> values{0.1F, 0.9F, 0.9F, 0.1F};
  const std::vector<Accumulator::Result> combined{{values, {1, 0}}, {values, {0, 0}}};
  scores.add(segment_of({{4, values}, {4, values, false}}), combined);
  scores.add(segment_of({{4, values, false}, {4, values, false}}), {});
  REQUIRE(scores.rules().size() == 2);
  CHECK(*scores.rules()[0].value("pixel_accuracy") == 1.0);
  CHECK(*scores.rules()[1].value("pixel_accuracy") == 0.5);
  CHECK(scores.rules()[0].images == 1);
  CHECK(*scores.members()[0].value("pixel_accuracy") == 1.0);
  CHECK(scores.members()[0].images == 1);
  CHECK(scores.members()[1].images == 0);
  CHECK(scores.ensemble()->compared == 2);
  CHECK(source.reads == 2);
}

TEST_CASE("members that are compared elsewhere are not compared again and share the bound of what is held") {
  MadeLabels<float> source({2}, {1, 0, 0, 1});
  ComparedForm form = compared_form(kSeveral, {}, models({{2}, {2}}));
  form.models.clear();
  form.elsewhere = 2;
  LabelScores scores(form, source);
  CHECK(scores.rows() == 1);
  add_to(scores, {0, 2, {{0.6F, 0.2F, 0.7F, 0.9F}, {0.6F, 0.2F, 0.7F, 0.9F}}});
  CHECK(scores.members().empty());
  CHECK(scores.ensemble()->images == 2);
  CHECK(scores.ensemble()->value("mean_average_precision"));
  form.elsewhere = images::kMaxHeldScores;
  CHECK(LabelScores(form, source).ensemble()->left_out);
}

TEST_CASE("the scores that several labels need at once are as many as those of all models and rules") {
  const MadeLabels<float> source({2}, {1, 0, 0, 1});
  CHECK(held_score_bytes(kSeveral, source, 3) == 3 * 4 * images::kHeldScoreBytes + 4 * sizeof(std::size_t));
  CHECK(held_score_bytes(kValues, source, 3) == 0);
  CHECK(held_score_bytes(kSeveral, MadeLabels<std::int64_t>({}, {0, 1}, 2), 3) == 0);
  // Then none is held.
  CHECK(held_score_bytes(kSeveral, source, images::kMaxHeldScores / 4) > 0);
  CHECK(held_score_bytes(kSeveral, source, images::kMaxHeldScores / 4 + 1) == 0);
}

TEST_CASE("what has no figures of this kind is not read") {
  MadeLabels<std::int64_t> classes({}, {0, 1}, 2);
  MadeLabels<float> numbers({}, {0, 1});
  for (const config::CombineSpec& combine : {kMasks, kValues, kSeveral, over(OutputKind::features)})
    CHECK_FALSE(has_label_scores(combine, classes));
  CHECK_FALSE(has_label_scores(kMasks, numbers));
  CHECK_FALSE(has_label_scores(over(OutputKind::features), numbers));
  CHECK(has_label_scores(kValues, numbers));
  CHECK(has_label_scores(kSeveral, numbers));
  LabelScores scores = made(kMasks, {}, classes, models({{2}}));
  add_to(scores, {0, 1, {{0.5F, 0.5F}}});
  CHECK(scores.members().empty());
  CHECK_FALSE(scores.ensemble());
}

Error refusal(const config::CombineSpec& combine, const Source& source, const Dims& output) {
  config::EnsembleSpec spec;
  spec.combine = combine;
  spec.input.labels = "y.npy";
  const auto error = error_of([&] { check_labels(spec.combine, spec.input, source, models({output})); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "y.npy cannot be compared with the predictions");
  return *error;
}

void accept(const config::CombineSpec& combine, const Source& source, const Dims& output) {
  config::EnsembleSpec spec;
  spec.combine = combine;
  spec.input.labels = "y.npy";
  CHECK_FALSE(error_of([&] { check_labels(spec.combine, spec.input, source, models({output})); }));
}

TEST_CASE("masks of another size than the predictions are refused, and axes of length 1 do not matter") {
  const MadeLabels<std::int64_t> source({1, 8, 9}, std::vector<std::int64_t>(72), 3);
  accept(kMasks, source, {3, 8, 9});
  const Error error = refusal(kMasks, source, {3, 4, 4});
  CHECK(error.detail() == "the label of an image is 1x8x9, but 'm0' predicts 3x4x4, which needs labels of 4x4");
  CHECK(error.hint() ==
        "give masks of the size of the predictions: Tutti does not resize them; 'axis' of 'combine' says where the "
        "classes are");
}

TEST_CASE("masks without the axis of the classes are refused even if nothing is combined") {
  const MadeLabels<std::int64_t> source({8}, std::vector<std::int64_t>(8), 3);
  config::EnsembleSpec spec;
  spec.combine = over(OutputKind::probabilities, Activation::softmax, CombineRule::none);
  spec.combine.axis = 4;
  const auto error = error_of([&] { check_labels(spec.combine, spec.input, source, models({{3, 8}})); });
  REQUIRE(error);
  CHECK(error->message() == "there is no axis 4 with classes");
}

TEST_CASE("rows in one-hot form are refused with what they could be") {
  const MadeLabels<std::int64_t> source({5}, std::vector<std::int64_t>(10), 2);
  const Error error = refusal(kMasks, source, {5});
  CHECK(error.detail() == "the label of an image is 5, but 'm0' predicts 5, which needs labels of 1");
  CHECK(error.hint() ==
        "one row per image in one-hot form is saved as y.argmax(1); if several labels per image may be right, set "
        "combine: {activation: sigmoid}");
}

TEST_CASE("masks with more classes than the members predict are refused before anything runs") {
  const MadeLabels<std::int64_t> source({2}, {0, 255}, 256);
  const Error error = refusal(kMasks, source, {21, 2});
  CHECK(error.detail() == "they have 256 classes, but 'm0' predicts 21");
  CHECK(error.hint() ==
        "number the classes as the members do; if 255 marks places to leave out, set 'ignore_index: 255'");
}

TEST_CASE("vectors of another width are refused") {
  const MadeLabels<float> source({3}, std::vector<float>(6));
  accept(kValues, source, {3});
  accept(kSeveral, source, {3, 1});
  CHECK(refusal(kValues, source, {2}).detail() ==
        "the label of an image is 3, but 'm0' predicts 2, which needs labels of 2");
  CHECK(refusal(kSeveral, source, {4}).hint() ==
        "give as many values per image as the members predict, in the same order of the axes");
}

TEST_CASE("one class per image is refused where members predict masks") {
  const MadeLabels<std::int64_t> source({}, {0, 1}, 2);
  accept(kMasks, source, {2});
  accept(over(OutputKind::features), source, {2, 4});
  const Error error = refusal(kMasks, source, {2, 4, 4});
  CHECK(error.detail() == "it has one class per image, but 'm0' predicts 2x4x4");
  CHECK(error.hint() == "give masks of the size of the predictions, or leave 'labels' out");
}

}  // namespace
}  // namespace tutti::test
