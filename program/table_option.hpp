// The option --csv of commands that write predictions.csv.
#pragma once

#include <cstdint>
#include <vector>

#include <tutti/images.hpp>

#include "program/commands.hpp"
#include "results/table_columns.hpp"

namespace tutti::program {

/// The columns of --csv; none without it. Throws Error(usage).
std::vector<images::TableColumn> columns_of(const CommandLine& line);

/// Throws Error(usage) if there is no table for these predictions (`has_table`), or if the columns do not fit them.
void check_table(const std::vector<images::TableColumn>& columns, bool has_table, const Source& source,
                 std::uint32_t classes);

}  // namespace tutti::program
