// What the sweep of a cascade prints and draws.
#pragma once

#include <filesystem>
#include <string>

#include "results/report.hpp"

namespace tutti::program {

/// A row for each threshold. Empty without images.
std::string sweep_table(const images::SweepReport& sweep);

/// A curve, accuracy over the share that is passed on, as SVG.
std::string sweep_picture(const images::SweepReport& sweep);

/// Writes sweep_picture() atomically. Throws Error(failed) that names the file.
void write_sweep_picture(const std::filesystem::path& file, const images::SweepReport& sweep);

}  // namespace tutti::program
