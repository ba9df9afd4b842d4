// The run folder, in which a command puts its results: it exists, and only one program at a time writes into it. The
// files in it are listed in results/result_files.hpp.
#pragma once

#include <filesystem>
#include <optional>

#include "common/unique_fd.hpp"

namespace tutti::images {

/// The number that is the name of a run's folder; nothing if its name is not a number.
std::optional<unsigned> run_number(const std::filesystem::path& folder);

/// The folder for the results of a run. `requested`, if it is not empty: created with its parents if missing; files in
/// it stay until they are replaced. Otherwise a new one below `parent`: 0001, 0002, ..., never shared by two runs that
/// start at the same time. Throws Error(usage) if something else has that name, Error(failed) if it could not be
/// created. Nothing is locked.
std::filesystem::path make_run_folder(const std::filesystem::path& requested, const std::filesystem::path& parent);

/// Throws what make_run_folder() would throw, or the first file in the folder, as far as that shows without creating
/// anything.
void check_run_folder(const std::filesystem::path& requested, const std::filesystem::path& parent);

/// A folder that is removed again if nothing was written into it. Moves, does not copy.
class MadeFolder {
 public:
  /// Throws like make_run_folder().
  MadeFolder(const std::filesystem::path& requested, const std::filesystem::path& parent);
  MadeFolder(MadeFolder&& other) noexcept;
  MadeFolder& operator=(MadeFolder&&) = delete;
  /// Removes the folder if this object made it and it is empty.
  ~MadeFolder();

  const std::filesystem::path& path() const noexcept { return path_; }
  /// Does what the destructor does; any thread.
  void remove_if_empty() const noexcept;
  /// Keeps the folder, even if it is empty.
  void keep() noexcept { made_ = false; }

 private:
  std::filesystem::path path_;
  bool made_ = false;
};

/// The run folder of a command, locked while the object lives. The lock is the kernel's (flock() on the folder
/// itself): it leaves no file behind, and ends with the process, however the process ends. If the file system cannot
/// lock a folder (NFS cannot), a warning says so, and the user must make sure that two programs use different folders.
/// Moves, does not copy.
class RunFolder {
 public:
  /// Also throws Error(usage) if another one holds the folder.
  RunFolder(const std::filesystem::path& requested, const std::filesystem::path& parent);
  RunFolder(RunFolder&&) = default;

  const std::filesystem::path& path() const noexcept { return folder_.path(); }
  /// Does what MadeFolder::remove_if_empty() does.
  void remove_if_empty() const noexcept { folder_.remove_if_empty(); }

 private:
  bool lock();

  UniqueFd lock_;  ///< must be first, so that it is held until an empty folder is removed
  MadeFolder folder_;
};

}  // namespace tutti::images
