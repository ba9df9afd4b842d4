// What the fuzz harnesses share: taking numbers out of an input, a file that exists in memory only, and a check that
// stays in builds without assertions. A harness defines LLVMFuzzerTestOneInput and is linked either with libFuzzer,
// which makes inputs up (scripts/fuzz), or with replay.cpp, which feeds the corpus through it. For tests only.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include <tutti/error.hpp>

#include "common/unique_fd.hpp"

// Its C name and its types are libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tutti::fuzz {

/// Ends the program, which libFuzzer reports with the input, if `holds` is false.
inline void must(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Gives out an input piece by piece; zeros when it is used up.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  bool empty() const noexcept { return rest_.empty(); }
  template <class Number>
  Number take() {
    Number number{};
    const std::size_t bytes = std::min(sizeof number, rest_.size());
    std::memcpy(&number, rest_.data(), bytes);
    rest_ = rest_.subspan(bytes);
    return number;
  }
  std::uint32_t below(std::uint32_t limit) { return take<std::uint8_t>() % limit; }

 private:
  std::span<const std::uint8_t> rest_;
};

/// A file with the given bytes that no file system knows; path() leads to it while it lives.
class InMemoryFile {
 public:
  explicit InMemoryFile(std::span<const std::uint8_t> bytes) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    if (!fd_ || ::write(fd_.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
      throw std::runtime_error("could not write a file in memory");
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

 private:
  UniqueFd fd_;
};

/// Calls `read`, which may reject its input only by an Error of this kind that has something to say.
template <class Read>
void refuses_with(ErrorKind kind, Read read) {
  try {
    read();
  } catch (const Error& error) {
    must(error.kind() == kind, "the error is of the kind that its reader announces");
    must(!error.message().empty(), "an error has a message");
  }
}

}  // namespace tutti::fuzz
