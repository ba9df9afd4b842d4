#include "common/wire/shared_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include <boost/interprocess/exceptions.hpp>

#include <tutti/error.hpp>

#include "common/nameless_file.hpp"
#include "common/system_limits.hpp"

namespace tutti {
namespace {

// What Boost.Interprocess requires of memory that it maps.
struct DescriptorHandle {
  int fd;
  boost::interprocess::mode_t mode;
  boost::interprocess::mapping_handle_t get_mapping_handle() const { return {fd, false}; }
  boost::interprocess::mode_t get_mode() const { return mode; }
};

[[noreturn]] void fail(std::string message, int error, std::string hint = {}) {
  throw Error(ErrorKind::failed, std::move(message), std::strerror(error), std::move(hint));
}

// The hint for the reason why memory could not be allocated.
std::string allocation_hint(int error) {
  if (error == ENOSPC || error == ENOMEM)
    return "lower 'slots' or 'segment_images', or raise the memory limit; 'tutti plan' shows every sum";
  return limit_hint(error);
}

}  // namespace

MemoryFile MemoryFile::create(const std::string& tag) {
  UniqueFd file = memory_file(tag);
  if (!file) {
    const int error = errno;
    fail(fmt::format("could not create shared memory 'tutti-{}'", tag), error, refusal_hint(error));
  }
  return MemoryFile(std::move(file));
}

void MemoryFile::allocate(std::size_t bytes, const std::string& what) {
  const auto length = static_cast<off_t>(bytes);
  // Beyond the limit the kernel would send SIGXFSZ, which ends a program that does not expect it.
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes > limit.rlim_cur)
    fail(fmt::format("could not allocate {} bytes for {}", bytes, what), EFBIG, allocation_hint(EFBIG));
  int result = ::ftruncate(fd_.get(), length) == 0 ? 0 : errno;
  // Without fallocate, a page that cannot be allocated later would raise SIGBUS in the middle of a segment.
  while (result == 0) {
    result = ::fallocate(fd_.get(), 0, 0, length) == 0 ? 0 : errno;
    if (result != EINTR) break;
    result = 0;
  }
  if (result != 0)
    fail(fmt::format("could not allocate {} bytes for {}", bytes, what), result, allocation_hint(result));
}

void MemoryFile::seal_size() {
  if (::fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) fail("could not seal shared memory", errno);
}

void MemoryFile::seal_future_write() {
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
  if (::fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0)
    fail("could not seal shared memory against writing", errno, "Linux 5.1 or newer is needed");
}

// Opened again, because a duplicate would have the rights of the original.
UniqueFd MemoryFile::for_reader() const {
  UniqueFd reader(::open(fmt::format("/proc/self/fd/{}", fd_.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!reader) {
    const int error = errno;
    fail("could not open shared memory for reading", error, refusal_hint(error));
  }
  return reader;
}

std::size_t MemoryFile::size() const {
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) fail("could not read the size of shared memory", errno);
  return static_cast<std::size_t>(status.st_size);
}

Mapping::Mapping(const MemoryFile& file, Access access, const std::string& what) {
  namespace ip = boost::interprocess;
  const ip::mode_t mode = access == Access::read_only ? ip::read_only : ip::read_write;
  try {
    // The options replace Boost's own flags, so they must repeat MAP_SHARED.
    region_ =
        ip::mapped_region(DescriptorHandle{file.fd(), mode}, mode, 0, file.size(), nullptr, MAP_SHARED | MAP_POPULATE);
  } catch (const ip::interprocess_exception& error) {
    throw Error(ErrorKind::failed, fmt::format("could not map {}", what), error.what());
  }
}

void Mapping::exclude_from_core_dumps() noexcept { ::madvise(data(), size(), MADV_DONTDUMP); }

}  // namespace tutti
