// The picture of an evaluation: bars per task, one per model and rule, as an SVG file, which every browser shows. They
// show the accuracy, or the first figure of masks (mean IoU), numbers (mean absolute error) and several labels (macro
// F1). bench/report draws the plots of measurements.
#pragma once

#include <filesystem>
#include <string>

#include "results/report.hpp"

namespace tutti::program {

/// Call it before anything is computed: throws Error(usage) unless the file is named *.svg and its folder exists.
void check_picture(const std::filesystem::path& file);

/// Whether there is a bar to draw.
bool has_picture(const images::EvaluationReport& report);

/// Groups of bars: one group per task, and one for the average if there are several tasks. A bar's height is its
/// figure, and its label gives it, shares in percent. Rows without the figure have no bar.
std::string picture_of(const images::EvaluationReport& report);

/// Writes picture_of() atomically. Throws Error(failed) that names the file.
void write_picture(const std::filesystem::path& file, const images::EvaluationReport& report);

}  // namespace tutti::program
