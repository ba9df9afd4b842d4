#include "evaluation/merge/weights_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "common/atomic_file.hpp"
#include "common/nameless_file.hpp"

namespace tutti {

WeightsFile::WeightsFile(const std::filesystem::path& folder, const char* what)
    : place_(folder / what), file_(nameless_file(folder, O_RDWR)) {
  if (file_) return;
  // If the file system cannot create one: a file whose name is removed at once.
  std::string name = (folder / ".nameless-XXXXXX").string();
  file_ = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
  if (!file_) throw write_error(place_, errno);
  ::unlink(name.c_str());
}

void WeightsFile::write(std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw write_error(place_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

std::filesystem::path WeightsFile::path() const { return fmt::format("/proc/{}/fd/{}", ::getpid(), file_.get()); }

}  // namespace tutti
