#include "evaluation/run/lacking.hpp"

#include <algorithm>

namespace tutti {

bool is_absent(const images::MemberReport& member) { return member.status.state == WorkerState::absent; }

std::vector<Lacking> all_lacking(const images::Report& report) {
  std::vector<Lacking> all;
  if (report.ensemble) {
    all.push_back({"", report.ensemble->incomplete});
    return all;
  }
  if (!report.evaluation) return all;
  for (const images::TaskReport& task : report.evaluation->tasks)
    all.push_back({report.evaluation->tasks.size() == 1 ? "" : task.name + ": ", task.incomplete});
  return all;
}

bool is_incomplete(const images::Report& report) {
  const std::vector<Lacking> all = all_lacking(report);
  return std::any_of(all.begin(), all.end(), [](const Lacking& lacking) { return !lacking.images.empty(); }) ||
         std::any_of(report.members.begin(), report.members.end(), is_absent);
}

void add_range(std::vector<images::ImageRange>& ranges, const images::ImageRange& next) {
  if (!ranges.empty() && ranges.back().first + ranges.back().count == next.first)
    ranges.back().count += next.count;
  else
    ranges.push_back(next);
}

std::vector<images::ImageRange> ranges_of(const std::vector<std::uint64_t>& segments,
                                          const images::JournalHeader& run) {
  std::vector<images::ImageRange> ranges;
  for (const std::uint64_t segment : segments) add_range(ranges, {segment * run.segment_images, run.count_of(segment)});
  return ranges;
}

images::FinishedReport finished_report(const images::Journal& journal, std::uint64_t resumed) {
  const images::JournalHeader& run = journal.header();
  return {journal.finished_segments(),       run.segments(), journal.finished_images(), run.images, resumed,
          ranges_of(journal.finished(), run)};
}

}  // namespace tutti
