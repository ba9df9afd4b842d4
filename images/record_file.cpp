// Positional reading of files of equal records.
#include "images/record_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <string>
#include <system_error>
#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/lfs_pointer.hpp"

namespace tutti::images {
namespace {

// Large enough to make a call cheap compared with the copy, small enough to stay in the cache.
constexpr std::size_t kBufferBytes = 256 * 1024;

std::string reason(int code) { return std::generic_category().message(code); }

}  // namespace

InputFile::InputFile(std::filesystem::path path, std::string_view hint)
    : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  struct stat status {};
  int code = fd_ ? 0 : errno;
  if (code == 0 && ::fstat(fd_.get(), &status) != 0) code = errno;
  if (code == 0 && S_ISDIR(status.st_mode)) code = EISDIR;
  const bool shortage = code == EMFILE || code == ENFILE || code == ENOMEM;  // says nothing about the file
  const bool odd = code == 0 && !S_ISREG(status.st_mode);  // a pipe would block, and cannot be read at an offset
  if (code != 0 || odd)
    throw Error(shortage ? ErrorKind::failed : ErrorKind::usage, fmt::format("cannot read {}", path_.string()),
                odd ? "it is not a regular file" : reason(code), std::string(hint));
  size_ = static_cast<std::uint64_t>(status.st_size);
  refuse_lfs_pointer(fd_.get(), path_);
}

InputFile::InputFile(std::filesystem::path name, UniqueFd file, std::uint64_t bytes)
    : path_(std::move(name)), fd_(std::move(file)), size_(bytes) {}

InputFile InputFile::part(std::filesystem::path name, std::uint64_t begin, std::uint64_t bytes) && {
  assert(begin <= size_ && bytes <= size_ - begin);
  InputFile part(std::move(name), std::move(fd_), bytes);
  part.begin_ = begin_ + begin;
  return part;
}

void InputFile::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = ::pread(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(begin_ + offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error(ErrorKind::failed, fmt::format("could not read {}", path_.string()), reason(errno));
    if (count == 0)
      throw Error(ErrorKind::failed, fmt::format("could not read {}", path_.string()),
                  fmt::format("it had {} when it was opened and now ends at {}", counted(size_, "byte"), offset),
                  "do not change the file while it is in use");
    offset += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

std::size_t RecordFile::at_once() const {
  return std::max<std::size_t>(1, kBufferBytes / std::max<std::size_t>(1, record_bytes_));
}

std::size_t RecordFile::run_length(std::span<const std::uint64_t> indices, std::size_t most) {
  std::size_t length = 1;
  while (length < indices.size() && length < most && indices[length] == indices[length - 1] + 1) ++length;
  return length;
}

std::span<const std::byte> RecordFile::load(std::uint64_t first, std::size_t records) {
  buffer_.resize(std::max(buffer_.size(), records * record_bytes_));
  const std::span bytes = std::span(buffer_).first(records * record_bytes_);
  file_.read(first_byte_ + first * record_bytes_, bytes);
  return bytes;
}

void RecordFile::copy(std::span<const std::uint64_t> indices, std::span<std::byte> out) const {
  for (std::size_t begin = 0; begin < indices.size();) {
    const std::size_t length = run_length(indices.subspan(begin), indices.size());
    file_.read(first_byte_ + indices[begin] * record_bytes_,
               out.subspan(begin * record_bytes_, length * record_bytes_));
    begin += length;
  }
}

}  // namespace tutti::images
