// Where a run puts its results.
#pragma once

#include <filesystem>
#include <optional>

namespace tutti::images {

/// The number that names the folder of a run; nothing where its name is no number.
std::optional<unsigned> run_number(const std::filesystem::path& folder);

/// The folder for the results of a run. `requested`, where it is not empty: created with its parents if missing; files
/// in it stay until they are replaced. Otherwise a fresh one below `parent`: 0001, 0002, ..., never shared by two runs
/// that start at the same time. Throws Error(usage) where something of that name is no folder, Error(failed) where
/// it could not be created.
std::filesystem::path make_run_folder(const std::filesystem::path& requested, const std::filesystem::path& parent);

}  // namespace tutti::images
