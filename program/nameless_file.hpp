// A file without a name, for weights that only workers are to read: it is gone with this process, however it ends.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "common/unique_fd.hpp"

namespace tutti::program {

/// Moves, does not copy.
class NamelessFile {
 public:
  /// On the file system of `folder`; `what` it is stands in errors: "a candidate". Throws Error(failed).
  NamelessFile(const std::filesystem::path& folder, const char* what);

  /// Appends. Throws Error(failed).
  void write(std::span<const std::byte> bytes) const;

  /// Where another process of this user finds it, as long as this one holds it.
  std::filesystem::path path() const;

 private:
  std::filesystem::path place_;  ///< for errors
  UniqueFd file_;
};

}  // namespace tutti::program
