// The lines below the results: what went wrong, and what the predictions lack. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <tutti/status.hpp>

#include "results/report.hpp"

namespace tutti::program {

/// "2 workers died and were replaced; 5 segments were handed out again
/// "; empty if no worker died.
std::string faults_text(const FaultCounts& faults);

/// "0.0123 s", "12.3 s", "1234 s".
std::string seconds_text(double seconds);

/// A line for each step of the cascade: for how many images its members were asked.
std::string cascade_text(const images::Report& report);

/// One line per member that did not predict everything, and one for the segments that were set aside; empty if nothing
/// is missing. `segment_images` is the length of a segment.
std::string missing_text(const images::Report& report, std::uint32_t segment_images);

}  // namespace tutti::program
