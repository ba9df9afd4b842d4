#include "program/summary.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/counted.hpp"
#include "evaluation/run/lacking.hpp"

namespace tutti::program {
namespace {

constexpr std::size_t kRangesShown = 5;

const char* were(std::uint64_t count) { return count == 1 ? "was" : "were"; }

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

/// The images of `all` that `which` selects, as ranges.
template <class Which>
std::vector<images::ImageRange> images_that(const std::vector<IncompleteSegment>& all, Which which) {
  std::vector<images::ImageRange> ranges;
  for (const IncompleteSegment& some : all)
    if (which(some)) add_range(ranges, {some.first, some.count});
  return ranges;
}

/// "cnn-2 is missing from images 6000-19999, the first is segment 12; it is absent: ...
/// "; empty if the member predicted everything. `late`: segments were finished without late members.
std::string member_lines(std::size_t rank, const images::MemberReport& member, const std::vector<Lacking>& all,
                         std::uint32_t segment_images, bool late) {
  const MemberStatus& status = member.status;
  const std::string reason = status.absent_reason.empty() ? "" : fmt::format(": {}", status.absent_reason);
  std::string text;
  for (const Lacking& lacking : all) {
    const auto ranges = images_that(lacking.images, [&](const IncompleteSegment& some) {
      return !some.set_aside && std::find(some.absent.begin(), some.absent.end(), rank) != some.absent.end();
    });
    if (ranges.empty()) continue;
    const std::string why = is_absent(member) ? fmt::format("; it is absent{}", reason)
                            : late            ? "; it was not waited for ('quorum')"
                                              : "";
    text += fmt::format("{}{} is missing from {}, the first is segment {}{}\n", lacking.prefix, status.name,
                        images_text(ranges), ranges.front().first / segment_images, why);
  }
  return text.empty() && is_absent(member) ? fmt::format("{} is absent{}\n", status.name, reason) : text;
}

std::string aside_line(const Lacking& lacking) {
  const auto aside = [](const IncompleteSegment& some) { return some.set_aside; };
  const auto count = static_cast<std::uint64_t>(std::count_if(lacking.images.begin(), lacking.images.end(), aside));
  if (count == 0) return {};
  return fmt::format("{}{} {} set aside for killing workers: {}; NaN in the results\n", lacking.prefix,
                     counted(count, "segment"), were(count), images_text(images_that(lacking.images, aside)));
}

}  // namespace

std::string seconds_text(double seconds) {
  return seconds < 100 ? fmt::format("{:.3g} s", seconds) : fmt::format("{:.0f} s", seconds);
}

std::string cascade_text(const images::Report& report) {
  if (!report.ensemble) return {};
  std::string text;
  for (const images::CascadeReport& step : report.ensemble->cascade) {
    if (step.of == 0) continue;
    text += fmt::format("cascade: {} {} asked for {} of {} ({:.1f} %)", fmt::join(step.then, ", "),
                        step.then.size() == 1 ? "was" : "were", step.images, counted(step.of, "image"),
                        100.0 * static_cast<double>(step.images) / static_cast<double>(step.of));
    if (step.images == 0 || step.images == step.of)
      text += "; 'tutti evaluate --cascade-sweep' shows what other thresholds do\n";
    else
      text += step.saved_seconds
                  ? fmt::format(", which saved about {} of computing\n", seconds_text(*step.saved_seconds))
                  : "\n";
  }
  return text;
}

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

std::string missing_text(const images::Report& report, std::uint32_t segment_images) {
  const std::vector<Lacking> all = all_lacking(report);
  std::string text;
  for (std::size_t rank = 0; rank < report.members.size(); ++rank)
    text += member_lines(rank, report.members[rank], all, segment_images, report.faults.not_waited_for > 0);
  for (const Lacking& lacking : all) text += aside_line(lacking);
  return text;
}

}  // namespace tutti::program
