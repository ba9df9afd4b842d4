// A sink that evaluates what it is given, and writes disagreement.npy and predictions.csv. It neither draws progress
// nor reports.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/predictions.hpp>

#include "evaluation/evaluation.hpp"
#include "images/npy.hpp"
#include "results/prediction_table.hpp"

namespace tutti {

class EvaluatingSink final : public Sink {
 public:
  /// Evaluates and writes no file.
  explicit EvaluatingSink(Evaluation& evaluation) : evaluation_(evaluation) {}
  /// `folder` exists; it gets disagreement.npy, [images, 4] of float32, if the evaluation has classes. `next` may be
  /// null. All of them outlive the sink. The file appears only in finish().
  /// With other values of `unfinished`, it is there from the start as disagreement.npy.unfinished.
  EvaluatingSink(Evaluation& evaluation, const std::filesystem::path& folder, std::uint64_t images, Sink* next,
                 Unfinished unfinished = Unfinished::goes);

  /// Also writes `file`, a table of the members' predictions and those of the first rule, which must exist. `names`,
  /// the source of these images, outlives the sink. Call it before the first segment, with the number of classes of the
  /// evaluation. `columns` as of images::PredictionTable.
  void add_table(const std::filesystem::path& file, const Source& names, std::uint32_t classes,
                 std::vector<images::TableColumn> columns);

  void write(const SegmentResult& result) override;
  /// Throws Error(failed) that names the file.
  void finish();
  /// The same, but a file that stays can still be continued.
  void finish_and_stay();
  /// For a run that ended early: keeps the rows so far in disagreement.partial.npy and the table's `.partial.csv`.
  void finish_partial();

  /// disagreement.npy; null if there is none.
  images::NpyWriter* writer() { return disagreement_ ? &*disagreement_ : nullptr; }
  // As in Evaluation. The rows of such a segment are in the file already. Nothing is passed on.
  void write_segment(images::SumWriter& out) const { evaluation_.write_segment(out); }
  void read_segment(const SegmentResult& result, images::SumReader& in);

 private:
  void finish_table();

  Evaluation& evaluation_;
  std::optional<images::NpyWriter> disagreement_;
  std::optional<images::PredictionTable> table_;
  std::uint64_t rows_ = 0;
  Sink* next_ = nullptr;
};

}  // namespace tutti
