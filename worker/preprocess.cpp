#include "worker/preprocess.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <string_view>

#include <tutti/error.hpp>

#include "common/counted.hpp"

namespace tutti::worker {
namespace {

/// One value per channel, from one per channel or one for all; empty if there is none.
std::vector<float> per_channel(const std::vector<float>& values, const ImageShape& shape, std::string_view what) {
  if (values.size() > 1 && values.size() != shape.channels)
    throw Error(ErrorKind::usage,
                fmt::format("'{}' of the member's input has {}", what, counted(values.size(), "value")),
                fmt::format("an image has {}", counted(shape.channels, "channel")),
                "give one for each channel, or one for all");
  return values.size() == 1 ? std::vector<float>(shape.channels, values.front()) : values;
}

// The same operations in the same order as in images/decorators.cpp, so that both give the same bits.
float normalised(float value, const std::vector<float>& mean, const std::vector<float>& std, std::size_t channel) {
  if (mean.empty() && std.empty()) return value;
  return (value - (mean.empty() ? 0.0F : mean[channel])) / (std.empty() ? 1.0F : std[channel]);
}

}  // namespace

float* AlignedFloats::make_room(std::size_t count) {
  const std::size_t lines = (count + 15) / 16;
  if (lines > lines_.size()) {
    lines_ = std::vector<Line>();  // never both the old and the new ones; clear() would keep them
    lines_.resize(lines);
  }
  return lines_.empty() ? nullptr : lines_.front().values;
}

Preprocess::Preprocess(const MemberRequest& request)
    : needed_(request.input.has_value()), from_(request.arena_shape), to_(request.shape) {
  if (!needed_) {
    if (request.arena_pixels == PixelType::uint8)
      throw Error(ErrorKind::failed, "the arena holds bytes, and the member has no 'input' that converts them");
    return;
  }
  const MemberInput& input = *request.input;
  if (const ImageShape made = resized_shape(input.resize, from_); made != to_)
    throw Error(ErrorKind::usage, fmt::format("the member's 'input' gives images of {}", made.text()),
                fmt::format("from images of {}; the member expects {}", from_.text(), to_.text()));
  if (input.resize != Resize{}) resampler_.emplace(input.resize, from_);
  mean_ = per_channel(input.mean, to_, "mean");
  std_ = per_channel(input.std, to_, "std");
  if (request.arena_pixels != PixelType::uint8) return;
  if (resampler_) resized_.resize(to_.elements());
  for (std::size_t channel = 0; channel < to_.channels; ++channel)
    for (int value = 0; value < 256; ++value)
      of_bytes_.push_back(normalised(static_cast<float>(value) / 255.0F, mean_, std_, channel));
}

const float* Preprocess::images(const SlotView<const std::byte>& slot, std::uint32_t first, std::uint32_t count) {
  if (!needed_) return slot.pixels.data() + first * to_.elements();
  const std::size_t from = from_.elements();
  const std::size_t to = to_.elements();
  float* const made = made_.make_room(count * to);
  for (std::size_t image = 0; image < count; ++image) {
    const std::span<float> out(made + image * to, to);
    if (slot.bytes.empty())
      make(slot.pixels.subspan((first + image) * from, from), out);
    else
      make(slot.bytes.subspan((first + image) * from, from), out);
  }
  return made;
}

void Preprocess::make(std::span<const std::uint8_t> image, std::span<float> out) {
  assert(!of_bytes_.empty());
  if (resampler_) {
    resampler_->apply(image, std::span<std::uint8_t>(resized_));
    image = resized_;
  }
  const std::size_t plane = std::size_t{to_.height} * to_.width;
  for (std::size_t channel = 0; channel < to_.channels; ++channel) {
    const float* const table = of_bytes_.data() + channel * 256;
    for (std::size_t place = channel * plane; place < (channel + 1) * plane; ++place) out[place] = table[image[place]];
  }
}

void Preprocess::make(std::span<const float> image, std::span<float> out) {
  if (resampler_)
    resampler_->apply(image, out);
  else
    std::copy(image.begin(), image.end(), out.begin());
  if (mean_.empty() && std_.empty()) return;
  const std::size_t plane = std::size_t{to_.height} * to_.width;
  for (std::size_t channel = 0; channel < to_.channels; ++channel)
    for (float& value : out.subspan(channel * plane, plane)) value = normalised(value, mean_, std_, channel);
}

}  // namespace tutti::worker
