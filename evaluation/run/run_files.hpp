// The files of a run as they come: where the rows of each segment are, whether an earlier run has written them, and
// what becomes of the files in the end. It computes nothing, and knows neither workers nor scores.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/evaluating_sink.hpp"
#include "images/tiles.hpp"
#include "results/blending.hpp"
#include "results/journal.hpp"
#include "results/sinks.hpp"

namespace tutti {

/// Segments of a journal that are computed again, and why.
struct Discarded {
  std::uint64_t segments = 0;
  std::string reasons;  ///< "predictions.npy.unfinished holds other rows than were written (2 segments)"
};

/// The rows of the results are written as they come, in arrays that stay (Unfinished) until all of them are there. If
/// inputs are cut into tiles, the rows are those of the tiles, in the folder `tiles`; the results are blended of them,
/// and they are removed in the end. One thread; any call may throw Error(failed) that names a file.
class RunFiles final : public Sink {
 public:
  /// `folder` exists. `form` is that of one sample: of a tile if there are any. `names` and `tiling`, which may be
  /// null, outlive it, and so do the masks of `labels`, with which the classes of inputs that are cut into tiles are
  /// compared. `continues`: an earlier run has written some of the rows.
  RunFiles(const std::filesystem::path& folder, const images::ResultForm& form, const Source& names,
           const images::Tiling* tiling, const std::optional<images::TileLabels>& labels, bool continues);

  ~RunFiles() override;
  RunFiles(const RunFiles&) = delete;
  RunFiles& operator=(const RunFiles&) = delete;

  /// The rows of `rules`, which outlives it, belong to the results too. It gets every segment first, and passes it on
  /// to this sink. Call it before anything else.
  void use_rules(EvaluatingSink& rules) { rules_ = &rules; }

  /// Makes `journal` forget the segments whose rows are not in the files, and notes the others. Throws Error(failed) if
  /// the journal is of other files. Call it once, before the first segment, if an earlier run has written some.
  Discarded check(images::Journal& journal);

  /// A segment that was computed, into the files.
  void write(const SegmentResult& result) override;
  /// The checksums of the rows of the last write().
  std::vector<std::uint32_t> checksums() const;
  /// What is needed of the last write() besides its rows.
  void write_segment(images::SumWriter& out) const;
  /// The next segment is in the files; `result` tells its size and the widths of its predictions. Throws SumMisfit.
  void read_segment(const SegmentResult& result, images::SumReader& in);

  /// Puts the results in place. `whole`: no segment will be computed again.
  void finish(bool whole);
  /// For a run that ended early: puts the images so far in place, under other names.
  void finish_partial();
  /// Whether the rows that are not in place yet are still there after this object, and can be continued.
  void keep(bool yes);

  /// Null if the rows are not of tiles.
  const images::BlendingSink* blended() const { return blended_.get(); }

 private:
  std::vector<images::NpyWriter*> arrays() const;

  const std::filesystem::path tiles_;  ///< the folder of the rows, if they are of tiles
  std::unique_ptr<images::NpySink> rows_;
  std::unique_ptr<images::BlendingSink> blended_;  ///< of the rows, if they are of tiles
  EvaluatingSink* rules_ = nullptr;
};

}  // namespace tutti
