// Where a command puts its results: a folder that is there, and that one program at a time writes into. What is in it
// is not known here: results/result_files.hpp.
#pragma once

#include <filesystem>
#include <optional>

#include "common/unique_fd.hpp"

namespace tutti::images {

/// The number that names the folder of a run; nothing if its name is no number.
std::optional<unsigned> run_number(const std::filesystem::path& folder);

/// The folder for the results of a run. `requested`, if it is not empty: created with its parents if missing; files
/// in it stay until they are replaced. Otherwise a fresh one below `parent`: 0001, 0002, ..., never shared by two runs
/// that start at the same time. Throws Error(usage) if something of that name is no folder, Error(failed) if
/// it could not be created. Nothing is locked.
std::filesystem::path make_run_folder(const std::filesystem::path& requested, const std::filesystem::path& parent);

/// A folder that is there as long as something needs it. Moves, does not copy.
class MadeFolder {
 public:
  /// As make_run_folder(): the same errors.
  MadeFolder(const std::filesystem::path& requested, const std::filesystem::path& parent);
  MadeFolder(MadeFolder&& other) noexcept;
  MadeFolder& operator=(MadeFolder&&) = delete;
  /// Removes the folder if this object made it and nothing is in it: what wrote nothing leaves nothing.
  ~MadeFolder();

  const std::filesystem::path& path() const noexcept { return path_; }
  /// What the destructor does; any thread.
  void remove_if_empty() const noexcept;
  /// It stays, whatever is in it.
  void keep() noexcept { made_ = false; }

 private:
  std::filesystem::path path_;
  bool made_ = false;
};

/// The output folder of a command, which writes into it alone while the object lives: the lock is the kernel's
/// (flock() on the folder itself), so that no file is left behind and that it ends with the process, however that ends.
/// If the file system cannot lock a folder (NFS cannot), a warning says so, and whoever starts two programs must see
/// to it that their folders differ. Moves, does not copy.
class RunFolder {
 public:
  /// Also throws Error(usage) if another one holds the folder.
  RunFolder(const std::filesystem::path& requested, const std::filesystem::path& parent);
  RunFolder(RunFolder&&) = default;

  const std::filesystem::path& path() const noexcept { return folder_.path(); }
  /// As that of MadeFolder.
  void remove_if_empty() const noexcept { folder_.remove_if_empty(); }

 private:
  bool lock();

  UniqueFd lock_;  ///< stands first, so that it is held until an empty folder is gone
  MadeFolder folder_;
};

}  // namespace tutti::images
