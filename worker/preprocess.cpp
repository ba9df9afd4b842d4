#include "worker/preprocess.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <string_view>

#include <tutti/error.hpp>

#include "common/check.hpp"
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

Preparation::Preparation(const TakenTensor& taken)
    : needed_(taken.input.has_value()), sample_bytes_(taken.stored.bytes()) {
  if (!needed_) {
    if (taken.stored != taken.seen)
      throw Error(ErrorKind::failed,
                  fmt::format("the arena holds {} of {}, the member sees {} of {}, and has no 'input' that converts it",
                              to_name(taken.stored.dtype), dims_text(taken.stored.dims), to_name(taken.seen.dtype),
                              dims_text(taken.seen.dims)));
    return;
  }
  const std::optional<ImageShape> from = image_shape(taken.stored);
  const std::optional<ImageShape> to = image_shape(taken.seen);
  if (!from || !to)
    throw Error(ErrorKind::failed, "a member's 'input' is for images, and this tensor has not three sizes",
                dims_text(taken.stored.dims));
  from_ = *from;
  to_ = *to;
  const MemberInput& input = *taken.input;
  if (const ImageShape made = resized_shape(input.resize, from_); made != to_)
    throw Error(ErrorKind::usage, fmt::format("the member's 'input' gives images of {}", made.text()),
                fmt::format("from images of {}; the member expects {}", from_.text(), to_.text()));
  if (input.resize != Resize{}) resampler_.emplace(input.resize, from_);
  mean_ = per_channel(input.mean, to_, "mean");
  std_ = per_channel(input.std, to_, "std");
  if (taken.stored.dtype != Dtype::uint8) return;
  if (resampler_) resized_.resize(to_.elements());
  for (std::size_t channel = 0; channel < to_.channels; ++channel)
    for (int value = 0; value < 256; ++value)
      of_bytes_.push_back(normalised(static_cast<float>(value) / 255.0F, mean_, std_, channel));
}

const std::byte* Preparation::samples(const SlotView<const std::byte>& array, std::uint32_t first,
                                      std::uint32_t count) {
  if (!needed_) return array.bytes.data() + first * sample_bytes_;
  const std::size_t from = from_.elements();
  const std::size_t to = to_.elements();
  float* const made = made_.make_room(count * to);
  for (std::size_t image = 0; image < count; ++image) {
    const std::span<float> out(made + image * to, to);
    if (array.dtype == Dtype::uint8)
      make(array.pixels().subspan((first + image) * from, from), out);
    else
      make(array.floats().subspan((first + image) * from, from), out);
  }
  return reinterpret_cast<const std::byte*>(made);
}

void Preparation::make(std::span<const std::uint8_t> image, std::span<float> out) {
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

void Preparation::make(std::span<const float> image, std::span<float> out) {
  if (resampler_)
    resampler_->apply(image, out);
  else
    std::copy(image.begin(), image.end(), out.begin());
  if (mean_.empty() && std_.empty()) return;
  const std::size_t plane = std::size_t{to_.height} * to_.width;
  for (std::size_t channel = 0; channel < to_.channels; ++channel)
    for (float& value : out.subspan(channel * plane, plane)) value = normalised(value, mean_, std_, channel);
}

Preprocess::Preprocess(const MemberRequest& request) {
  for (const TakenTensor& taken : request.takes) tensors_.emplace_back(taken);
}

Samples Preprocess::samples(std::span<const SlotView<const std::byte>> arrays, std::uint32_t first,
                            std::uint32_t count) {
  TUTTI_CHECK(arrays.size() == tensors_.size());
  std::array<const std::byte*, kMaxTaken> begin{};
  for (std::size_t t = 0; t < tensors_.size(); ++t) begin[t] = tensors_[t].samples(arrays[t], first, count);
  return Samples(std::span(begin).first(tensors_.size()));
}

}  // namespace tutti::worker
