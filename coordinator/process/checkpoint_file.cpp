#include "coordinator/process/checkpoint_file.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/nameless_file.hpp"
#include "common/system_limits.hpp"

namespace tutti {

UniqueFd make_checkpoint_file() {
  std::error_code none;
  const auto folder = std::filesystem::temp_directory_path(none);
  if (!none)
    if (UniqueFd file = nameless_file(folder, O_RDWR)) return file;
  UniqueFd file = memory_file("checkpoint");
  if (!file)
    throw Error(ErrorKind::failed, "could not create a checkpoint file", std::strerror(errno), refusal_hint(errno));
  return file;
}

std::array<int, 2> CheckpointFiles::of(Rank rank) {
  auto& files = files_[rank];
  for (UniqueFd& file : files)
    if (!file) file = make_checkpoint_file();
  return {files[0].get(), files[1].get()};
}

void CheckpointFiles::leave_behind(Rank rank, std::optional<std::uint32_t> valid) {
  const auto found = files_.find(rank);
  if (found == files_.end()) return;
  auto& files = found->second;
  TUTTI_CHECK(!valid || *valid < files.size());
  for (std::uint32_t file = 0; file < files.size(); ++file)
    if (valid != file) files.at(file).reset();
}

}  // namespace tutti
