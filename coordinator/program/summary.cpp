#include "coordinator/program/summary.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace tutti::program {
namespace {

constexpr std::size_t kRangesShown = 5;

std::string counted(std::uint64_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}
const char* were(std::uint64_t count) { return count == 1 ? "was" : "were"; }

/// Adds a range that lies behind all others, joined to the last where that ends there.
void add_range(std::vector<images::ImageRange>& ranges, const images::ImageRange& next) {
  if (!ranges.empty() && ranges.back().first + ranges.back().count == next.first)
    ranges.back().count += next.count;
  else
    ranges.push_back(next);
}

std::string range_text(const images::ImageRange& images) {
  return images.count == 1 ? fmt::format("{}", images.first)
                           : fmt::format("{}-{}", images.first, images.first + images.count - 1);
}

/// "images 500-999, 4000-4499 and 3 more ranges".
std::string images_text(const std::vector<images::ImageRange>& ranges) {
  std::string text = ranges.size() == 1 && ranges.front().count == 1 ? "image " : "images ";
  for (std::size_t i = 0; i < std::min(ranges.size(), kRangesShown); ++i)
    text += (i == 0 ? "" : ", ") + range_text(ranges[i]);
  if (ranges.size() > kRangesShown) text += " and " + counted(ranges.size() - kRangesShown, "more range");
  return text;
}

bool is_absent(const images::MemberReport& member) { return member.state == to_text(WorkerState::absent); }

/// What of `all` holds for `which`, as ranges.
template <class Which>
std::vector<images::ImageRange> images_that(const std::vector<images::IncompleteReport>& all, Which which) {
  std::vector<images::ImageRange> ranges;
  for (const images::IncompleteReport& some : all)
    if (which(some)) add_range(ranges, {some.first, some.count});
  return ranges;
}

/// "cnn-2 is missing from segment 12 on, for images 6000-19999; it is absent: ...\n"; empty where it is everywhere.
std::string member_line(const images::MemberReport& member, const std::vector<images::IncompleteReport>& incomplete,
                        std::uint32_t segment_images) {
  const auto ranges = images_that(incomplete, [&](const images::IncompleteReport& some) {
    return !some.set_aside && std::find(some.absent.begin(), some.absent.end(), member.name) != some.absent.end();
  });
  const std::string reason = member.absent_reason ? fmt::format(": {}", *member.absent_reason) : "";
  if (ranges.empty()) return is_absent(member) ? fmt::format("{} is absent{}\n", member.name, reason) : "";
  return fmt::format("{} is missing from {}, the first is segment {}{}\n", member.name, images_text(ranges),
                     ranges.front().first / segment_images,
                     is_absent(member) ? fmt::format("; it is absent{}", reason) : "");
}

}  // namespace

std::string faults_text(const FaultCounts& faults) {
  if (faults.deaths == 0) return {};
  std::string text = faults.restarts == faults.deaths
                         ? fmt::format("{} died and {} replaced", counted(faults.deaths, "worker"), were(faults.deaths))
                         : fmt::format("{} died, {} {} replaced", counted(faults.deaths, "worker"), faults.restarts,
                                       were(faults.restarts));
  if (faults.handed_out_again > 0)
    text += fmt::format("; {} {} handed out again", counted(faults.handed_out_again, "segment"),
                        were(faults.handed_out_again));
  if (!faults.abandoned_pids.empty())
    text += fmt::format("; left behind after SIGKILL: process {}", fmt::join(faults.abandoned_pids, ", "));
  return text + "\n";
}

bool is_incomplete(const images::Report& report) {
  return (report.ensemble && !report.ensemble->incomplete.empty()) ||
         std::any_of(report.members.begin(), report.members.end(), is_absent);
}

std::string missing_text(const images::Report& report, std::uint32_t segment_images) {
  const std::vector<images::IncompleteReport> nothing;
  const auto& incomplete = report.ensemble ? report.ensemble->incomplete : nothing;
  std::string text;
  for (const images::MemberReport& member : report.members) text += member_line(member, incomplete, segment_images);
  const auto aside = [](const images::IncompleteReport& some) { return some.set_aside; };
  const auto count = static_cast<std::uint64_t>(std::count_if(incomplete.begin(), incomplete.end(), aside));
  if (count > 0)
    text += fmt::format("{} {} set aside for killing workers: {}; NaN in the results\n", counted(count, "segment"),
                        were(count), images_text(images_that(incomplete, aside)));
  return text;
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

}  // namespace tutti::program
