// Unnamed shared memory: a memfd, and a mapping of it by Boost.Interprocess. Nothing here has a name in a file
// system, so nothing can be left behind: the kernel frees the pages with the last descriptor and mapping. The layout of
// the memory is in arena.hpp and channel.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <boost/interprocess/mapped_region.hpp>

#include "common/unique_fd.hpp"

namespace tutti {

/// A memfd. Created by the coordinator, inherited by workers. Moves, does not copy.
class MemoryFile {
 public:
  /// An empty file; `tag` is what /proc/<pid>/fd shows: "/memfd:tutti-<tag>". Close-on-exec. Throws Error(failed).
  static MemoryFile create(const std::string& tag);
  /// Takes over a descriptor, as an inheriting worker does.
  explicit MemoryFile(UniqueFd fd) noexcept : fd_(std::move(fd)) {}

  /// Gives the file its size, once, and allocates every page: later writes cannot raise SIGBUS. Throws Error(failed)
  /// that names `what` and the bytes if there is not enough memory or the file size limit is too low.
  void allocate(std::size_t bytes, const std::string& what);
  /// No process can change the size from now on, so no peer can make this process fault by shrinking it.
  void seal_size();
  /// No process can map it writable, write to it or punch holes from now on; existing writable mappings stay. Seals the
  /// seals last.
  void seal_future_write();

  /// Another descriptor of it, which can neither be written to nor mapped writable: to pass on to a reader. Throws
  /// Error(failed).
  UniqueFd for_reader() const;

  std::size_t size() const;
  int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
};

enum class Access { read_only, read_write };

/// A mapping of a whole MemoryFile; stays valid when the file object is gone. Moves, does not copy.
class Mapping {
 public:
  Mapping() = default;
  /// Maps `file` and faults in its pages now, so that no segment has to wait for that. Throws Error(failed).
  Mapping(const MemoryFile& file, Access access, const std::string& what);

  std::byte* data() const noexcept { return static_cast<std::byte*>(region_.get_address()); }
  std::size_t size() const noexcept { return region_.get_size(); }

  /// Leaves the memory out of core dumps.
  void exclude_from_core_dumps() noexcept;

 private:
  boost::interprocess::mapped_region region_;
};

/// `bytes` rounded up to a multiple of `alignment`, a power of two.
constexpr std::uint64_t aligned(std::uint64_t bytes, std::uint64_t alignment) {
  return (bytes + alignment - 1) & ~(alignment - 1);
}
constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kCacheLineBytes = 64;

}  // namespace tutti
