#include "coordinator/process/checkpoint_file.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <tutti/error.hpp>

#include "common/nameless_file.hpp"
#include "common/system_limits.hpp"

namespace tutti {

UniqueFd make_checkpoint_file(bool on_disk) {
  std::error_code none;
  const auto folder = std::filesystem::temp_directory_path(none);
  if (on_disk && !none)
    if (UniqueFd file = nameless_file(folder, O_RDWR)) return file;
  UniqueFd file = memory_file("checkpoint");
  if (!file)
    throw Error(ErrorKind::failed, "could not create a checkpoint file", std::strerror(errno), refusal_hint(errno));
  return file;
}

}  // namespace tutti
