// What a process weighs, with and without one of its mappings.
#include "common/process_memory.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

namespace tutti::test {
namespace {

constexpr const char* kSmaps =
    "55d0-55d1 r-xp 00000000 08:01 12                         /usr/bin/program\n"
    "Size:                  8 kB\n"
    "Pss:                  10 kB\n"
    "Pss_Dirty:             4 kB\n"
    "VmFlags: rd ex mr mw me\n"
    "7f00-7f10 rw-s 00000000 00:01 99                         /memfd:tutti-bench-images (deleted)\n"
    "Pss:                 500 kB\n"
    "7fa0-7fb0 rw-p 00000000 00:00 0 \n"
    "Pss:                   7 kB\n";

TEST_CASE("the proportional sizes are summed but for the mapping that is left out") {
  std::istringstream all(kSmaps);
  CHECK(sum_pss(all) == 517 * 1024);
  std::istringstream same(kSmaps);
  CHECK(sum_pss(same, "/nothing") == 517 * 1024);
  std::istringstream some(kSmaps);
  CHECK(sum_pss(some, "/memfd:tutti-bench-images") == 17 * 1024);
}

TEST_CASE("this process weighs something and one that does not exist is not known") {
  for (const char* but : {"", "/nothing"}) {
    CHECK(pss_bytes(::getpid(), but).value_or(0) > 0);
    CHECK_FALSE(pss_bytes(-1, but));
  }
  CHECK_FALSE(anonymous_bytes(-1));
}

TEST_CASE("memory that a process shares or maps from a file is not among what it allocated") {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  const auto grows_by = [](int flags) {
    const std::uint64_t before = anonymous_bytes(::getpid()).value();
    void* const memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    const std::uint64_t after = anonymous_bytes(::getpid()).value();
    ::munmap(memory, kBytes);
    return after - std::min(after, before);
  };
  CHECK(grows_by(MAP_SHARED) < kBytes / 2);
  CHECK(grows_by(MAP_PRIVATE) > kBytes / 2);
}

}  // namespace
}  // namespace tutti::test
