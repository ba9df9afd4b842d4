// Tables of numbers in .csv files, as arrays: read once, checked, and written as float32 into a file without a name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "images/arrays.hpp"

namespace tutti::images {

/// All numbers of a table, in rows, or those of one column, without the column `left_out`. Throws Error(usage) that
/// names line and column of a value that is missing or not a number.
OpenArray open_table(const std::filesystem::path& file, const std::string& column, const std::string& left_out);

/// The labels in a column: whole numbers, or names of classes.
struct LabelColumn {
  InputFile places;  ///< an int64 per row: which of `labels` it has
  std::uint64_t rows = 0;
  std::vector<std::int64_t> labels;  ///< the distinct ones
  std::vector<std::string> names;    ///< of the classes, sorted byte by byte; none if the labels are numbers
};
LabelColumn open_label_column(const std::filesystem::path& file, const std::string& column);

}  // namespace tutti::images
