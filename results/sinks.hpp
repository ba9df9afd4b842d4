// Sinks for the results of a run: .npy files and a table, or memory. Both take whole runs, in segment order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <tutti/predictions.hpp>
#include <vector>

#include "images/npy.hpp"
#include "results/prediction_table.hpp"
#include "results/segment_sums.hpp"

namespace tutti::images {

/// The form of a run's results, known once the members are warm.
struct ResultForm {
  std::uint64_t images = 0;
  std::optional<Dims> shape;    ///< of one prediction of the ensemble; nothing with the rule `none`
  std::optional<Dims> decided;  ///< of the classes that are decided for in it: {} as a rule; nothing if none are
  struct Member {
    std::string name;
    Dims shape;  ///< of one prediction
  };
  std::vector<Member> members;   ///< in rank order; all members if their predictions are kept, else empty
  bool labels = false;           ///< the labels are kept too
  bool masks = false;            ///< check_masks() has passed: every image gets a picture of its classes, too
  std::optional<Dims> spread{};  ///< of the spread of one prediction; nothing if it was not asked for
  std::vector<TableColumn> columns{};  ///< of predictions.csv, which have passed check_columns(); none: the usual ones
};

/// Throws Error(usage) if the member's name cannot be the name of a file.
void check_file_name(const std::string& member);

/// Writes the results of a run into files. One thread; every call may throw Error(failed) that names the file.
class ResultSink : public Sink {
 public:
  /// Puts all files in place. Throws if fewer images than announced have been written.
  virtual void finish() = 0;
  /// For a run of which some images are to be computed again: the same, but everything can still be continued.
  virtual void finish_and_stay() { finish(); }
  /// For a run that ended early: puts what is complete in place, under other names.
  virtual void finish_partial() = 0;
};

/// Writes predictions.npy (images x shape, float32), predicted.npy (images x decided, int64; only with classes),
/// predictions.csv (only with one class per image, see prediction_table.hpp) and, if the form names members,
/// members/<name>.npy, labels.npy (images, int64) and spread.npy (images x spread, float32) if it asks for them.
/// Nothing appears in `folder` before finish(), except for masks/<name>.png, which are written one by one if the form
/// asks for them (masks.hpp) and synced when predictions.npy appears, and for predictions.npy.unfinished and so on, if
/// the files stay or continue (Unfinished). Any call may throw Error(failed) that names the file; one thread. For
/// missing members the file has NaN, and -1.
class NpySink final : public ResultSink {
 public:
  /// `folder` exists. `names` is the source of the images and must outlive it; without it there is no predictions.csv.
  /// Throws Error(usage) if a member's name cannot be the name of a file, or two images would have the same mask.
  NpySink(const std::filesystem::path& folder, const ResultForm& form, const Source* names = nullptr,
          Unfinished unfinished = Unfinished::goes);

  void write(const SegmentResult& result) override;
  /// Puts all files in place, predictions.npy last, and removes those that finish_partial() of an earlier run left.
  /// Throws if fewer images than announced have been written.
  void finish() override;
  void finish_and_stay() override;
  /// For a run that ended early: puts the images so far into predictions.partial.npy, predicted.partial.npy,
  /// spread.partial.npy, predictions.partial.csv and members/<name>.partial.npy, with only their rows. A segment that
  /// could not be written completely is left out. Without any segment no file appears; files of earlier, complete runs
  /// stay.
  void finish_partial() override;

  // For files that stay: what an earlier run wrote.

  /// In a fixed order.
  std::vector<NpyWriter*> writers();
  /// What the rows do not tell of the last segment of write(): its labels, if the table needs them.
  void write_segment(SumWriter& out) const;
  /// The next segment, which is in the files already, as the writers have noted (NpyWriter::note_rows): adds it to the
  /// table and draws its masks. Throws SumMisfit.
  void read_segment(std::uint64_t first, std::uint32_t count, SumReader& in);
  /// A segment as it is in the files, without labels; valid until the next call.
  SegmentResult read(std::uint64_t first, std::uint32_t count);
  /// Whether the destructor leaves the files.
  void keep(bool yes);

 private:
  void remove_partial_files();

  // Declared before the writers, so that it is destroyed after them.
  struct MembersFolder {
    ~MembersFolder();
    std::filesystem::path created;  ///< empty unless the sink created it; removed at the end if nothing is in it
  } members_folder_;
  std::optional<NpyWriter> predictions_;
  std::optional<NpyWriter> predicted_;
  std::optional<NpyWriter> spread_;
  std::optional<PredictionTable> table_;
  std::vector<NpyWriter> members_;
  std::optional<NpyWriter> labels_;
  void write_masks(const SegmentResult& result);
  bool needs_labels() const;
  /// Without the members.
  SegmentResult read_combined(std::uint64_t first, std::uint32_t count);

  std::filesystem::path folder_;
  const ResultForm form_;
  const Source* const names_;
  std::uint64_t images_ = 0;  ///< of segments that every file holds, up to the first that is missing
  std::vector<std::int64_t> last_labels_;
  struct {
    std::vector<float> values;
    std::vector<std::int64_t> predicted;
    std::vector<float> spread;
    std::vector<std::vector<float>> of_members;
    std::vector<MemberSegmentResult> members;
  } read_;  ///< by read()
};

/// Collects everything in memory.
class CollectingSink : public Sink {
 public:
  /// The results so far; the sink is of no use afterwards.
  virtual Predictions take() = 0;
};

/// The predictions of samples.
class MemorySink final : public CollectingSink {
 public:
  explicit MemorySink(const ResultForm& form);

  void write(const SegmentResult& result) override;
  Predictions take() override;

 private:
  Predictions predictions_;
};

}  // namespace tutti::images
