// A file without a name for values that are made from an input once: the content of a compressed archive, the numbers
// of a table. It takes disk space instead of memory, and is gone with its last descriptor, however the process ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "common/unique_fd.hpp"
#include "images/record_file.hpp"

namespace tutti::images {

/// Written once, front to back, then read. Moves, does not copy; one thread.
class ScratchFile {
 public:
  /// For values from `input`, which errors name. In the folder of TMPDIR if that is set, else beside `input`, else in
  /// the system's temporary folder. Throws Error(failed) if it can be made nowhere.
  explicit ScratchFile(std::filesystem::path input);

  /// Throws Error(failed): no space.
  void write(std::span<const std::byte> bytes);
  const std::filesystem::path& folder() const noexcept { return folder_; }
  std::uint64_t bytes() const noexcept { return written_ + buffer_.size(); }
  /// The complete file, which messages call `name`.
  InputFile finish(std::filesystem::path name) &&;

 private:
  void flush(std::span<const std::byte> bytes);

  std::filesystem::path input_;
  std::filesystem::path folder_;
  UniqueFd file_;
  std::vector<std::byte> buffer_;
  std::uint64_t written_ = 0;
};

}  // namespace tutti::images
