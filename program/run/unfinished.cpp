#include "program/run/unfinished.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "common/counted.hpp"
#include "coordinator/plan/fingerprint.hpp"
#include "results/run_folder.hpp"

namespace tutti::program {
namespace {

/// A word, quoted if a shell would not take it as one word.
std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return word;
  std::string text = "'";
  for (const char letter : word) text += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return text + "'";
}

}  // namespace

std::filesystem::path folder_to_resume(const std::filesystem::path& output, const std::filesystem::path& parent) {
  if (!output.empty()) {
    if (images::Journal::exists(output)) return output;
    throw Error(ErrorKind::usage, fmt::format("there is nothing to resume in {}", output.string()),
                "it holds no journal: its run was completed, or was never started", "leave --resume out");
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
              "leave --resume out, or name the folder: output=...");
}

std::optional<images::Journal> journal_before(bool resume, const std::filesystem::path& output) {
  if (resume) return images::Journal(folder_to_resume(output, "runs"));
  if (output.empty() || !images::Journal::exists(output)) return std::nullopt;
  images::Journal journal(output);
  if (journal.finished_segments() > 0)
    throw Error(ErrorKind::usage,
                fmt::format("{} holds an unfinished run ({} of {})", output.string(), journal.finished_segments(),
                            counted(journal.header().segments(), "segment")),
                {}, fmt::format("continue it with --resume, or remove {} to start again", journal.path().string()));
  return journal;
}

std::optional<Fingerprint> started_with(bool resume, const std::filesystem::path& output) {
  if (!resume) {
    journal_before(false, output);
    return std::nullopt;
  }
  return images::Journal(folder_to_resume(output, "runs")).header().fingerprint;
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

std::string resume_command(const CommandLine& line, const std::filesystem::path& folder, bool named) {
  std::string text = fmt::format("tutti run {}", quoted(line.file.string()));
  for (const std::string& assignment : line.overrides) text += " " + quoted(assignment);
  if (!named) text += " " + quoted(fmt::format("output={}", folder.string()));
  for (const std::string& assignment : line.assign) text += " --assign " + quoted(assignment);
  const std::pair<const char*, std::string> options[]{{"--images", line.images.string()},
                                                      {"--preprocess", line.preprocess},
                                                      {"--rule", line.rule},
                                                      {"--rules", line.rules},
                                                      {"--csv", line.csv}};
  for (const auto& [option, value] : options)
    if (!value.empty()) text += fmt::format(" {} {}", option, quoted(value));
  if (!line.worker.empty()) text += " --worker " + quoted(line.worker.string());
  return text + " --resume";
}

}  // namespace tutti::program
