// A sink that evaluates what it is given, and writes disagreement.npy and predictions.csv. It neither draws progress
// nor reports.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include <tutti/images.hpp>
#include <tutti/predictions.hpp>

#include "images/npy.hpp"
#include "program/evaluate/evaluation.hpp"
#include "results/prediction_table.hpp"

namespace tutti::program {

class EvaluatingSink final : public Sink {
 public:
  /// Evaluates and writes no file.
  explicit EvaluatingSink(Evaluation& evaluation) : evaluation_(evaluation) {}
  /// `folder` exists; it gets disagreement.npy, [images, 4] of float32, if the evaluation has classes. `next` may be
  /// null. All of them outlive the sink. The file appears only in finish().
  EvaluatingSink(Evaluation& evaluation, const std::filesystem::path& folder, std::uint64_t images, Sink* next);

  /// Also writes `file`, a table of the members' predictions and those of the first rule, which must exist. `names`,
  /// the source of these images, outlives the sink. Call it before the first segment, with the number of classes of the
  /// evaluation.
  void add_table(const std::filesystem::path& file, const Source& names, std::uint32_t classes);

  void write(const SegmentResult& result) override;
  /// Throws Error(failed) that names the file.
  void finish();
  /// For a run that ended early: keeps the rows so far in disagreement.partial.npy and the table's `.partial.csv`.
  void finish_partial();

 private:
  Evaluation& evaluation_;
  std::optional<images::NpyWriter> disagreement_;
  std::optional<images::PredictionTable> table_;
  std::uint64_t rows_ = 0;
  Sink* next_ = nullptr;
};

}  // namespace tutti::program
