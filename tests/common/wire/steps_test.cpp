// The steps that need no model: their names, what they make of which sizes, and what the numbers mean behind them.
#include "common/wire/steps.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string_view>

#include "tests/common/error_of.hpp"
#include "tests/common/wire/every_step.hpp"

namespace tutti::test {
namespace {

TEST_CASE("every step has the name that it has in YAML and the table has all of them") {
  CHECK(every_step().size() == std::variant_size_v<Step>);
  CHECK(unusual_steps().size() == every_step().size());
  std::vector<std::string_view> names;
  for (const Step& step : every_step()) {
    names.push_back(step_name(step));
    REQUIRE(step_called(step_name(step)));
    CHECK(*step_called(step_name(step)) == step);
    std::set<std::string_view> keys{"step"};
    for_each_step_field(step, [&](std::string_view key, const auto&, const auto&) { CHECK(keys.insert(key).second); });
  }
  CHECK(names == std::vector<std::string_view>{"softmax", "normalize", "l2_normalize", "threshold", "top_k", "resize",
                                               "crop_boxes", "reduce"});
  CHECK_FALSE(step_called("relu"));
}

TEST_CASE("the steps of the tests are one of each kind and differ from the defaults") {
  std::set<std::size_t> kinds;
  for (const Step& step : unusual_steps()) {
    CHECK(kinds.insert(step.index()).second);
    CHECK(step != every_step()[step.index()]);
    CHECK(clash_in(step).empty());
    const bool boxes = std::holds_alternative<CropBoxesStep>(step);
    CHECK(output_of(step, boxes ? Dims{7, 5} : Dims{3, 8, 6}).problem.empty());
  }
}

TEST_CASE("a step is written for people with what is not as by default") {
  CHECK(to_text(SoftmaxStep{}) == "softmax");
  CHECK(to_text(L2NormalizeStep{-1}) == "l2_normalize (axis -1)");
  CHECK(to_text(NormalizeStep{{0.5F, 1}, {}}) == "normalize (mean 0.5 1)");
  CHECK(to_text(ThresholdStep{}) == "threshold (above 0.5)");
  CHECK(to_text(TopKStep{5}) == "top_k (k 5, give values)");
  CHECK(to_text(ResizeStep{{.rule = ResizeRule::exact, .height = 4, .width = 6}}) == "resize (4x6, bicubic)");
  CHECK(to_text(unusual_steps()[6]) == "crop_boxes (max 4, above 0.25, channels 1, 6x5, bilinear)");
  CHECK(to_text(ReduceStep{}) == "reduce (by mean, empty 0)");
}

TEST_CASE("steps that keep the size of predictions are those that are computed in place") {
  for (const Step& step : steps_of_maps()) {
    CAPTURE(to_text(step));
    CHECK(is_in_place(step) == (output_of(step, {3, 8, 6}).dims == Dims{3, 8, 6}));
  }
  CHECK(output_of(unusual_steps()[4], {3, 8, 6}).dims == Dims{3, 3, 6});
  CHECK(output_of(unusual_steps()[5], {3, 8, 6}).dims == Dims{3, 4, 4});
  CHECK(output_of(TopKStep{4}, {4}).dims == Dims{4});
  CHECK(output_of(ThresholdStep{}, {}).dims.empty());
  CHECK(output_of(NormalizeStep{{1}, {}}, {}).problem.empty());
}

TEST_CASE("a step that does not fit says why and what to do") {
  const auto why = [](const Step& step, const Dims& dims) {
    const StepOutput output = output_of(step, dims);
    CHECK_FALSE(output.hint.empty());
    return output.problem;
  };
  CHECK(why(SoftmaxStep{2}, {10}) == "there is no axis 2");
  CHECK(why(SoftmaxStep{}, {}) == "there is no axis 1");
  CHECK(why(SoftmaxStep{}, {1}) == "axis 1 has one value, of which the softmax is always 1");
  CHECK(why(L2NormalizeStep{-3}, {3, 4}) == "there is no axis -3");
  CHECK(why(NormalizeStep{{1, 2}, {}}, {3, 4, 4}) == "'mean' has 2 values, and there are 3 channels");
  CHECK(why(NormalizeStep{{}, {1, 2}}, {1}) == "'std' has 2 values, and there is 1 channel");
  CHECK(why(TopKStep{5}, {4}) == "there are not 5 values along axis 1, but 4");
  CHECK(why(TopKStep{1, TopKGives::indices}, {kMostExactInFloat + 1}) ==
        "float32 does not hold every index of an axis of 16777217 values");
  CHECK(output_of(TopKStep{}, {kMostExactInFloat + 1}).problem.empty());
  CHECK(why(ResizeStep{{.rule = ResizeRule::exact, .height = 4, .width = 4}}, {10}) ==
        "it is for images, of three sizes: channels x height x width");
  CHECK(contains(why(ResizeStep{{.rule = ResizeRule::exact, .height = 60000, .width = 60000}}, {3, 8, 8}),
                 "images of 3x60000x60000 are more than"));
  const auto crops = [](std::uint32_t max, std::uint32_t side) {
    return CropBoxesStep{.max = max, .resize = {.rule = ResizeRule::exact, .height = side, .width = side}};
  };
  for (const Dims& dims : {Dims{5}, Dims{7, 4}, Dims{1, 7, 5}})
    CHECK(why(crops(4, 8), dims) == "it takes boxes x 5: x1, y1, x2, y2 and a score for each box");
  CHECK(why(crops(100, 240), {7, 5}) == "up to 100 crops of 3x240x240 are more than 16777216 values");
  CHECK(output_of(crops(4, 8), {7, 5}).dims == Dims{3, 8, 8});
  CHECK(misfit_text(TopKStep{5}, {4}, output_of(TopKStep{5}, {4})) ==
        "step 'top_k' does not fit outputs of 4: there are not 5 values along axis 1, but 4");
}

TEST_CASE("a step that computes nothing says what it needs") {
  CHECK(clash_in(NormalizeStep{}) == "a step normalize needs 'mean', 'std' or both");
  CHECK(clash_in(ResizeStep{}) == "a step resize needs 'resize', 'crop' or both");
  CropBoxesStep crops;
  crops.resize = {.rule = ResizeRule::exact, .height = 4, .width = 4};
  CHECK(clash_in(crops) == "a step crop_boxes needs 'max', the most rows of a sample");
  crops.max = 3;
  CHECK(clash_in(crops).empty());
  for (const Resize& other :
       {Resize{}, Resize{.rule = ResizeRule::shorter, .height = 4, .width = 4},
        Resize{.rule = ResizeRule::exact, .height = 4, .width = 4, .crop_height = 2, .crop_width = 2}}) {
    crops.resize = other;
    CHECK(clash_in(crops) ==
          "a step crop_boxes needs one size for all crops: 'resize: [height, width]', without 'crop'");
  }
}

TEST_CASE("sizes go through all steps and are unknown behind one that does not fit") {
  const std::vector<Step> steps{TopKStep{5}, SoftmaxStep{}};
  CHECK(dims_behind(steps, Dims{10}) == Dims{5});
  CHECK_FALSE(dims_behind(steps, std::nullopt));
  const std::vector<Step> crops{CropBoxesStep{.max = 2, .resize = {.rule = ResizeRule::exact, .height = 4, .width = 6}},
                                TopKStep{.k = 2}};
  CHECK(dims_behind(crops, std::nullopt) == Dims{2, 4, 6});  // whatever the detector outputs
  CHECK_FALSE(dims_behind(steps, Dims{3}));
}

TEST_CASE("some steps decide what the numbers mean behind them") {
  const auto behind = [](std::vector<Step> steps, MaybeMeaning before) { return meaning_behind(steps, before); };
  CHECK(behind({SoftmaxStep{}}, OutputKind::logits) == OutputKind::probabilities);
  CHECK(behind({L2NormalizeStep{}}, std::nullopt) == OutputKind::features);
  CHECK(behind({SoftmaxStep{}, ThresholdStep{}}, std::nullopt) == OutputKind::values);
  CHECK(behind({TopKStep{}}, OutputKind::logits) == OutputKind::values);
  CHECK(behind({NormalizeStep{}}, OutputKind::logits) == OutputKind::logits);
  CHECK(behind({SoftmaxStep{}, NormalizeStep{}}, std::nullopt) == OutputKind::values);
  CHECK(behind({SoftmaxStep{}, ResizeStep{}}, std::nullopt) == OutputKind::probabilities);
  CHECK_FALSE(behind({NormalizeStep{}, ResizeStep{}}, std::nullopt));
  CHECK(behind({CropBoxesStep{}}, OutputKind::logits) == OutputKind::values);
  CHECK(behind({ReduceStep{}}, OutputKind::logits) == OutputKind::logits);
  CHECK(behind({SoftmaxStep{}, ReduceStep{}}, std::nullopt) == OutputKind::probabilities);
  CHECK(behind({SoftmaxStep{}, ReduceStep{.by = ReduceBy::max}}, std::nullopt) == OutputKind::values);
}

}  // namespace
}  // namespace tutti::test
