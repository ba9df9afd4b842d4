// Files that appear complete or not at all, and reading a whole file as text.
#include "common/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <string>
#include <system_error>
#include <tutti/error.hpp>

#include "common/dangling_link.hpp"
#include "common/lfs_pointer.hpp"
#include "common/nameless_file.hpp"
#include "common/system_limits.hpp"

namespace tutti {
namespace {

std::string reason(int code) { return std::generic_category().message(code); }

// What the user can do about a failed write; empty if the reason already says it.
std::string hint_for(int code, const std::filesystem::path& folder) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return fmt::format("free space below {}, or choose another folder", folder.string());
    case EACCES:
    case EPERM:
    case EROFS:
      return fmt::format("make {} writable for this user, or choose another folder", folder.string());
    case ENOENT:
    case ENOTDIR:
      if (const std::string dangling = dangling_link(folder); !dangling.empty()) return dangling;
      return fmt::format("create the folder {} first", folder.string());
    case EISDIR:
      return "choose another name, or move that folder away";
    default:
      return limit_hint(code);
  }
}

// The folder of a path as open() wants it: "a.txt" is in ".".
std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

[[noreturn]] void fail(const std::filesystem::path& path, int code) { throw write_error(path, code); }

// Two files of one process, or of two, must not share a temporary name; O_EXCL catches what a crash left behind.
std::filesystem::path temporary_name(const std::filesystem::path& path) {
  static std::atomic<unsigned> counter{0};
  return folder_of(path) / fmt::format(".{}.tmp-{}-{}", path.filename().string(), ::getpid(), counter++);
}

// A file that has no name yet disappears with its process, however the process ends. Returns nothing if the file system
// cannot do this, or if there is no /proc to give the file a name later.
UniqueFd open_nameless(const std::filesystem::path& folder) {
  if (::access("/proc/self/fd", X_OK) != 0) return {};
  return nameless_file(folder, O_WRONLY, 0666);
}

// A rename is on disk only when its folder is. If the folder may be written but not opened, or the file system cannot
// sync folders (EINVAL), nothing more can be done; the file itself is already synced.
void sync_folder(const std::filesystem::path& path) {
  const UniqueFd folder(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder && ::fsync(folder.get()) != 0 && errno != EINVAL) fail(path, errno);
}

}  // namespace

std::filesystem::path unfinished_of(std::filesystem::path file) { return file += ".unfinished"; }

Error write_error(const std::filesystem::path& path, int code) {
  return Error(ErrorKind::failed, fmt::format("could not write {}", path.string()), reason(code),
               hint_for(code, folder_of(path)));
}

AtomicFile::AtomicFile(std::filesystem::path path, Unfinished unfinished) : path_(std::move(path)) {
  if (!path_.has_filename()) fail(path_, EISDIR);
  std::error_code ignored;
  // rename() would reject a folder too, but only after everything has been written.
  if (std::filesystem::is_directory(path_, ignored)) fail(path_, EISDIR);
  // A name that is too long is found now and not at the end: the temporary name is the longer one.
  if (temporary_name(path_).filename().native().size() > NAME_MAX) fail(path_, ENAMETOOLONG);
  if (unfinished != Unfinished::goes) {
    open_named(unfinished == Unfinished::continues);
    return;
  }
  file_ = open_nameless(folder_of(path_));
  if (file_) return;
  std::filesystem::path name;
  do {
    name = temporary_name(path_);
    file_ = UniqueFd(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  } while (!file_ && (errno == EEXIST || errno == EINTR));
  if (!file_) fail(path_, errno);
  temporary_ = std::move(name);
}

void AtomicFile::open_named(bool continues) {
  const std::filesystem::path name = unfinished_of(path_);
  std::error_code unknown;
  if (!continues) {
    // Not O_TRUNC: the old file may have another name, under which it is complete.
    if (::unlink(name.c_str()) != 0 && errno != ENOENT) fail(path_, errno);
  } else if (!std::filesystem::exists(name, unknown)) {
    if (::rename(path_.c_str(), name.c_str()) != 0 && errno != ENOENT) fail(path_, errno);
  } else if (std::filesystem::equivalent(name, path_, unknown)) {
    if (::unlink(path_.c_str()) != 0) fail(path_, errno);
  }
  keep_ = continues && std::filesystem::exists(name, unknown);
  do file_ = UniqueFd(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
  while (!file_ && errno == EINTR);
  if (!file_) fail(path_, errno);
  temporary_ = name;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      file_(std::move(other.file_)),
      keep_(other.keep_) {
  other.temporary_.clear();  // the destructor of `other` must find it empty, and moving does not guarantee that
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty() && !keep_) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

void AtomicFile::write_at(std::uint64_t offset, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::pwrite(file_.get(), text.data(), text.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path_, errno);
    text.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
}

bool AtomicFile::read_at(std::uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = ::pread(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error(ErrorKind::failed, fmt::format("could not read {}", temporary_.string()), reason(errno));
    if (count == 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return true;
}

void AtomicFile::cut(std::uint64_t bytes) {
  if (::ftruncate(file_.get(), static_cast<off_t>(bytes)) != 0) fail(path_, errno);
  if (::lseek(file_.get(), 0, SEEK_END) < 0) fail(path_, errno);
}

void AtomicFile::commit_as(std::filesystem::path path) {
  path_ = std::move(path);
  commit();
}

void AtomicFile::commit(Sync sync) {
  // Without the sync a crash of the machine could leave the new name on an empty file.
  if (sync == Sync::now && ::fsync(file_.get()) != 0) fail(path_, errno);
  if (temporary_.empty()) give_name();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_, errno);
  temporary_.clear();
  file_.reset();
  if (sync == Sync::now) sync_folder(path_);
}

void sync_files(const std::filesystem::path& folder) {
  const UniqueFd open_folder(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!open_folder) throw write_error(folder, errno);
  if (::syncfs(open_folder.get()) != 0) throw write_error(folder, errno);
}

void AtomicFile::link_as(const std::filesystem::path& path) const {
  if (::fsync(file_.get()) != 0) fail(path, errno);
  const std::filesystem::path name = temporary_name(path);
  std::error_code code;
  if (::link(temporary_.c_str(), name.c_str()) != 0 && !std::filesystem::copy_file(temporary_, name, code))
    fail(path, code.value());
  if (::rename(name.c_str(), path.c_str()) != 0) {
    const int why = errno;
    ::unlink(name.c_str());
    fail(path, why);
  }
  ::unlink(name.c_str());  // rename() leaves it if both names are one file already
  sync_folder(path);
}

// linkat() cannot replace a file, but rename() can: the file has a temporary name in between.
void AtomicFile::give_name() {
  const std::string descriptor = fmt::format("/proc/self/fd/{}", file_.get());
  std::filesystem::path name;
  int result = 0;
  do {
    name = temporary_name(path_);
    result = ::linkat(AT_FDCWD, descriptor.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW);
  } while (result != 0 && errno == EEXIST);
  if (result != 0) fail(path_, errno);
  temporary_ = std::move(name);
}

std::string read_text(const std::filesystem::path& path, std::string_view what) {
  const auto give_up = [&](int code) {
    throw Error(ErrorKind::usage, fmt::format("cannot read {} {}", what, path.string()), reason(code));
  };
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) give_up(errno);
  std::string text;
  std::array<char, 65536> part;
  while (true) {
    const ssize_t count = ::read(file.get(), part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) give_up(errno);
    if (count == 0) break;
    text.append(part.data(), static_cast<std::size_t>(count));
  }
  if (is_lfs_pointer(text)) throw LfsPointer(path);
  return text;
}

}  // namespace tutti
