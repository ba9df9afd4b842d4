// What a cascade would do with other thresholds: for each, how many images it would pass on, how accurate the ensemble
// would be, and how long its members would compute. From one evaluation, in which every member predicts every image.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <tutti/predictions.hpp>

#include "config/spec.hpp"
#include "coordinator/decide/accumulator.hpp"
#include "results/report.hpp"

namespace tutti {

/// Why the cascade of a description cannot be swept; empty if it can.
std::string why_not_swept(const config::EnsembleSpec& spec);

/// A sink that keeps three numbers for each image. Segments that lack a member are left out.
class CascadeSweep final : public Sink {
 public:
  /// A description with a cascade of one step; it outlives the sweep. `next` may be null.
  CascadeSweep(const config::EnsembleSpec& spec, std::vector<float> weights, Sink* next);

  /// Throws Error(usage) if the images have no labels, or if the predictions are not one class for each.
  void write(const SegmentResult& result) override;

  /// `seconds`: what each member needed for an image, by rank; nothing: unknown.
  images::SweepReport report(const std::vector<std::optional<double>>& seconds) const;

 private:
  struct Image {
    double doubt;  ///< ascending: the first are passed on first
    bool right_before;
    bool right_after;
  };
  Accumulator::Result combined(const SegmentResult& result, const std::vector<std::size_t>& ranks) const;

  const config::CascadeStep& step_;
  const config::CombineSpec combine_;
  const Accumulator accumulator_;
  std::vector<std::size_t> first_;  ///< ranks that see every image
  std::vector<std::size_t> all_;
  std::vector<Image> images_;
  Sink* next_;
};

}  // namespace tutti
