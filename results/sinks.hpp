// Where the results of a run go: .npy files and a table, or memory. Both take whole runs, in segment order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <tutti/predictions.hpp>
#include <vector>

#include "images/npy.hpp"
#include "results/prediction_table.hpp"

namespace tutti::images {

/// The form of a run's results, known once the members are warm.
struct ResultForm {
  std::uint64_t images = 0;
  std::uint32_t width = 0;  ///< of the ensemble's answer; 0 with the rule `none`
  bool classes = true;      ///< the answer has predicted classes: it is not over features, the rule is not `none`
  struct Member {
    std::string name;
    std::uint32_t width = 0;
  };
  std::vector<Member> members;  ///< in rank order; all members if their predictions are kept, else empty
  bool labels = false;          ///< the labels are kept beside them
};

/// Writes predictions.npy (images x width, float32), predicted.npy (images, int64; only with classes), predictions.csv
/// (only with classes, see prediction_table.hpp) and, if the form names members, members/<name>.npy, and labels.npy
/// (images, int64) if it asks for them. Nothing appears in `folder` before finish(). Throws Error(failed) that names
/// the file, from any call; one thread. If members are
/// missing, what comes for them is written: NaN, and -1.
class NpySink final : public Sink {
 public:
  /// `folder` exists. `names`, whose images these are, outlives it; without it there is no predictions.csv. Throws
  /// Error(usage) if a member's name cannot be the name of a file.
  NpySink(const std::filesystem::path& folder, const ResultForm& form, const Source* names = nullptr);

  void write(const SegmentResult& result) override;
  /// Puts all files in place, predictions.npy last, and removes those that finish_partial() of an earlier run left.
  /// Throws if not all announced images came.
  void finish();
  /// For a run that ended early: puts the images that came into predictions.partial.npy, predicted.partial.npy,
  /// predictions.partial.csv and members/<name>.partial.npy, which hold so many rows. A segment that could not be
  /// written whole is left out. No file appears if no segment came; files of earlier, complete runs stay.
  void finish_partial();

 private:
  std::vector<NpyWriter*> writers();
  void remove_partial_files();

  // Stands before the writers, so that it goes after them.
  struct MembersFolder {
    ~MembersFolder();
    std::filesystem::path created;  ///< empty unless the sink created it; removed at the end if nothing is in it
  } members_folder_;
  std::optional<NpyWriter> predictions_;
  std::optional<NpyWriter> predicted_;
  std::optional<PredictionTable> table_;
  std::vector<NpyWriter> members_;
  std::optional<NpyWriter> labels_;
  std::filesystem::path folder_;
  std::uint64_t images_ = 0;  ///< of segments that every file holds
};

/// Collects everything in memory.
class MemorySink final : public Sink {
 public:
  explicit MemorySink(const ResultForm& form);

  void write(const SegmentResult& result) override;
  /// What has come so far; the sink is empty afterwards.
  Predictions take();

 private:
  Predictions predictions_;
};

}  // namespace tutti::images
