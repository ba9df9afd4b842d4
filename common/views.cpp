#include "common/views.hpp"

#include <fmt/format.h>

namespace tutti {
namespace {

bool needs_square(ViewKind kind) {
  return kind == ViewKind::rot90 || kind == ViewKind::rot270 || kind == ViewKind::transpose;
}

std::uint32_t scaled(std::uint32_t side, double scale) { return static_cast<std::uint32_t>(side * scale); }

}  // namespace

std::string to_text(const View& view) {
  if (view.kind == ViewKind::scale) return fmt::format("scale {}", view.scale);
  if (view.kind != ViewKind::crops) return std::string(to_name(view.kind));
  return fmt::format("{} of {}x{}", view.crops == 1 ? "1 crop" : fmt::format("{} crops", view.crops), view.height,
                     view.width);
}

std::string to_text(std::span<const View> views) {
  std::string text;
  for (std::size_t i = 0; i < views.size(); ++i)
    text += (i == 0 ? "" : i + 1 == views.size() ? " and " : ", ") + to_text(views[i]);
  return text;
}

std::uint32_t passes_of(std::span<const View> views) {
  std::uint32_t passes = 0;
  for (const View& view : views) passes += view.kind == ViewKind::crops ? view.crops : 1;
  return passes;
}

ImageShape seen_in(const View& view, const ImageShape& image) {
  if (view.kind == ViewKind::crops) return {image.channels, view.height, view.width};
  if (view.kind != ViewKind::scale) return image;
  return {image.channels, scaled(image.height, view.scale), scaled(image.width, view.scale)};
}

Resize resize_of(const View& view, const ImageShape& image) {
  const ImageShape seen = seen_in(view, image);
  return {
      .rule = ResizeRule::exact, .height = seen.height, .width = seen.width, .interpolation = Interpolation::bilinear};
}

ViewProblem problem_of(const View& view, const ImageShape& image) {
  if (needs_square(view.kind) && image.height != image.width)
    return {fmt::format("view '{}' needs square images, and these are {}", to_text(view), image.text()),
            "make them square with 'input' of the member, or leave this view out"};
  if (view.kind == ViewKind::crops && (view.height > image.height || view.width > image.width))
    return {fmt::format("view '{}' is larger than the images, which are {}", to_text(view), image.text()),
            "make 'size' smaller, or the images larger with 'input' of the member"};
  const ImageShape seen = seen_in(view, image);
  if (seen.height == 0 || seen.width == 0)
    return {fmt::format("view '{}' leaves nothing of images of {}", to_text(view), image.text()),
            "make the factor larger"};
  if (seen.elements() > kMaxImageElements)
    return {fmt::format("view '{}' makes images of {} from images of {}, which is more than {} values", to_text(view),
                        seen.text(), image.text(), kMaxImageElements),
            "make the factor smaller"};
  return {};
}

Undoing undoing_of(const View& view, const ImageShape& seen, const Dims& prediction) {
  if (view.kind == ViewKind::identity || prediction.size() <= 1) return {};
  const std::size_t rank = prediction.size();
  const bool map = prediction[rank - 2] == seen.height && prediction[rank - 1] == seen.width;
  if (map && view.kind != ViewKind::crops) return {view.kind == ViewKind::scale ? Undo::resize : Undo::turn, {}};
  const std::string what = fmt::format("view '{}' is not possible: predictions are {} for images of {}", to_text(view),
                                       dims_text(prediction), seen.text());
  if (map)
    return {Undo::nothing,
            {what + ", and maps of crops are not put together",
             "use the views identity, hflip, vflip, rot90, rot180, rot270, transpose and scale"}};
  return {Undo::nothing,
          {what + ", neither one row of values nor a map of the image's height and width",
           "the only view that is possible is identity; leave 'views' out"}};
}

}  // namespace tutti
