// What `tutti run` finds of an earlier run in its run folder: whether there is one to continue, whether it is the
// same run, and what to tell the user. It computes nothing.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "coordinator/plan/fingerprint.hpp"
#include "program/commands.hpp"
#include "results/journal.hpp"

namespace tutti::program {

/// The folder whose run `--resume` continues: `output`, or if that is empty, the numbered folder under `parent` with
/// the highest number that holds a journal. Throws Error(usage) if there is none.
std::filesystem::path folder_to_resume(const std::filesystem::path& output, const std::filesystem::path& parent);

/// The journal that exists before anything is started, locked: always with `--resume`; without it, if `output` names a
/// folder that holds one. Throws Error(usage) if there is nothing to resume, if another run holds it, and, without
/// `--resume`, if it holds finished segments, which would be lost.
std::optional<images::Journal> journal_before(bool resume, const std::filesystem::path& output);

/// What the run that `--resume` continues was started with; nothing without `--resume`. Throws what journal_before()
/// would, so that it is said before anything is measured.
std::optional<Fingerprint> started_with(bool resume, const std::filesystem::path& output);

/// Throws Error(usage) with every difference if the run of `journal` is not the run `now`.
void check_same_run(const images::Journal& journal, const images::JournalHeader& now);

/// "finished 12 of 40 segments".
std::string finished_text(const images::Journal& journal);

/// The command line that continues the run in `folder`, as the user types it into a shell: "tutti run e.yaml --resume".
/// `named`: the description itself names the folder.
std::string resume_command(const CommandLine& line, const std::filesystem::path& folder, bool named);

}  // namespace tutti::program
