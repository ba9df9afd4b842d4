// The columns of predictions.csv as a user asks for them with --csv, such as a competition wants them. It writes
// nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/images.hpp>

namespace tutti::images {

/// A column, or one for each class.
struct TableColumn {
  enum class What {
    id,         ///< the name of the image's file, without folder and ending
    file,       ///< with its ending
    path,       ///< with its folder, as in the usual table
    number,     ///< of the image, from 0
    label,      ///< the class that was decided for, by its name
    class_,     ///< by its number
    score,      ///< the score of this class
    score_of,   ///< the score of one class
    scores_all  ///< a column for the score of each class
  };
  std::string header;  ///< of `scores_all` what comes before the name of each class
  What what = What::id;
  std::string class_name{};  ///< of `score_of`: a name, or a number
  friend bool operator==(const TableColumn&, const TableColumn&) = default;
};

/// Reads "id,label", "image_id=id,breed=label" or "id,classes". Throws Error(usage) that says what there is.
std::vector<TableColumn> parse_columns(std::string_view list);

/// The same; none of an empty list, which asks for none.
std::vector<TableColumn> asked_columns(std::string_view list);

/// The class that `score_of` names, of `classes` classes; throws Error(usage) if there is none.
std::uint32_t class_of(const TableColumn& column, const Source& names, std::uint32_t classes);

/// What identifies an image in such a column: id, file, path or number.
std::string image_text(TableColumn::What what, const Source& names, std::uint64_t image);

/// Throws Error(usage) if a class does not exist, or if two images would be called the same.
void check_columns(const std::vector<TableColumn>& columns, const Source& names, std::uint32_t classes);

/// Throws Error(usage) if there is no table for these predictions (`has_table`), or if the columns do not fit them.
void check_table(const std::vector<TableColumn>& columns, bool has_table, const Source& source, std::uint32_t classes);

}  // namespace tutti::images
