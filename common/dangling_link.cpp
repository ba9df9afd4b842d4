#include "common/dangling_link.hpp"

#include <fmt/format.h>

#include <system_error>

namespace tutti {

std::string dangling_link(const std::filesystem::path& path) {
  std::filesystem::path part;
  for (const std::filesystem::path& name : path) {
    part /= name;
    std::error_code code;
    if (!std::filesystem::is_symlink(part, code) || std::filesystem::exists(part, code)) continue;
    return fmt::format("{} is a link to {}, which does not exist", part.string(),
                       std::filesystem::read_symlink(part, code).string());
  }
  return {};
}

}  // namespace tutti
