// A file without a name, for weights that only workers read: it disappears with this process, however it ends.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "common/unique_fd.hpp"

namespace tutti {

/// Can be moved, not copied.
class WeightsFile {
 public:
  /// On the file system of `folder`; `what` names it in errors: "a candidate". Throws Error(failed).
  WeightsFile(const std::filesystem::path& folder, const char* what);

  /// Appends. Throws Error(failed).
  void write(std::span<const std::byte> bytes) const;

  /// The path by which another process of this user can open it, as long as this process holds it.
  std::filesystem::path path() const;

 private:
  std::filesystem::path place_;  ///< for errors
  UniqueFd file_;
};

}  // namespace tutti
