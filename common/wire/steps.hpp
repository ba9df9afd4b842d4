// The steps of a chain that need no model (tutti/steps.hpp): what a configuration can say about each, and what is known
// before anything is computed. Readers and writers of YAML and of control messages, the plan and the schema derive from
// these descriptions; worker/steps.cpp computes them.
//
// A new step is a struct in include/tutti/steps.hpp, an entry in Step there, its StepDescription here, and a function
// in the worker. The description has:
//
//   kName, kInPlace            its name, and whether a sample's values stay as many and may be replaced one by one
//   fields(step, field)        calls field(key, value, form) for each key that it has in YAML besides `step`
//   clash(step)                what is missing or wrong with fields that are right one by one; empty if nothing is
//   output(step, dims)         the sizes of what it makes of a prediction
//   meaning(step, before)      what the numbers mean behind it; nothing: only the user knows
//   rows(step, before)         only of a step that changes how many rows a sample has: see rows.hpp
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include <tutti/steps.hpp>
#include <tutti/tensor.hpp>

#include "common/values.hpp"
#include "common/wire/model_forms.hpp"

namespace tutti {

/// The largest whole number up to which float32 holds all of them.
constexpr std::uint32_t kMostExactInFloat = 1U << 24;

/// The most rows that a sample may become.
constexpr std::uint32_t kMostRows = 1U << 12;
/// The most values in all rows of a sample: kMaxWidth of an output slot (channel.hpp).
constexpr std::uint64_t kMostRowValues = 1U << 24;
/// What a box has: x1, y1, x2, y2, score.
constexpr std::uint32_t kBoxValues = 5;
constexpr std::uint32_t kMostCropChannels = 1U << 10;

/// What a step makes of a prediction; or why it cannot, and what to do.
struct StepOutput {
  Dims dims{};
  std::string problem{};  ///< empty: it can
  std::string hint{};
};

using MaybeMeaning = std::optional<OutputKind>;

template <class Kind>
struct StepDescription;

template <>
struct StepDescription<SoftmaxStep> {
  static constexpr std::string_view kName = "softmax";
  static constexpr bool kInPlace = true;
  static void fields(auto& step, auto&& field) { field("axis", step.axis, form::Axis{}); }
  static std::string clash(const SoftmaxStep&) { return {}; }
  static StepOutput output(const SoftmaxStep& step, const Dims& dims);
  static MaybeMeaning meaning(const auto& /*step*/, MaybeMeaning) { return OutputKind::probabilities; }
};

template <>
struct StepDescription<NormalizeStep> {
  static constexpr std::string_view kName = "normalize";
  static constexpr bool kInPlace = true;
  static void fields(auto& step, auto&& field) {
    field("mean", step.mean, form::Channels{.positive = false});
    field("std", step.std, form::Channels{.positive = true});
  }
  static std::string clash(const NormalizeStep& step);
  static StepOutput output(const NormalizeStep& step, const Dims& dims);
  static MaybeMeaning meaning(const auto& /*step*/, MaybeMeaning before) {
    return before == OutputKind::probabilities ? OutputKind::values : before;
  }
};

template <>
struct StepDescription<L2NormalizeStep> {
  static constexpr std::string_view kName = "l2_normalize";
  static constexpr bool kInPlace = true;
  static void fields(auto& step, auto&& field) { field("axis", step.axis, form::Axis{}); }
  static std::string clash(const L2NormalizeStep&) { return {}; }
  static StepOutput output(const L2NormalizeStep& step, const Dims& dims);
  static MaybeMeaning meaning(const auto& /*step*/, MaybeMeaning) { return OutputKind::features; }
};

template <>
struct StepDescription<ThresholdStep> {
  static constexpr std::string_view kName = "threshold";
  static constexpr bool kInPlace = true;
  static void fields(auto& step, auto&& field) { field("above", step.above, form::Number{}); }
  static std::string clash(const ThresholdStep&) { return {}; }
  static StepOutput output(const ThresholdStep&, const Dims& dims) { return {dims}; }
  static MaybeMeaning meaning(const auto& /*step*/, MaybeMeaning) { return OutputKind::values; }
};

template <>
struct StepDescription<TopKStep> {
  static constexpr std::string_view kName = "top_k";
  static constexpr bool kInPlace = false;
  static void fields(auto& step, auto&& field) {
    field("k", step.k, form::Whole{1, kMostExactInFloat});
    field("give", step.give, form::Choice{});
    field("axis", step.axis, form::Axis{});
  }
  static std::string clash(const TopKStep&) { return {}; }
  static StepOutput output(const TopKStep& step, const Dims& dims);
  static MaybeMeaning meaning(const auto& /*step*/, MaybeMeaning) { return OutputKind::values; }
};

template <>
struct StepDescription<ResizeStep> {
  static constexpr std::string_view kName = "resize";
  static constexpr bool kInPlace = false;
  static void fields(auto& step, auto&& field) { field("resize", step.resize, form::Resizing{}); }
  static std::string clash(const ResizeStep& step);
  static StepOutput output(const ResizeStep& step, const Dims& dims);
  static MaybeMeaning meaning(const auto& /*step*/, MaybeMeaning before) { return before; }
};

template <>
struct StepDescription<CropBoxesStep> {
  static constexpr std::string_view kName = "crop_boxes";
  static constexpr bool kInPlace = false;
  static void fields(auto& step, auto&& field) {
    field("max", step.max, form::Whole{1, kMostRows});
    field("above", step.above, form::Number{});
    field("channels", step.channels, form::Whole{1, kMostCropChannels});
    field("resize", step.resize, form::Resizing{});
  }
  static std::string clash(const CropBoxesStep& step);
  static StepOutput output(const CropBoxesStep& step, const Dims& dims);
  static MaybeMeaning meaning(const auto& /*step*/, MaybeMeaning) { return OutputKind::values; }
  static std::uint32_t rows(const CropBoxesStep& step, std::uint32_t /*before*/) { return step.max; }
};

template <>
struct StepDescription<ReduceStep> {
  static constexpr std::string_view kName = "reduce";
  static constexpr bool kInPlace = false;
  static void fields(auto& step, auto&& field) {
    field("by", step.by, form::Choice{});
    field("empty", step.empty, form::Number{});
  }
  static std::string clash(const ReduceStep&) { return {}; }
  static StepOutput output(const ReduceStep&, const Dims& dims) { return {dims}; }
  /// The mean of probabilities sums to 1, the largest of their values do not.
  static MaybeMeaning meaning(const ReduceStep& step, MaybeMeaning before) {
    return step.by == ReduceBy::max && before == OutputKind::probabilities ? OutputKind::values : before;
  }
  static std::uint32_t rows(const ReduceStep&, std::uint32_t /*before*/) { return 0; }
};

// ---- the table -----------------------------------------------------------------------------------------------------

/// One of each, with the defaults of its fields.
const std::vector<Step>& every_step();

/// The one of them that is called so, or nothing.
std::optional<Step> step_called(std::string_view name);

/// Calls use(description, step) with the description of its type; `Kind` is Step or const Step.
template <class Kind, class Use>
decltype(auto) with_description(Kind& step, Use&& use) {
  return std::visit(
      [&]<class One>(One& one) -> decltype(auto) { return use(StepDescription<std::remove_const_t<One>>{}, one); },
      step);
}

/// Calls field(key, value, form) for each field.
template <class Kind, class Field>
void for_each_step_field(Kind& step, Field&& field) {
  with_description(step, [&](auto description, auto& one) { description.fields(one, field); });
}

std::string_view step_name(const Step& step);
bool is_in_place(const Step& step);
/// What is missing or wrong with fields that are right one by one; empty if nothing is.
std::string clash_in(const Step& step);
/// What it makes of a prediction of these sizes.
StepOutput output_of(const Step& step, const Dims& dims);
/// "top_k of 3x8x8: ...", for errors; the hint is apart.
std::string misfit_text(const Step& step, const Dims& dims, const StepOutput& output);
/// For people: "softmax", "top_k (k 5, give values)". An axis that is the first is left out.
std::string to_text(const Step& step);

/// What the numbers mean behind these steps, if they meant `before`; nothing if only the user knows.
MaybeMeaning meaning_behind(std::span<const Step> steps, MaybeMeaning before);

/// The sizes of a prediction behind these steps; nothing if they are not known, or if one of the steps does not fit.
std::optional<Dims> dims_behind(std::span<const Step> steps, std::optional<Dims> dims);

}  // namespace tutti
