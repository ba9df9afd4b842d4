// Views of an image, which a member predicts in place of the image itself (test-time augmentation): what they are
// called, which sizes they have, and for which predictions they are possible. Plain values; the worker makes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <tutti/inputs.hpp>

#include "common/member_input.hpp"
#include "common/values.hpp"

namespace tutti {

/// The most views in a list.
constexpr std::size_t kMaxViews = 64;

/// The factors of a scale that are possible.
constexpr double kLeastScale = 0.1;
constexpr double kMostScale = 10;

/// For people: "hflip", "5 crops of 24x24", "scale 1.25".
std::string to_text(const View& view);
/// "identity, hflip and scale 1.25".
std::string to_text(std::span<const View> views);

/// The predictions that are made for an image: each crop is one.
std::uint32_t passes_of(std::span<const View> views);

/// What the model sees in this view of an image of `image`, which has it.
ImageShape seen_in(const View& view, const ImageShape& image);

/// How a `scale` resizes an image: torchvision's sizes, int(side * factor), bilinear and antialiased.
Resize resize_of(const View& view, const ImageShape& image);

/// Why something is not possible, and what to do; `what` is empty if it is.
struct ViewProblem {
  std::string what;
  std::string hint;
};

/// Why images of this shape do not have this view.
ViewProblem problem_of(const View& view, const ImageShape& image);

/// What is done to a prediction before it is added to those of the other views.
enum class Undo : std::uint8_t { nothing, turn, resize };

/// A prediction with at most one size, such as a row of classes, says nothing about places and is left as it is. One
/// whose last two sizes are the height and the width that the model saw, `seen`, is a map, which is turned or resized
/// back. Nothing is known about others.
struct Undoing {
  Undo undo = Undo::nothing;
  ViewProblem problem;  ///< why the view is not possible for such predictions
};
Undoing undoing_of(const View& view, const ImageShape& seen, const Dims& prediction);

}  // namespace tutti
