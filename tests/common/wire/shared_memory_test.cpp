// Memory without a name: allocated whole, sealed against resizing and against writing.
#include "common/wire/shared_memory.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "common/system_limits.hpp"
#include "common/wire/channel.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/limited_files.hpp"

namespace tutti::test {
namespace {

constexpr std::size_t kBytes = 64 * 1024;

MemoryFile allocated() {
  MemoryFile file = MemoryFile::create("test");
  file.allocate(kBytes, "a test");
  return file;
}

TEST_CASE("a channel refuses memory of another size than its layout says") {
  const ChannelLayout layout{2, 8, {4}};
  for (const std::uint64_t bytes : {layout.bytes() - kPageBytes, layout.bytes() + kPageBytes}) {
    MemoryFile file = MemoryFile::create("test");
    file.allocate(bytes, "a test");
    const auto error = error_of([&] { const Channel channel(file, layout); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->message() == "a worker's channel does not have the size that it was given");
  }
  MemoryFile file = MemoryFile::create("test");
  file.allocate(layout.bytes(), "a test");
  const Channel channel(file, layout);
  CHECK(channel.output(1, 8).size() == 32);
}

TEST_CASE("the outputs in a channel are read by a descriptor that cannot change them") {
  const ChannelLayout layout{2, 8, {4, 3}};
  MemoryFile file = MemoryFile::create("test");
  file.allocate(layout.bytes(), "a test");
  file.seal_size();
  const Channel channel(file, layout);
  const std::span<float> written = channel.output(1, 8, Seat(1));
  for (std::size_t i = 0; i < written.size(); ++i) written[i] = static_cast<float>(i);
  const MemoryFile reader(file.for_reader());
  const ChannelOutputs outputs(reader, layout, Seat(1));
  CHECK(outputs.width() == 3);
  CHECK(std::ranges::equal(outputs.output(1, 8), written));
  CHECK(outputs.output(1, 5).size() == 15);
  CHECK(::mmap(nullptr, layout.bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, reader.fd(), 0) == MAP_FAILED);
  CHECK(::pwrite(reader.fd(), "x", 1, 0) < 0);
  void* const mapping = ::mmap(nullptr, layout.bytes(), PROT_READ, MAP_SHARED, reader.fd(), 0);
  REQUIRE(mapping != MAP_FAILED);
  CHECK(::mprotect(mapping, layout.bytes(), PROT_READ | PROT_WRITE) != 0);
  ::munmap(mapping, layout.bytes());
  const auto error = error_of([&] { const ChannelOutputs other(reader, {2, 8000, {4}}, Seat(0)); });
  REQUIRE(error);
  CHECK(error->message() == "a worker's channel does not have the size that it was given");
}

TEST_CASE("memory shows its tag and closes when a program is started") {
  const MemoryFile file = MemoryFile::create("some-tag");
  const auto link = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file.fd())).string();
  CHECK(link == "/memfd:tutti-some-tag (deleted)");
  CHECK((::fcntl(file.fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("allocated memory has every page from the start") {
  const MemoryFile file = allocated();
  CHECK(file.size() == kBytes);
  struct stat status {};
  REQUIRE(::fstat(file.fd(), &status) == 0);
  CHECK(static_cast<std::size_t>(status.st_blocks) * 512 >= kBytes);
}

TEST_CASE("memory begins as zeros and two mappings show the same") {
  const MemoryFile file = allocated();
  const Mapping writer(file, Access::read_write, "a test");
  const Mapping reader(file, Access::read_only, "a test");
  CHECK(reader.size() == kBytes);
  CHECK(reader.data() != writer.data());
  CHECK(reader.data()[kBytes - 1] == std::byte{0});
  writer.data()[kBytes - 1] = std::byte{7};
  CHECK(reader.data()[kBytes - 1] == std::byte{7});
}

TEST_CASE("a mapping outlives the file object and moves") {
  Mapping mapping;
  {
    const MemoryFile file = allocated();
    mapping = Mapping(file, Access::read_write, "a test");
  }
  mapping.data()[0] = std::byte{1};
  CHECK(mapping.data()[0] == std::byte{1});
}

TEST_CASE("sealed memory can be neither shrunk nor grown") {
  MemoryFile file = allocated();
  REQUIRE(::ftruncate(file.fd(), kBytes) == 0);
  file.seal_size();
  CHECK(::ftruncate(file.fd(), kBytes / 2) == -1);
  CHECK(errno == EPERM);
  CHECK(::ftruncate(file.fd(), 2 * kBytes) == -1);
  CHECK(errno == EPERM);
  CHECK(file.size() == kBytes);
}

TEST_CASE("after the seal against writing only the mapping that was there can write") {
  MemoryFile file = allocated();
  const Mapping writer(file, Access::read_write, "a test");
  file.seal_future_write();
  CHECK(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd(), 0) == MAP_FAILED);
  CHECK(errno == EPERM);
  const char byte = 1;
  CHECK(::pwrite(file.fd(), &byte, 1, 0) == -1);
  CHECK(errno == EPERM);
  CHECK(::fallocate(file.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == -1);
  writer.data()[0] = std::byte{9};
  const Mapping reader(file, Access::read_only, "a test");
  CHECK(reader.data()[0] == std::byte{9});
}

TEST_CASE("a read-only mapping of sealed memory cannot be made writable") {
  MemoryFile file = allocated();
  file.seal_future_write();
  const Mapping reader(file, Access::read_only, "a test");
  CHECK(::mprotect(reader.data(), reader.size(), PROT_READ | PROT_WRITE) == -1);
  CHECK(errno == EACCES);
}

TEST_CASE("the seals themselves cannot be changed any more") {
  MemoryFile file = allocated();
  file.seal_future_write();
  const auto error = error_of([&] { file.seal_size(); });
  REQUIRE(error);
  CHECK(error->message() == "could not seal shared memory");
}

TEST_CASE("memory that cannot be sealed is refused") {
  MemoryFile file(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  const auto size = error_of([&] { file.seal_size(); });
  REQUIRE(size);
  CHECK(size->message() == "could not seal shared memory");
  const auto write = error_of([&] { file.seal_future_write(); });
  REQUIRE(write);
  CHECK(write->message() == "could not seal shared memory against writing");
  CHECK(contains(write->hint(), "Linux 5.1"));
}

TEST_CASE("memory beyond the file size limit is refused with the limit as the reason") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  MemoryFile file = MemoryFile::create("test");
  const auto error = error_of([&] { file.allocate(1 << 20, "the arena"); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "could not allocate 1048576 bytes for the arena");
  CHECK(error->detail() == "File too large");
  CHECK(error->hint() == limit_hint(EFBIG));
}

TEST_CASE("memory without a free descriptor is refused with a way out") {
  std::optional<Error> error;
  {
    const NoMoreFiles limit;
    error = error_of([] { MemoryFile::create("arena"); });
  }
  REQUIRE(error);
  CHECK(error->message() == "could not create shared memory 'tutti-arena'");
  CHECK(contains(error->hint(), "ulimit -n"));
}

TEST_CASE("what cannot be mapped is named") {
  const MemoryFile empty = MemoryFile::create("test");
  const auto error = error_of([&] { Mapping(empty, Access::read_write, "a worker's channel"); });
  REQUIRE(error);
  CHECK(error->message() == "could not map a worker's channel");
  CHECK_FALSE(error->detail().empty());
}

TEST_CASE("the size of something that is not a file cannot be read") {
  const MemoryFile nothing{UniqueFd()};
  const auto error = error_of([&] { (void)nothing.size(); });
  REQUIRE(error);
  CHECK(error->message() == "could not read the size of shared memory");
}

TEST_CASE("an owned descriptor is closed once and moves") {
  UniqueFd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = first.get();
  UniqueFd second = std::move(first);
  CHECK_FALSE(first);
  CHECK(second.get() == number);
  UniqueFd& same = second;
  second = std::move(same);
  CHECK(second.get() == number);
  second.reset();
  CHECK(::fcntl(number, F_GETFD) == -1);
  CHECK(second.release() == -1);
}

}  // namespace
}  // namespace tutti::test
