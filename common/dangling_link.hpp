// A path that cannot be created because a link in it leads nowhere: mkdir() says that it exists, open() that it does
// not.
#pragma once

#include <filesystem>
#include <string>

namespace tutti {

/// "runs is a link to /mnt/runs, which does not exist" for the first such link in `path`; empty if there is none.
std::string dangling_link(const std::filesystem::path& path);

}  // namespace tutti
