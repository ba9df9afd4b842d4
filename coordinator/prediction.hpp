// The work of a prediction run: images of a source into slots, the members' answers through the combine rule into a
// sink. No threads, no processes: a driver calls it.
#pragma once

#include <vector>

#include <tutti/predictions.hpp>

#include "coordinator/accumulator.hpp"
#include "coordinator/exchange.hpp"

namespace tutti {

/// Source and sink outlive it.
class Prediction final : public Work {
 public:
  Prediction(Source& source, Sink& sink, const Accumulator& accumulator, const std::vector<std::uint32_t>& widths,
             bool combined);

  bool has_more() const override { return next_ < count_; }
  std::uint32_t fill(std::byte* arena, const ArenaLayout& layout, std::uint32_t slot) override;
  void deliver(const FinishedSegment& finished) override;

 private:
  Source& source_;
  Sink& sink_;
  const Accumulator& accumulator_;
  const std::vector<std::uint32_t>& widths_;
  const bool combined_;  ///< false with the rule `none`
  const std::uint64_t count_;
  std::uint64_t next_ = 0;       ///< image to fill in
  std::uint64_t delivered_ = 0;  ///< images
  std::vector<std::uint64_t> indices_;
  std::byte* arena_ = nullptr;
  ArenaLayout layout_;
};

/// Throws Error(usage) where the source's images are not of the ensemble's shape.
void check_shape(const Source& source, const ImageShape& wanted);

}  // namespace tutti
