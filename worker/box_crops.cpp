#include "worker/box_crops.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/counted.hpp"
#include "common/resample.hpp"
#include "common/tensor_text.hpp"

namespace tutti::worker {
namespace {

/// The pixels that it touches along one side, from the first to the one behind the last; none if it has no length
/// there.
std::pair<std::uint32_t, std::uint32_t> touched(float from, float to, std::uint32_t side) {
  const auto most = static_cast<float>(side);
  const auto first = static_cast<std::uint32_t>(std::floor(std::clamp(from, 0.0F, most)));
  const auto last = static_cast<std::uint32_t>(std::ceil(std::clamp(to, 0.0F, most)));
  return to > from ? std::pair(first, last) : std::pair(0U, 0U);
}

ImageShape fitting_picture(const CropBoxesStep& step, const TensorLayout& picture, const std::string& prefix) {
  const auto shape = image_shape(picture);
  if (picture.dtype != Dtype::float32 || !shape)
    throw Error(ErrorKind::usage, prefix + "step 'crop_boxes' cuts pictures of float32, channels x height x width",
                fmt::format("the first stage of the member takes {}", layout_text(picture)),
                "leave it out, or give the member pictures");
  if (shape->channels != step.channels)
    throw Error(ErrorKind::usage,
                fmt::format("{}step 'crop_boxes' cuts pictures with {}", prefix, counted(step.channels, "channel")),
                fmt::format("the first stage of the member takes {}", shape->text()),
                fmt::format("set its 'channels' to {}", shape->channels));
  return *shape;
}

}  // namespace

BoxCrops::BoxCrops(const CropBoxesStep& step, const Dims& boxes, const TensorLayout& picture, const std::string& place)
    : step_(step) {
  const std::string prefix = place + (place.empty() ? "" : ": ");
  StepOutput output = output_of(step, boxes);
  if (!output.problem.empty())
    throw Error(ErrorKind::usage, prefix + misfit_text(step, boxes, output), {}, output.hint);
  output_ = std::move(output.dims);
  picture_ = fitting_picture(step, picture, prefix);
}

std::uint32_t BoxCrops::choose(std::span<const float> boxes, std::vector<PixelBox>& chosen) {
  TUTTI_CHECK(boxes.size() % kBoxValues == 0);
  if (std::ranges::any_of(boxes, [](float value) { return std::isnan(value); })) {
    chosen.push_back({.nan = true});
    return 1;
  }
  scored_.clear();
  for (std::size_t first = 0; first < boxes.size(); first += kBoxValues) {
    const std::span<const float> box = boxes.subspan(first, kBoxValues);
    const auto [left, right] = touched(box[0], box[2], picture_.width);
    const auto [top, bottom] = touched(box[1], box[3], picture_.height);
    if (box[4] > step_.above && left < right && top < bottom) scored_.push_back({box[4], {left, top, right, bottom}});
  }
  std::ranges::stable_sort(scored_, std::greater<>(), &Scored::score);
  const std::size_t count = std::min<std::size_t>(scored_.size(), step_.max);
  for (std::size_t i = 0; i < count; ++i) chosen.push_back(scored_[i].box);
  return static_cast<std::uint32_t>(count);
}

void BoxCrops::cut(const PixelBox& box, std::span<const float> picture, std::span<float> row) {
  TUTTI_CHECK(picture.size() == picture_.elements() && row.size() == elements_of(output_));
  if (box.nan) {
    std::ranges::fill(row, std::numeric_limits<float>::quiet_NaN());
    return;
  }
  TUTTI_CHECK(box.left < box.right && box.right <= picture_.width);
  TUTTI_CHECK(box.top < box.bottom && box.bottom <= picture_.height);
  const ImageShape part{picture_.channels, box.bottom - box.top, box.right - box.left};
  part_.clear();
  for (std::size_t line = 0; line < std::size_t{picture_.channels} * picture_.height; ++line) {
    const std::size_t y = line % picture_.height;
    if (y < box.top || y >= box.bottom) continue;
    const std::span<const float> pixels = picture.subspan(line * picture_.width + box.left, part.width);
    part_.insert(part_.end(), pixels.begin(), pixels.end());
  }
  Resampler(step_.resize, part).apply(part_, row);
}

}  // namespace tutti::worker
