#include "program/table_option.hpp"

#include <tutti/error.hpp>

namespace tutti::program {

std::vector<images::TableColumn> columns_of(const CommandLine& line) {
  return line.csv.empty() ? std::vector<images::TableColumn>() : images::parse_columns(line.csv);
}

void check_table(const std::vector<images::TableColumn>& columns, bool has_table, const Source& source,
                 std::uint32_t classes) {
  if (!has_table)
    throw Error(ErrorKind::usage, "--csv needs predictions of one class per image, and these are not",
                "rule none, tiles, masks, numbers, features and 'activation: sigmoid' have no predictions.csv",
                "leave --csv out, and read predictions.npy");
  images::check_columns(columns, source, classes);
}

}  // namespace tutti::program
