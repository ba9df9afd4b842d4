// A sink that evaluates what goes through it, and writes disagreement.npy. It neither draws progress nor reports.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include <tutti/predictions.hpp>

#include "coordinator/program/evaluation.hpp"
#include "images/npy.hpp"

namespace tutti::program {

class EvaluatingSink final : public Sink {
 public:
  /// `folder` exists; it gets disagreement.npy, [images, 4] of float32, where the evaluation has classes. `next` may be
  /// null. All outlive it. Nothing appears before finish().
  EvaluatingSink(Evaluation& evaluation, const std::filesystem::path& folder, std::uint64_t images, Sink* next);

  void write(const SegmentResult& result) override;
  /// Throws Error(failed) that names the file.
  void finish();
  /// For a run that ended early: the rows that came, in disagreement.partial.npy.
  void finish_partial();

 private:
  Evaluation& evaluation_;
  std::optional<images::NpyWriter> disagreement_;
  std::uint64_t rows_ = 0;
  Sink* next_;
};

}  // namespace tutti::program
