// A process that may open no further file, for as long as the object lives. For tests only.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>

#include <tutti/error.hpp>

namespace tutti::test {

class NoMoreFiles {
 public:
  NoMoreFiles() {
    // UBSan finds out with a pipe whether an object can be looked at, once for each type: here, while there are files.
    try {
      throw Error(ErrorKind::failed, "");
    } catch (const Error& error) {
      if (!error.message().empty()) std::abort();
    }
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int next = ::dup(0);
    ::close(next);
    const rlimit none{static_cast<rlim_t>(next), before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  NoMoreFiles(const NoMoreFiles&) = delete;
  NoMoreFiles& operator=(const NoMoreFiles&) = delete;
  ~NoMoreFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace tutti::test
