// Runs the program that draws a page of rows. It does not know how the page is drawn.
#pragma once

#include <filesystem>

namespace tutti::bench {

/// Finds `report` (bench/report) next to this program and asks it whether it can draw here. Throws Error(usage) if it
/// is not installed, or if it lacks something, which it reports on stderr.
std::filesystem::path find_report_program();

/// Draws the rows of `rows`, and the timeline of `trace` unless that is empty, into `page`. Throws Error(failed).
void draw_report(const std::filesystem::path& program, const std::filesystem::path& rows,
                 const std::filesystem::path& page, const std::filesystem::path& trace);

}  // namespace tutti::bench
