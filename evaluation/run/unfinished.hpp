// What a run finds of an earlier one in its folder: whether there is one to continue, whether it is the same run, and
// what to tell the user. It computes nothing. `option` is what the user calls the option that continues a run.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "coordinator/plan/fingerprint.hpp"
#include "results/journal.hpp"

namespace tutti {

/// The folder whose run is continued: `output`, or if that is empty, the numbered folder under `parent` with the
/// highest number that holds a journal. Throws Error(usage) if there is none.
std::filesystem::path folder_to_resume(const std::filesystem::path& output, const std::filesystem::path& parent,
                                       const std::string& option);

/// The journal that exists before anything is started, locked: always to resume; else if `output` names a folder that
/// holds one. Throws Error(usage) if there is nothing to resume, if another run holds it, and, if nothing is to be
/// resumed, if it holds finished segments, which would be lost.
std::optional<images::Journal> journal_before(bool resume, const std::filesystem::path& output,
                                              const std::string& option);

/// What the run that is resumed was started with; nothing if none is. Throws what journal_before() would, so that it is
/// said before anything is measured.
std::optional<Fingerprint> started_with(bool resume, const std::filesystem::path& output, const std::string& option);

/// Throws Error(usage) with every difference if the run of `journal` is not the run `now`.
void check_same_run(const images::Journal& journal, const images::JournalHeader& now);

/// "finished 12 of 40 segments".
std::string finished_text(const images::Journal& journal);

}  // namespace tutti
