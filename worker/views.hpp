// Views of images: test-time augmentation. A member with views predicts each image several times, mirrored, turned,
// cropped or resized, and hands over the mean. It knows neither LibTorch nor rings.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/resample.hpp"
#include "common/views.hpp"
#include "worker/model.hpp"
#include "worker/preprocess.hpp"

namespace tutti::worker {

/// The places of a plane in another order: place (y, x) of the result is at `begin` + y * `down` + x * `right` in the
/// source.
struct Walk {
  std::ptrdiff_t begin = 0;
  std::ptrdiff_t down = 0;
  std::ptrdiff_t right = 1;
};

/// What the model behind the views of `request` is made from: its images are those of the first view. Throws
/// Error(usage) if the member takes anything but images, or if its images do not have these views.
MemberRequest behind_views(const MemberRequest& request);

/// A model between a member and its views. Each view of a batch is made in memory of this class, predicted, turned or
/// resized back if the prediction is a map (undoing_of() in common/views.hpp), and added in float32, in the order of
/// the views; the sum is divided by their number. The values of an image therefore do not depend on the batch, if those
/// of the model do not. The view `identity` is not copied: the model reads the member's images in place.
class Viewed final : public Model {
 public:
  /// `model` was made from behind_views(request).
  Viewed(const MemberRequest& request, std::unique_ptr<Model> model);

  Dims output() const override { return output_.value_or(Dims{}); }
  std::uint64_t parameters() const override { return model_->parameters(); }
  void expect_batches(std::uint32_t images) override { model_->expect_batches(images); }
  void begin_segment(std::uint64_t first_image) override { model_->begin_segment(first_image); }
  std::string why_unsteady() const override { return model_->why_unsteady(); }
  std::vector<std::string> notes() const override { return model_->notes(); }
  void end_warm_up() override { model_->end_warm_up(); }

  /// Only after probe(), which finds out what is predicted in each view.
  void predict(const Samples& samples, std::uint32_t count, std::span<float> output) override;
  /// Throws Error(usage) if a view is not possible for what the model predicts.
  std::span<const float> probe(const Samples& samples, std::uint32_t count) override;

  /// Training sees the images, not the views.
  Trainable* trainable() override;

 private:
  /// One prediction of each image: a view, or one of its crops.
  struct Pass {
    View view;
    ImageShape seen;  ///< by the model
    Walk walk;        ///< from an image to what is seen; unused with `resampler`
    std::optional<Resampler> resampler{};
    Walk back{};                         ///< in a map
    std::optional<Resampler> resized{};  ///< instead, for one plane of a map
    Undo undo = Undo::nothing;
    std::size_t values = 0;  ///< per prediction; 0: not known yet
  };

  void add_passes(const View& view);
  void face(const ImageShape& seen);
  const float* shown(Pass& pass, const Samples& samples, std::uint32_t count);
  void learn(Pass& pass, const Dims& prediction);
  void add(Pass& pass, std::span<const float> predictions, std::span<float> sums);
  void divide(std::span<float> sums) const;

  std::unique_ptr<Model> model_;
  ImageShape image_;  ///< of the member
  ImageShape faced_;  ///< what the model expects
  std::vector<Pass> passes_;
  std::optional<Dims> output_;
  AlignedFloats made_;         ///< a view of a batch
  AlignedFloats predictions_;  ///< of that view
  std::vector<float> plane_;   ///< of a map, as it is added
  std::vector<float> probed_;
};

}  // namespace tutti::worker
