// A file that appears whole or not at all. Not a general file class: it is written once, front to back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include <tutti/error.hpp>

#include "common/unique_fd.hpp"

namespace tutti {

/// Writes to a file without a name in the folder of `path`; commit() syncs it and puts it in the place of `path`.
/// Without commit(), also where the process is killed, nothing is left of it and `path` is as it was. (On file systems
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
  /// Writes over what stands at `offset`; the end, where write() goes on, stays where it is.
  void write_at(std::uint64_t offset, std::string_view text);
  /// Drops everything from `bytes` on.
  void cut(std::uint64_t bytes);
  /// Complete, on disk, and in place; the object must not be used afterwards.
  void commit();
  /// The same in another place of the same folder.
  void commit_as(std::filesystem::path path);

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  void give_name();

  std::filesystem::path path_;
  std::filesystem::path temporary_;  ///< empty while it has no name, and once committed
  UniqueFd file_;
};

/// That a file could not be written: path, the reason (an errno), and what to do about it.
Error write_error(const std::filesystem::path& path, int code);

/// The whole content of a file. Throws Error(usage) where it is missing or unreadable, naming `what` it was to be.
std::string read_text(const std::filesystem::path& path, std::string_view what);

}  // namespace tutti
