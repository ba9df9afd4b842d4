// A file that appears complete or not at all. Not a general file class: it is written once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include <tutti/error.hpp>

#include "common/unique_fd.hpp"

namespace tutti {

/// What becomes of a file that is not complete when its process ends.
enum class Unfinished {
  goes,       ///< nothing is left of it
  stays,      ///< it is there under the name of unfinished_of(), to be continued; one that is there already is replaced
  continues,  ///< the same, but one that is there already, or a complete one, is continued
};

/// The name of a file that is not complete yet: predictions.npy -> predictions.npy.unfinished.
std::filesystem::path unfinished_of(std::filesystem::path file);

/// Whether a file is on disk, safe from a crash of the machine, when it appears; `later`: once sync_files() returns.
enum class Sync { now, later };

/// Writes to a file without a name in the folder of `path`; commit() syncs it and puts it in the place of `path`.
/// Without commit(), even if the process is killed, nothing is left of it and `path` is unchanged. (On file systems
/// without O_TMPFILE it has a temporary name from the start, which the destructor removes.) Throws Error(failed) with
/// the path, the reason and what to do (disk full, no permission, folder missing). Moves, does not copy; one thread.
///
/// A file that stays has a name from the start, and is left there if the process is killed. The destructor removes it,
/// too, unless keep() was called.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path, Unfinished unfinished = Unfinished::goes);
  ~AtomicFile();
  AtomicFile(AtomicFile&&) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Overwrites the bytes at `offset`; write() still appends at the end.
  void write_at(std::uint64_t offset, std::string_view text);
  /// Fills `bytes` with those at `offset`, of a file that stays. False if the file ends before. Throws Error(failed) if
  /// it cannot be read.
  bool read_at(std::uint64_t offset, std::span<std::byte> bytes) const;
  /// Cuts the file to its first `bytes` bytes.
  void cut(std::uint64_t bytes);
  /// Whether the destructor leaves a file that stays; false at first, and true for one that is continued.
  void keep(bool yes) noexcept { keep_ = yes; }
  /// Syncs the complete file and puts it in place; the object must not be used afterwards.
  void commit(Sync sync = Sync::now);
  /// The same under another path in the same folder.
  void commit_as(std::filesystem::path path);
  /// Syncs a file that stays, and puts it in place under `path` in the same folder, too: both names are one file, or,
  /// if the file system has no such links, a copy. It must not be written any more, except by a later object, which
  /// first removes the other name if that is the object's path.
  void link_as(const std::filesystem::path& path) const;

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  void give_name();
  void open_named(bool continues);

  std::filesystem::path path_;
  std::filesystem::path temporary_;  ///< empty while it has no name, and once committed
  UniqueFd file_;
  bool keep_ = false;
};

/// Waits until all files of the file system of `folder` are on disk, also those that other programs write. For many
/// small files this takes much less time than a sync of each. Throws Error(failed) that names the folder.
void sync_files(const std::filesystem::path& folder);

/// The error for a file that could not be written: path, the reason (an errno), and what to do about it.
Error write_error(const std::filesystem::path& path, int code);

/// The whole content of a file. Throws Error(usage) if it is missing, unreadable or a Git LFS pointer; the message
/// names it as `what`.
std::string read_text(const std::filesystem::path& path, std::string_view what);

}  // namespace tutti
