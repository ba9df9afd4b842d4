#include "evaluation/run/unfinished.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "common/counted.hpp"
#include "coordinator/plan/fingerprint.hpp"
#include "results/run_folder.hpp"

namespace tutti {
std::filesystem::path folder_to_resume(const std::filesystem::path& output, const std::filesystem::path& parent,
                                       const std::string& option) {
  if (!output.empty()) {
    if (images::Journal::exists(output)) return output;
    throw Error(ErrorKind::usage, fmt::format("there is nothing to resume in {}", output.string()),
                "it holds no journal: its run was completed, or was never started",
                fmt::format("leave {} out", option));
  }
  std::filesystem::path newest;
  std::optional<unsigned> highest;
  std::error_code code;
  for (std::filesystem::directory_iterator entry(parent, code), end; !code && entry != end; entry.increment(code)) {
    const auto number = images::run_number(entry->path());
    if (!number || (highest && *number < *highest) || !images::Journal::exists(entry->path())) continue;
    highest = number;
    newest = entry->path();
  }
  if (highest) return newest;
  throw Error(ErrorKind::usage, fmt::format("there is nothing to resume below {}", parent.string()),
              "no numbered folder there holds a journal: their runs were completed, or were never started",
              fmt::format("leave {} out, or name the folder: output=...", option));
}

std::optional<images::Journal> journal_before(bool resume, const std::filesystem::path& output,
                                              const std::string& option) {
  if (resume) return images::Journal(folder_to_resume(output, "runs", option));
  if (output.empty() || !images::Journal::exists(output)) return std::nullopt;
  images::Journal journal(output);
  if (journal.finished_segments() > 0)
    throw Error(ErrorKind::usage,
                fmt::format("{} holds an unfinished run ({} of {})", output.string(), journal.finished_segments(),
                            counted(journal.header().segments(), "segment")),
                {}, fmt::format("continue it with {}, or remove {} to start again", option, journal.path().string()));
  return journal;
}

std::optional<Fingerprint> started_with(bool resume, const std::filesystem::path& output, const std::string& option) {
  if (!resume) {
    journal_before(false, output, option);
    return std::nullopt;
  }
  return images::Journal(folder_to_resume(output, "runs", option)).header().fingerprint;
}

void check_same_run(const images::Journal& journal, const images::JournalHeader& now) {
  const images::JournalHeader& was = journal.header();
  std::vector<std::string> lines = differences(was.fingerprint, now.fingerprint);
  const auto cut = [](const images::JournalHeader& header) {
    return fmt::format("{} in segments of {} for {}", counted(header.images, "image"), header.segment_images,
                       counted(header.members, "member"));
  };
  if (lines.empty() && cut(was) != cut(now)) lines.push_back(fmt::format("cut: was {}, now {}", cut(was), cut(now)));
  if (lines.empty()) return;
  throw Error(
      ErrorKind::usage,
      fmt::format("the run in {} is a different one and cannot be resumed", journal.path().parent_path().string()),
      fmt::format("{}", fmt::join(lines, "\n          ")),
      fmt::format("run it as it was started, or remove {} to start again", journal.path().string()));
}

std::string finished_text(const images::Journal& journal) {
  return fmt::format("finished {} of {}", journal.finished_segments(), counted(journal.header().segments(), "segment"));
}

}  // namespace tutti
