#include "worker/views.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/counted.hpp"

namespace tutti::worker {
namespace {

/// From a plane of `height` x `width` to the same plane mirrored or turned. The turns are those of numpy.rot90, which
/// keep the size of a square.
Walk walk_of(ViewKind kind, const ImageShape& shape) {
  const std::ptrdiff_t width = shape.width;
  const std::ptrdiff_t last_row = std::ptrdiff_t{shape.height - 1} * width;
  switch (kind) {
    case ViewKind::hflip:
      return {width - 1, width, -1};
    case ViewKind::vflip:
      return {last_row, -width, 1};
    case ViewKind::rot90:
      return {width - 1, -1, width};
    case ViewKind::rot180:
      return {last_row + width - 1, -width, -1};
    case ViewKind::rot270:
      return {last_row, 1, -width};
    case ViewKind::transpose:
      return {0, 1, width};
    case ViewKind::identity:
    case ViewKind::crops:
    case ViewKind::scale:
      break;
  }
  return {0, width, 1};
}

ViewKind inverse_of(ViewKind kind) {
  if (kind == ViewKind::rot90) return ViewKind::rot270;
  return kind == ViewKind::rot270 ? ViewKind::rot90 : kind;
}

/// The crops in the order of torchvision's FiveCrop and TenCrop: top left, top right, bottom left, bottom right,
/// centre, and then the same of the mirrored image.
std::vector<Walk> crops_of(const View& view, const ImageShape& image) {
  const std::uint32_t right = image.width - view.width;
  const std::uint32_t bottom = image.height - view.height;
  const auto centre = [](std::uint32_t side, std::uint32_t crop) {
    return static_cast<std::uint32_t>(crop_offset(side, crop, CropRounding::half_even));
  };
  const std::pair middle{centre(image.height, view.height), centre(image.width, view.width)};
  const std::array<std::pair<std::uint32_t, std::uint32_t>, 5> places{
      {{0, 0}, {0, right}, {bottom, 0}, {bottom, right}, middle}};
  std::vector<Walk> walks;
  const std::ptrdiff_t width = image.width;
  for (std::uint32_t crop = 0; crop < view.crops; ++crop) {
    const auto [top, left] = view.crops == 1 ? middle : places[crop % places.size()];
    const std::ptrdiff_t row = std::ptrdiff_t{top} * width;
    walks.push_back(crop < places.size() ? Walk{row + left, width, 1} : Walk{row + width - 1 - left, width, -1});
  }
  return walks;
}

/// Writes `height` x `width` values to `to`.
void walk(const float* from, const Walk& walk, std::size_t height, std::size_t width, float* to) {
  for (std::size_t y = 0; y < height; ++y) {
    const float* at = from + walk.begin + static_cast<std::ptrdiff_t>(y) * walk.down;
    for (std::size_t x = 0; x < width; ++x, at += walk.right) *to++ = *at;
  }
}

[[noreturn]] void refuse(ViewProblem problem) {
  throw Error(ErrorKind::usage, std::move(problem.what), {}, std::move(problem.hint));
}

}  // namespace

MemberRequest behind_views(const MemberRequest& request) {
  const ImageShape image = viewed_images(request);
  for (const View& view : request.views)
    if (ViewProblem problem = problem_of(view, image); !problem.what.empty()) refuse(std::move(problem));
  MemberRequest behind = request;
  behind.views.clear();
  TakenTensor& taken = behind.takes.front();
  taken.stored = taken.seen = seen_in(request.views.front(), image).layout();
  taken.input.reset();
  return behind;
}

Viewed::Viewed(const MemberRequest& request, std::unique_ptr<Model> model)
    : model_(std::move(model)), image_(viewed_images(request)) {
  for (const View& view : request.views) add_passes(view);
  faced_ = passes_.front().seen;
}

void Viewed::add_passes(const View& view) {
  const ImageShape seen = seen_in(view, image_);
  if (view.kind == ViewKind::crops) {
    for (const Walk& walk : crops_of(view, image_)) passes_.push_back({.view = view, .seen = seen, .walk = walk});
    return;
  }
  Pass pass{.view = view, .seen = seen, .walk = walk_of(view.kind, image_)};
  if (view.kind == ViewKind::scale) {
    pass.resampler.emplace(resize_of(view, image_), image_);
    const Resize back{.rule = ResizeRule::exact,
                      .height = image_.height,
                      .width = image_.width,
                      .interpolation = Interpolation::bilinear};
    pass.resized.emplace(back, ImageShape{1, seen.height, seen.width});
  } else {
    pass.back = walk_of(inverse_of(view.kind), seen);
  }
  passes_.push_back(std::move(pass));
}

void Viewed::predict(const Samples& samples, std::uint32_t count, std::span<float> output) {
  probed_ = std::vector<float>();  // the warm-up is over
  for (Pass& pass : passes_) {
    TUTTI_CHECK(pass.values != 0);
    face(pass.seen);
    const std::span<float> predictions(predictions_.make_room(count * pass.values), count * pass.values);
    model_->predict(shown(pass, samples, count), count, predictions);
    add(pass, predictions, output);
  }
  divide(output);
}

std::span<const float> Viewed::probe(const Samples& samples, std::uint32_t count) {
  for (Pass& pass : passes_) {
    face(pass.seen);
    const std::span<const float> predictions = model_->probe(shown(pass, samples, count), count);
    learn(pass, model_->output());
    TUTTI_CHECK(predictions.size() == count * pass.values);
    probed_.resize(count * elements_of(*output_));
    add(pass, predictions, probed_);
  }
  divide(probed_);
  return probed_;
}

Trainable* Viewed::trainable() {
  Trainable* const part = model_->trainable();
  if (part != nullptr) face(image_);
  return part;
}

void Viewed::face(const ImageShape& seen) {
  if (seen == faced_) return;
  model_->expect_images(seen);
  faced_ = seen;
}

/// The batch as the model sees it in this pass, until the next call.
const float* Viewed::shown(Pass& pass, const Samples& samples, std::uint32_t count) {
  const float* image = samples.floats();
  if (pass.view.kind == ViewKind::identity) return image;
  float* const made = made_.make_room(count * pass.seen.elements());
  float* to = made;
  const std::size_t plane = std::size_t{image_.height} * image_.width;
  const std::size_t seen = std::size_t{pass.seen.height} * pass.seen.width;
  for (std::uint32_t i = 0; i < count; ++i, image += image_.elements(), to += pass.seen.elements()) {
    if (pass.resampler) pass.resampler->apply(std::span(image, image_.elements()), std::span(to, pass.seen.elements()));
    for (std::size_t channel = 0; channel < image_.channels && !pass.resampler; ++channel)
      walk(image + channel * plane, pass.walk, pass.seen.height, pass.seen.width, to + channel * seen);
  }
  return made;
}

void Viewed::learn(Pass& pass, const Dims& prediction) {
  Undoing undoing = undoing_of(pass.view, pass.seen, prediction);
  if (!undoing.problem.what.empty()) refuse(std::move(undoing.problem));
  pass.undo = undoing.undo;
  pass.values = elements_of(prediction);
  Dims undone = prediction;
  if (pass.undo == Undo::resize) {
    undone[undone.size() - 2] = image_.height;
    undone[undone.size() - 1] = image_.width;
  }
  if (output_ && *output_ != undone)
    throw Error(ErrorKind::usage, "the predictions of a member's views differ in size",
                fmt::format("view '{}' gives {}, view '{}' gives {}", to_text(passes_.front().view),
                            dims_text(*output_), to_text(pass.view), dims_text(undone)),
                "leave the views out that change the size of the images: 'crops', 'scale'");
  output_ = std::move(undone);
}

/// Sets the sums in the first pass.
void Viewed::add(Pass& pass, std::span<const float> predictions, std::span<float> sums) {
  const bool first = &pass == passes_.data();
  const auto add_values = [&](std::span<const float> values, float* to) {
    if (first)
      std::copy(values.begin(), values.end(), to);
    else
      for (const float value : values) *to++ += value;
  };
  if (pass.undo == Undo::nothing) return add_values(predictions, sums.data());
  const std::size_t from = std::size_t{pass.seen.height} * pass.seen.width;
  plane_.resize(std::size_t{image_.height} * image_.width);
  for (std::size_t plane = 0; plane < predictions.size() / from; ++plane) {
    const std::span<const float> values = predictions.subspan(plane * from, from);
    if (pass.undo == Undo::resize)
      pass.resized->apply(values, std::span(plane_));
    else
      walk(values.data(), pass.back, image_.height, image_.width, plane_.data());
    add_values(plane_, sums.data() + plane * plane_.size());
  }
}

void Viewed::divide(std::span<float> sums) const {
  const auto passes = static_cast<float>(passes_.size());
  for (float& sum : sums) sum /= passes;
}

}  // namespace tutti::worker
