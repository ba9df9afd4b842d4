// A file that appears complete or not at all. Not a general file class: it is written once, front to back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include <tutti/error.hpp>

#include "common/unique_fd.hpp"

namespace tutti {

/// Whether a file is on disk, safe from a crash of the machine, when it appears; `later`: once sync_files() returns.
enum class Sync { now, later };

/// Writes to a file without a name in the folder of `path`; commit() syncs it and puts it in the place of `path`.
/// Without commit(), even if the process is killed, nothing is left of it and `path` is unchanged. (On file systems
/// without O_TMPFILE it has a temporary name from the start, which the destructor removes.) Throws Error(failed) with
/// the path, the reason and what to do (disk full, no permission, folder missing). Moves, does not copy; one thread.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(AtomicFile&&) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Overwrites the bytes at `offset`; write() still appends at the end.
  void write_at(std::uint64_t offset, std::string_view text);
  /// Cuts the file to its first `bytes` bytes.
  void cut(std::uint64_t bytes);
  /// Syncs the complete file and puts it in place; the object must not be used afterwards.
  void commit(Sync sync = Sync::now);
  /// The same under another path in the same folder.
  void commit_as(std::filesystem::path path);

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  void give_name();

  std::filesystem::path path_;
  std::filesystem::path temporary_;  ///< empty while it has no name, and once committed
  UniqueFd file_;
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
