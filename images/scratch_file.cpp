#include "images/scratch_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <tutti/error.hpp>

#include "common/nameless_file.hpp"

namespace tutti::images {
namespace {

constexpr std::size_t kScratchBufferBytes = 256 * 1024;

/// Also on file systems without O_TMPFILE, where it has a name for a moment.
UniqueFd open_scratch(const std::filesystem::path& folder) {
  UniqueFd file = nameless_file(folder, O_RDWR);
  if (file || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return file;
  std::string name = (folder / ".tutti-XXXXXX").string();
  file = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
  if (file) ::unlink(name.c_str());
  return file;
}

std::vector<std::filesystem::path> folders_for(const std::filesystem::path& input) {
  std::error_code unknown;
  const std::filesystem::path temporary = std::filesystem::temp_directory_path(unknown);
  const std::filesystem::path beside = input.has_parent_path() ? input.parent_path() : ".";
  if (const char* const chosen = ::getenv("TMPDIR"); chosen != nullptr && *chosen != '\0') return {temporary, beside};
  return {beside, temporary};
}

[[noreturn]] void fail(const std::filesystem::path& input, const std::filesystem::path& folder, int code) {
  throw Error(
      ErrorKind::failed,
      fmt::format("could not write the values of {} to a temporary file in {}", input.string(), folder.string()),
      std::generic_category().message(code), "free some space, or set TMPDIR to a folder with room");
}

}  // namespace

ScratchFile::ScratchFile(std::filesystem::path input) : input_(std::move(input)) {
  int code = 0;
  for (const std::filesystem::path& folder : folders_for(input_)) {
    if (folder.empty()) continue;
    folder_ = folder;
    file_ = open_scratch(folder);
    if (file_) return;
    code = errno;
  }
  fail(input_, folder_, code);
}

void ScratchFile::write(std::span<const std::byte> bytes) {
  if (buffer_.size() + bytes.size() > kScratchBufferBytes) {
    flush(buffer_);
    buffer_.clear();
  }
  if (bytes.size() > kScratchBufferBytes) return flush(bytes);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

void ScratchFile::flush(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(input_, folder_, errno);
    written_ += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

InputFile ScratchFile::finish(std::filesystem::path name) && {
  flush(buffer_);
  buffer_.clear();
  return {std::move(name), std::move(file_), written_};
}

}  // namespace tutti::images
