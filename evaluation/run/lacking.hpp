// What the predictions of a run lack, by its report, and how far it came.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <tutti/status.hpp>

#include "results/journal.hpp"
#include "results/report.hpp"

namespace tutti {

bool is_absent(const images::MemberReport& member);

/// Images of one stream that lack members; `prefix` names the stream.
struct Lacking {
  std::string prefix;
  const std::vector<IncompleteSegment>& images;
};

/// Those of the ensemble's output, or of each task. The report outlives them.
std::vector<Lacking> all_lacking(const images::Report& report);

/// Whether something is missing: a member is absent, or images lack a member.
bool is_incomplete(const images::Report& report);

/// Adds a range that comes after all others; extends the last range if they touch.
void add_range(std::vector<images::ImageRange>& ranges, const images::ImageRange& next);

/// The images of these segments, which are in order; adjacent ranges are joined.
std::vector<images::ImageRange> ranges_of(const std::vector<std::uint64_t>& segments, const images::JournalHeader& run);

/// How far a run came; `resumed` of its segments were finished in earlier runs.
images::FinishedReport finished_report(const images::Journal& journal, std::uint64_t resumed);

}  // namespace tutti
