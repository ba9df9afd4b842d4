#include "common/lfs_pointer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>

#include "common/unique_fd.hpp"

namespace tutti {
namespace {

constexpr std::string_view kFirstWords = "version https://git-lfs.github.com/spec/";

}  // namespace

bool is_lfs_pointer(std::string_view beginning) noexcept { return beginning.starts_with(kFirstWords); }

LfsPointer::LfsPointer(const std::filesystem::path& file)
    : Error(ErrorKind::usage, fmt::format("{} is a Git LFS pointer, not the file itself", file.string()),
            "the repository was cloned without its large files", "run 'git lfs pull' in the repository") {}

void refuse_lfs_pointer(int fd, const std::filesystem::path& file) {
  std::array<char, kFirstWords.size()> start{};
  const ssize_t count = ::pread(fd, start.data(), start.size(), 0);
  if (count > 0 && is_lfs_pointer({start.data(), static_cast<std::size_t>(count)})) throw LfsPointer(file);
}

void refuse_lfs_pointer(const std::filesystem::path& file) {
  // O_NONBLOCK: a pipe in the place of the file must not hold up the program.
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd) refuse_lfs_pointer(fd.get(), file);
}

}  // namespace tutti
