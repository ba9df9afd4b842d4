// The picture of an evaluation: bars of accuracy per task, one per model and rule, as an SVG file, which every browser
// shows. No other plots: bench/report draws those of measurements.
#pragma once

#include <filesystem>
#include <string>

#include "results/report.hpp"

namespace tutti::program {

/// Before anything is computed: throws Error(usage) unless the file is called *.svg, in a folder that is there.
void check_picture(const std::filesystem::path& file);

/// Groups of bars, one group per task and on several tasks one for their average; a bar's height is its accuracy, and
/// its label says it in percent. What has no accuracy has no bar.
std::string picture_of(const images::EvaluationReport& report);

/// Writes picture_of() atomically. Throws Error(failed) that names the file.
void write_picture(const std::filesystem::path& file, const images::EvaluationReport& report);

}  // namespace tutti::program
