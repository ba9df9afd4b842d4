// The step crop_boxes (common/wire/steps.hpp): which boxes of a sample count, and the parts of its picture inside them.
// It knows neither models nor rings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/steps.hpp>

#include "common/wire/steps.hpp"

namespace tutti::worker {

/// A part of a picture, in pixels: `right` and `bottom` are the first that do not belong to it.
struct PixelBox {
  std::uint32_t left = 0;
  std::uint32_t top = 0;
  std::uint32_t right = 0;
  std::uint32_t bottom = 0;
  bool nan = false;  ///< a value of the sample's boxes is NaN: nothing is cut out, and the row is NaN
  friend bool operator==(const PixelBox&, const PixelBox&) = default;
};

/// One thread. The bits of a row depend only on the picture, the boxes of its sample and the step.
class BoxCrops {
 public:
  /// For outputs of `boxes`, and pictures like `picture`. Throws Error(usage) if one of them does not fit the step; the
  /// message begins with `place`.
  BoxCrops(const CropBoxesStep& step, const Dims& boxes, const TensorLayout& picture, const std::string& place = {});

  /// Of a row.
  const Dims& output() const noexcept { return output_; }
  std::size_t values_of_picture() const noexcept { return picture_.elements(); }
  /// Adds the boxes of one sample that count, in their order, to `chosen`, and returns how many there are. If a value
  /// of the boxes is NaN, there is one, so that the NaN is found.
  std::uint32_t choose(std::span<const float> boxes, std::vector<PixelBox>& chosen);
  /// Cuts one of them out of the picture.
  void cut(const PixelBox& box, std::span<const float> picture, std::span<float> row);

 private:
  struct Scored {
    float score;
    PixelBox box;
  };

  CropBoxesStep step_;
  ImageShape picture_;
  Dims output_;
  std::vector<Scored> scored_;  // of one sample
  std::vector<float> part_;     // of the picture, before it is resized
};

}  // namespace tutti::worker
