#include "common/nameless_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>

namespace tutti {

UniqueFd nameless_file(const std::filesystem::path& folder, int access, mode_t mode) {
  return UniqueFd(::open(folder.c_str(), O_TMPFILE | access | O_CLOEXEC, mode));
}

UniqueFd memory_file(const std::string& tag, Executable executable) {
  const std::string name = "tutti-" + tag;
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  [[maybe_unused]] const bool runs = executable == Executable::yes;
#ifdef MFD_NOEXEC_SEAL
  // Systems may be set to refuse memory that can be executed unless it is asked for. Kernels before 6.3 know neither of
  // these flags.
  UniqueFd file(::memfd_create(name.c_str(), kFlags | (runs ? MFD_EXEC : MFD_NOEXEC_SEAL)));
  if (file || errno != EINVAL) return file;
#endif
  return UniqueFd(::memfd_create(name.c_str(), kFlags));
}

}  // namespace tutti
