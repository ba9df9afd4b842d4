// The option --csv of commands that write predictions.csv.
#pragma once

#include <vector>

#include "program/commands.hpp"
#include "results/table_columns.hpp"

namespace tutti::program {

/// The columns of --csv; none without it. Throws Error(usage).
std::vector<images::TableColumn> columns_of(const CommandLine& line);

}  // namespace tutti::program
