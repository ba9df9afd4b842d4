// Git LFS keeps large files outside of the repository. A clone without them has a text of three lines in the place of
// each. Readers of files recognise it, because what they would say about its bytes misleads.
#pragma once

#include <filesystem>
#include <string_view>

#include <tutti/error.hpp>

namespace tutti {

/// Whether a file that begins so is a pointer (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md). Its first 64
/// bytes are enough.
bool is_lfs_pointer(std::string_view beginning) noexcept;

/// Error(usage) that names the file and the command that downloads it. A separate type for readers that leave out
/// broken files: a pointer is not one.
class LfsPointer : public Error {
 public:
  explicit LfsPointer(const std::filesystem::path& file);
};

/// Throws LfsPointer if the file is a pointer. A file that cannot be read is left to its reader.
void refuse_lfs_pointer(const std::filesystem::path& file);
/// The same for an open file, whose position does not change; `file` is its name in the Error.
void refuse_lfs_pointer(int fd, const std::filesystem::path& file);

}  // namespace tutti
