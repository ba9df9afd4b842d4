#include "bench/comparison/departure.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

#include <tutti/error.hpp>

#include "coordinator/process/child.hpp"

namespace tutti::bench {
namespace {

// Threads and workers may still be writing into it: files that they create meanwhile are removed in one of the next
// rounds, and once the folder itself is gone there is no place for more.
void remove_while_written(const std::filesystem::path& folder) {
  std::error_code failed;
  for (int round = 0; round < 100 && std::filesystem::exists(folder, failed); ++round)
    std::filesystem::remove_all(folder, failed);
}

}  // namespace

// Held to the end: nothing may be started or forgotten while everything is being ended.
void Departure::leave(int number) {
  const MutexLock lock(mutex_);
  for (const int child : children_) send_signal(child, SIGKILL);
  for (const auto& folder : folders_) remove_while_written(folder);
  ::_exit(128 + number);
}

void Departure::take_along(int pidfd) {
  const MutexLock lock(mutex_);
  children_.insert(pidfd);
}
void Departure::forget(int pidfd) {
  const MutexLock lock(mutex_);
  children_.erase(pidfd);
}
void Departure::take_along(const std::filesystem::path& folder) {
  const MutexLock lock(mutex_);
  folders_.insert(folder);
}
void Departure::forget(const std::filesystem::path& folder) {
  const MutexLock lock(mutex_);
  folders_.erase(folder);
}

FolderForATime::FolderForATime(Departure& departure) : departure_(departure) {
  const char* const wanted = std::getenv("TMPDIR");
  std::string name = fmt::format("{}/tutti-bench-XXXXXX", wanted != nullptr && *wanted != '\0' ? wanted : "/tmp");
  if (::mkdtemp(name.data()) == nullptr)
    throw Error(ErrorKind::failed, fmt::format("could not create a folder like {}", name), std::strerror(errno),
                "set TMPDIR to a folder that can be written");
  path_ = name;
  held_ = UniqueFd(::open(name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  departure_.take_along(path_);
}

std::filesystem::path FolderForATime::held_path() const {
  if (!held_) return path_;
  return fmt::format("/proc/{}/fd/{}", ::getpid(), held_.get());
}

FolderForATime::~FolderForATime() {
  departure_.forget(path_);
  std::error_code gone;
  std::filesystem::remove_all(path_, gone);
}

}  // namespace tutti::bench
