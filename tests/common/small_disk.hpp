// A disk of 64 KiB, for tests of full ones. For tests only.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace tutti::test {

/// The exit code of a child that needs a small disk if there is none.
constexpr int kNoSmallDisk = 77;

/// Mounts it at `folder`, only for this process and its children: call it in a child, since it is permanent. False if
/// that is not possible here.
inline bool mount_small_disk(const std::filesystem::path& folder) {
  const bool is_root = ::geteuid() == 0;
  const std::string user = "0 " + std::to_string(::geteuid()) + " 1";
  const std::string group = "0 " + std::to_string(::getegid()) + " 1";
  const auto put_line = [](const char* path, const std::string& text) {
    std::ofstream file(path);
    file << text << std::flush;
    return file.good();
  };
  if (::unshare(is_root ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0) return false;
  // A user who is root in a separate namespace may mount there, but only a mapped user may write files.
  if (!is_root && !(put_line("/proc/self/setgroups", "deny") && put_line("/proc/self/uid_map", user) &&
                    put_line("/proc/self/gid_map", group)))
    return false;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  return ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=64k") == 0;
}

}  // namespace tutti::test
