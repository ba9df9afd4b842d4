// A row of the report of an evaluation, as programs get it.
#pragma once

#include <cstddef>

#include <tutti/evaluate.hpp>

#include "results/report.hpp"

namespace tutti {

/// The figures of a model, or of a rule, on task number `task` of the report.
EvaluatedRow row_of(const images::ModelReport& model, std::size_t task);
/// Its average over the tasks.
EvaluatedRow average_row(const images::ModelReport& model);

}  // namespace tutti
