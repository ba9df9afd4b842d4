#include "program/table_option.hpp"

namespace tutti::program {

std::vector<images::TableColumn> columns_of(const CommandLine& line) {
  return line.csv.empty() ? std::vector<images::TableColumn>() : images::parse_columns(line.csv);
}

}  // namespace tutti::program
