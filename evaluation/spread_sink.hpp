// Writes how far apart the members of an evaluation are, from what each of them predicted: the `spread.npy` that
// `tutti run` writes from its pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include <tutti/predictions.hpp>

#include "config/spec.hpp"
#include "images/npy.hpp"

namespace tutti {

class SpreadSink final : public Sink {
 public:
  /// `combine` has `spread`; the first `members` models, whose predictions are `output`, are combined. `folder` exists;
  /// the file appears only in finish(). `next` may be null and outlives the sink.
  SpreadSink(const std::filesystem::path& folder, const config::CombineSpec& combine, OnNan on_nan, std::size_t members,
             const Dims& output, std::uint64_t images, Sink* next);

  /// Throws Error(failed) that names the file, or as Accumulator::check_finite_spread().
  void write(const SegmentResult& result) override;
  void finish();
  /// For an evaluation that ended early: keeps the rows so far in spread.partial.npy.
  void finish_partial();

 private:
  const config::CombineSpec combine_;
  const OnNan on_nan_;
  const std::size_t members_;
  const Dims output_;
  images::NpyWriter file_;
  Sink* const next_;
  std::vector<float> spread_;  ///< of the current segment
  std::uint64_t rows_ = 0;
};

}  // namespace tutti
