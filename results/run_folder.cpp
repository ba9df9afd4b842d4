// Creating the folder of a run, and holding it.
#include "results/run_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string>
#include <system_error>
#include <tutti/error.hpp>
#include <utility>

#include "common/folder_obstacle.hpp"
#include "common/log.hpp"

namespace tutti::images {
namespace {

constexpr const char* kHint = "choose another folder with 'output'";

void check_place(const std::filesystem::path& folder) {
  if (const std::string obstacle = folder_obstacle(folder); !obstacle.empty())
    throw Error(ErrorKind::usage, fmt::format("cannot write results to {}", folder.string()), obstacle, kHint);
}

void create(const std::filesystem::path& folder) {
  check_place(folder);
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code)
    throw Error(ErrorKind::failed, fmt::format("could not create the folder {}", folder.string()), code.message(),
                kHint);
}

// The highest number that is a name in `folder`; other names do not count. It only saves attempts: 0 if the folder
// cannot be listed.
unsigned highest_number(const std::filesystem::path& folder) {
  unsigned highest = 0;
  std::error_code code;
  for (std::filesystem::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
    highest = std::max(highest, run_number(entry->path()).value_or(0));
  }
  return highest;
}

}  // namespace

std::optional<unsigned> run_number(const std::filesystem::path& folder) {
  const std::string name = folder.filename().string();
  unsigned number = 0;
  const auto [rest, wrong] = std::from_chars(name.data(), name.data() + name.size(), number);
  return wrong == std::errc{} && rest == name.data() + name.size() ? std::optional(number) : std::nullopt;
}

void check_run_folder(const std::filesystem::path& requested, const std::filesystem::path& parent) {
  const std::filesystem::path& folder = requested.empty() ? parent : requested;
  check_place(folder);
  if (const int denial = folder_denial(folder); denial != 0)
    throw Error(ErrorKind::failed, fmt::format("could not write into the folder {}", folder.string()),
                std::generic_category().message(denial), kHint);
}

std::filesystem::path make_run_folder(const std::filesystem::path& requested, const std::filesystem::path& parent) {
  if (!requested.empty()) {
    create(requested);
    return requested;
  }
  create(parent);
  for (unsigned number = highest_number(parent) + 1;; ++number) {
    const std::filesystem::path folder = parent / fmt::format("{:04}", number);
    // mkdir() succeeds for only one caller: a caller that gets EEXIST tries the next number.
    if (::mkdir(folder.c_str(), 0777) == 0) return folder;
    if (errno != EEXIST)
      throw Error(ErrorKind::failed, fmt::format("could not create the folder {}", folder.string()),
                  std::generic_category().message(errno), kHint);
  }
}

MadeFolder::MadeFolder(const std::filesystem::path& requested, const std::filesystem::path& parent) {
  std::error_code unknown;
  made_ = requested.empty() || !std::filesystem::exists(requested, unknown);
  path_ = make_run_folder(requested, parent);
}

MadeFolder::MadeFolder(MadeFolder&& other) noexcept
    : path_(std::move(other.path_)), made_(std::exchange(other.made_, false)) {}

MadeFolder::~MadeFolder() { remove_if_empty(); }

void MadeFolder::remove_if_empty() const noexcept {
  const int before = errno;           // the program may be about to report it
  if (made_) ::rmdir(path_.c_str());  // fails if something is in it, as it should
  errno = before;
}

RunFolder::RunFolder(const std::filesystem::path& requested, const std::filesystem::path& parent)
    : folder_(requested, parent) {
  // The previous holder may have removed the empty folder between our open() and our flock(): then it is made again.
  while (!lock()) make_run_folder(path(), parent);
}

// False if the folder was removed meanwhile. O_CLOEXEC, because a worker that inherited the file would keep the lock.
bool RunFolder::lock() {
  lock_ = UniqueFd(::open(path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock_ && errno == ENOENT) return false;
  int result = -1;
  do result = lock_ ? ::flock(lock_.get(), LOCK_EX | LOCK_NB) : -1;
  while (lock_ && result != 0 && errno == EINTR);
  if (result != 0 && errno == EWOULDBLOCK) {
    folder_.keep();  // it belongs to the other program, even if this one has just made it
    throw Error(ErrorKind::usage, fmt::format("another tutti is writing into {}", path().string()),
                "it holds the lock of this folder", "wait until it ends, or choose another run folder");
  }
  if (result != 0) {
    log::warning("cannot lock {} ({}): make sure that no other tutti writes into it", path().string(),
                 std::generic_category().message(errno));
    return true;
  }
  struct stat ours {};
  struct stat named {};
  return ::fstat(lock_.get(), &ours) == 0 && ::stat(path().c_str(), &named) == 0 && ours.st_ino == named.st_ino &&
         ours.st_dev == named.st_dev;
}

}  // namespace tutti::images
