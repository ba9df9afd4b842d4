#include "common/folder_obstacle.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "common/dangling_link.hpp"

namespace tutti {
namespace {

/// The folder, or the nearest one above it, that exists; "." for a relative path of which nothing does.
std::filesystem::path nearest_existing(const std::filesystem::path& folder) {
  std::error_code hidden;
  for (std::filesystem::path part = folder; !part.empty(); part = part.parent_path()) {
    if (std::filesystem::exists(part, hidden)) return part;
    if (part == part.parent_path()) break;
  }
  return ".";
}

}  // namespace

std::string folder_obstacle(const std::filesystem::path& folder) {
  if (std::string dangling = dangling_link(folder); !dangling.empty()) return dangling;
  const std::filesystem::path there = nearest_existing(folder);
  std::error_code hidden;
  if (std::filesystem::is_directory(there, hidden) || hidden) return {};
  return there == folder ? "it is not a folder" : fmt::format("{} is not a folder", there.string());
}

int folder_denial(const std::filesystem::path& folder) {
  // For the effective user, as open() and mkdir() judge.
  return ::faccessat(AT_FDCWD, nearest_existing(folder).c_str(), W_OK | X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

}  // namespace tutti
