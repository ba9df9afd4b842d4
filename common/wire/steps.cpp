#include "common/wire/steps.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include <tutti/error.hpp>

#include "common/axis.hpp"
#include "common/counted.hpp"
#include "common/member_input.hpp"
#include "common/resample.hpp"

namespace tutti {
namespace {

template <std::size_t... Each>
std::vector<Step> each_step(std::index_sequence<Each...>) {
  return {Step(std::variant_alternative_t<Each, Step>{})...};
}

/// Of a step that works along an axis, and keeps the sizes.
StepOutput along_axis(std::int32_t axis, const Dims& dims) {
  if (size_at(dims, axis)) return {dims};
  return {{},
          fmt::format("there is no axis {}", axis),
          "set its 'axis' to one that there is: 1 is the first axis after the sample, -1 the last"};
}

ImageShape crop_shape(const CropBoxesStep& step) { return {step.channels, step.resize.height, step.resize.width}; }

/// The sizes of what it makes of any prediction that it can take; nothing if they depend on the prediction's.
std::optional<Dims> fixed_output(const Step& step) {
  const auto* const crops = std::get_if<CropBoxesStep>(&step);
  return crops != nullptr ? std::optional(crop_shape(*crops).layout().dims) : std::nullopt;
}

/// What each field says in texts for people; nothing if it need not be said.
struct FieldText {
  std::string operator()(std::string_view key, std::int32_t axis, const form::Axis&) const {
    return axis == SoftmaxStep().axis ? "" : fmt::format("{} {}", key, axis);
  }
  std::string operator()(std::string_view key, std::uint32_t number, const form::Whole&) const {
    return fmt::format("{} {}", key, number);
  }
  std::string operator()(std::string_view key, float number, const form::Number&) const {
    return fmt::format("{} {}", key, number);
  }
  template <class Enum>
  std::string operator()(std::string_view key, Enum choice, const form::Choice&) const {
    return fmt::format("{} {}", key, to_name(choice));
  }
  std::string operator()(std::string_view key, const std::vector<float>& values, const form::Channels&) const {
    return values.empty() ? "" : fmt::format("{} {}", key, fmt::join(values, " "));
  }
  std::string operator()(std::string_view, const Resize& resize, const form::Resizing&) const {
    return to_text(resize);
  }
};

}  // namespace

StepOutput StepDescription<SoftmaxStep>::output(const SoftmaxStep& step, const Dims& dims) {
  StepOutput output = along_axis(step.axis, dims);
  if (!output.problem.empty() || dims[*size_at(dims, step.axis)] > 1) return output;
  return {{},
          fmt::format("axis {} has one value, of which the softmax is always 1", step.axis),
          "set its 'axis' to where the classes are, or leave it out"};
}

std::string StepDescription<NormalizeStep>::clash(const NormalizeStep& step) {
  return step.mean.empty() && step.std.empty() ? "a step normalize needs 'mean', 'std' or both" : "";
}

StepOutput StepDescription<NormalizeStep>::output(const NormalizeStep& step, const Dims& dims) {
  const std::size_t channels = dims.empty() ? 1 : dims.front();
  for (const auto& [key, count] : {std::pair("mean", step.mean.size()), std::pair("std", step.std.size())})
    if (count > 1 && count != channels)
      return {{},
              fmt::format("'{}' has {}, and there {} {}", key, counted(count, "value"), channels == 1 ? "is" : "are",
                          counted(channels, "channel")),
              "give one for each channel, or one for all"};
  return {dims};
}

StepOutput StepDescription<L2NormalizeStep>::output(const L2NormalizeStep& step, const Dims& dims) {
  return along_axis(step.axis, dims);
}

StepOutput StepDescription<TopKStep>::output(const TopKStep& step, const Dims& dims) {
  StepOutput output = along_axis(step.axis, dims);
  if (!output.problem.empty()) return output;
  std::uint32_t& length = output.dims[*size_at(dims, step.axis)];
  if (step.k > length)
    return {{},
            fmt::format("there are not {} values along axis {}, but {}", step.k, step.axis, length),
            fmt::format("set its 'k' to {} at most, or its 'axis' to a longer one", length)};
  if (step.give == TopKGives::indices && length > kMostExactInFloat)
    return {{},
            fmt::format("float32 does not hold every index of an axis of {} values", length),
            fmt::format("give 'values', or {} values at most", kMostExactInFloat)};
  length = step.k;
  return output;
}

std::string StepDescription<ResizeStep>::clash(const ResizeStep& step) {
  return step.resize.rule == ResizeRule::none && step.resize.crop_height == 0
             ? "a step resize needs 'resize', 'crop' or both"
             : "";
}

StepOutput StepDescription<ResizeStep>::output(const ResizeStep& step, const Dims& dims) {
  const auto image = image_shape({Dtype::float32, dims});
  if (!image) return {{}, "it is for images, of three sizes: channels x height x width", "leave it out"};
  try {
    const ImageShape made = resized_shape(step.resize, *image);
    if (made.elements() <= kMaxImageElements) return {made.layout().dims};
    return {{},
            fmt::format("images of {} are more than {} values each", made.text(), kMaxImageElements),
            "make its 'resize' smaller"};
  } catch (const Error& error) {
    return {{}, error.message() + (error.detail().empty() ? "" : ": ") + error.detail(), error.hint()};
  }
}

std::string StepDescription<CropBoxesStep>::clash(const CropBoxesStep& step) {
  if (step.max == 0) return "a step crop_boxes needs 'max', the most rows of a sample";
  if (step.resize.rule != ResizeRule::exact || step.resize.crop_height != 0)
    return "a step crop_boxes needs one size for all crops: 'resize: [height, width]', without 'crop'";
  return {};
}

StepOutput StepDescription<CropBoxesStep>::output(const CropBoxesStep& step, const Dims& dims) {
  if (dims.size() != 2 || dims.back() != kBoxValues)
    return {{},
            fmt::format("it takes boxes x {}: x1, y1, x2, y2 and a score for each box", kBoxValues),
            "let the model before it output boxes of that form"};
  const ImageShape made = crop_shape(step);
  const std::uint64_t values = std::uint64_t{step.max} * made.elements();
  if (values <= kMostRowValues) return {made.layout().dims};
  return {{},
          fmt::format("up to {} crops of {} are more than {} values", step.max, made.text(), kMostRowValues),
          "lower its 'max', or make its 'resize' smaller"};
}

const std::vector<Step>& every_step() {
  static const std::vector<Step> all = each_step(std::make_index_sequence<std::variant_size_v<Step>>());
  return all;
}

std::optional<Step> step_called(std::string_view name) {
  const auto found = std::ranges::find(every_step(), name, step_name);
  return found == every_step().end() ? std::nullopt : std::optional(*found);
}

std::string_view step_name(const Step& step) {
  return with_description(step, [](auto description, const auto&) { return description.kName; });
}

bool is_in_place(const Step& step) {
  return with_description(step, [](auto description, const auto&) { return description.kInPlace; });
}

std::string clash_in(const Step& step) {
  return with_description(step, [](auto description, const auto& one) { return description.clash(one); });
}

StepOutput output_of(const Step& step, const Dims& dims) {
  return with_description(step, [&](auto description, const auto& one) { return description.output(one, dims); });
}

std::string misfit_text(const Step& step, const Dims& dims, const StepOutput& output) {
  return fmt::format("step '{}' does not fit outputs of {}: {}", step_name(step), dims_text(dims), output.problem);
}

std::string to_text(const Step& step) {
  std::vector<std::string> parts;
  for_each_step_field(step, [&](std::string_view key, const auto& value, const auto& form) {
    if (std::string part = FieldText{}(key, value, form); !part.empty()) parts.push_back(std::move(part));
  });
  return parts.empty() ? std::string(step_name(step)) : fmt::format("{} ({})", step_name(step), fmt::join(parts, ", "));
}

MaybeMeaning meaning_behind(std::span<const Step> steps, MaybeMeaning before) {
  for (const Step& step : steps)
    before =
        with_description(step, [&](auto description, const auto& one) { return description.meaning(one, before); });
  return before;
}

std::optional<Dims> dims_behind(std::span<const Step> steps, std::optional<Dims> dims) {
  for (const Step& step : steps) {
    if (!dims) {
      dims = fixed_output(step);
      continue;
    }
    StepOutput output = output_of(step, *dims);
    if (!output.problem.empty()) return std::nullopt;
    dims = std::move(output.dims);
  }
  return dims;
}

}  // namespace tutti
