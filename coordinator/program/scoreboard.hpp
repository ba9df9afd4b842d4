// A sink that measures: accuracy and loss of every member and of the ensemble, progress on the way, and the results
// passed on to a further sink.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <tutti/ensemble.hpp>

#include "config/spec.hpp"
#include "coordinator/program/progress.hpp"
#include "images/metrics.hpp"

namespace tutti::program {

class Scoreboard final : public Sink {
 public:
  /// `next` may be null. All outlive it.
  Scoreboard(const config::CombineSpec& combine, const Ensemble& ensemble, Progress& progress, Sink* next);

  void write(const SegmentResult& result) override;

  std::uint64_t images() const noexcept { return images_; }
  /// Nothing without labels, over features, or before the first image.
  const std::optional<images::Metrics>& ensemble() const noexcept { return ensemble_metrics_; }
  const std::vector<std::optional<images::Metrics>>& members() const noexcept { return member_metrics_; }

 private:
  void score(const SegmentResult& result);

  const config::CombineSpec& combine_;
  const Ensemble& ensemble_;
  Progress& progress_;
  Sink* next_;
  std::uint64_t images_ = 0;
  std::optional<images::Metrics> ensemble_metrics_;
  std::vector<std::optional<images::Metrics>> member_metrics_;
};

}  // namespace tutti::program
