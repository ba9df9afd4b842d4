#include "common/saved_rows.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/saved_values.hpp"

namespace tutti {
namespace {

/// Values that are converted at a time.
constexpr std::size_t kAtOnce = 32768;

std::int64_t nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

}  // namespace

std::int64_t changed_ns_of(const std::filesystem::path& file) {
  struct stat status {};
  return ::stat(file.c_str(), &status) == 0 ? nanoseconds(status.st_mtim) : 0;
}

SavedReader::SavedReader(std::filesystem::path path, SavedRows rows)
    : path_(std::move(path)), rows_(std::move(rows)), file_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat status {};
  if (!file_ || ::fstat(file_.get(), &status) != 0)
    throw Error(ErrorKind::usage, fmt::format("cannot read {}", path_.string()),
                std::generic_category().message(errno));
  if (static_cast<std::uint64_t>(status.st_size) != rows_.file_bytes || nanoseconds(status.st_mtim) != rows_.changed_ns)
    throw Error(ErrorKind::usage, fmt::format("{} was changed after this run began", path_.string()),
                "the predictions before and after would not belong together", "run again");
}

void SavedReader::read(std::uint64_t first, std::span<float> values) {
  const std::uint64_t width = rows_.width();
  TUTTI_CHECK(values.size() % width == 0);
  TUTTI_CHECK(first <= rows_.rows && values.size() / width <= rows_.rows - first);
  std::uint64_t offset = rows_.offset + first * rows_.row_bytes();
  if (rows_.type == SavedType::float32) return read_bytes(offset, std::as_writable_bytes(values));
  const std::size_t bytes = size_of(rows_.type);
  buffer_.resize(std::min(values.size(), kAtOnce) * bytes);
  while (!values.empty()) {
    const std::size_t count = std::min(values.size(), kAtOnce);
    const std::span part = std::span(buffer_).first(count * bytes);
    read_bytes(offset, part);
    floats_of(rows_.type, part, values.first(count));
    offset += part.size();
    values = values.subspan(count);
  }
}

void SavedReader::read_bytes(std::uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = ::pread(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0)
      throw Error(ErrorKind::failed, fmt::format("could not read {}", path_.string()),
                  count < 0 ? std::generic_category().message(errno) : "it became shorter while it was read");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

}  // namespace tutti
