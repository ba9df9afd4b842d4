// predictions.csv: for people and spreadsheets, one line per image with its name, its label and the classes with the
// highest scores; or the columns that the user asked for (table_columns.hpp). Programs should read predictions.npy,
// which has all scores.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/predictions.hpp>

#include "common/atomic_file.hpp"
#include "results/table_columns.hpp"

namespace tutti::images {

/// The most classes per line.
constexpr std::uint32_t kTableClasses = 5;

/// A field as in RFC 4180: in quotes if it holds a comma, a quote or the end of a line.
std::string csv_field(std::string_view text);

/// Columns: `file` (or `image`, a number, if images have no names), `label` (if there are labels), then class_1,
/// score_1, class_2, score_2 ... The first class is the one that the rule decided for, the others follow by score, the
/// lower class first if scores are equal; classes without names are numbers. An image without a prediction has empty
/// fields there. Lines end in LF. With `columns` these instead, in their order.
/// The file appears complete at finish(), or never. Throws Error(failed) that names it. Moves, does not copy; one
/// thread.
class PredictionTable {
 public:
  /// `names` is the source of the images and must outlive the table; `width` is the number of classes. `columns` have
  /// passed check_columns(); none: the usual ones.
  PredictionTable(const std::filesystem::path& file, const Source& names, std::uint32_t width,
                  std::vector<TableColumn> columns = {});

  /// Adds a whole segment, or throws; its images are those of `names` from `result.first` on.
  void write(const SegmentResult& result);
  /// Syncs the complete file and puts it in place.
  void finish() { file_.commit(); }
  /// Puts the whole segments so far in place as `path`, which is in the same folder.
  void finish_partial(const std::filesystem::path& path);
  const std::filesystem::path& path() const noexcept { return file_.path(); }

 private:
  void append_head();
  void append_line(const SegmentResult& result, std::uint32_t image);
  void append_column(std::size_t place, const SegmentResult& result, std::uint32_t image);
  std::string class_text(std::int64_t label) const;
  void append_class(std::int64_t label);
  void append_scores(std::span<const float> scores, std::int64_t predicted);

  AtomicFile file_;
  const Source& names_;
  const std::uint32_t width_;
  const std::uint32_t shown_;
  const std::vector<TableColumn> columns_;
  std::vector<std::uint32_t> scored_;  ///< for each column the class of `score_of`
  std::uint64_t bytes_ = 0;            ///< of the header and of whole segments
  std::string lines_;                  ///< of one segment
};

}  // namespace tutti::images
