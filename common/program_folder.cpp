#include "common/program_folder.hpp"

#include <system_error>

#include <tutti/error.hpp>

namespace tutti {

std::filesystem::path program_folder() {
  std::error_code code;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", code);
  if (code)
    throw Error(ErrorKind::failed, "could not find out which program this is",
                "cannot read /proc/self/exe: " + code.message(),
                "Tutti needs /proc; in a container, mount it: mount -t proc proc /proc");
  return program.parent_path();
}

}  // namespace tutti
