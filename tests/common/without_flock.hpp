// A thread for which flock() fails, as on a file system that cannot lock. For tests only.
#pragma once

#include <sys/syscall.h>

#include <thread>

#include "tests/common/refused_call.hpp"

namespace tutti::test {

/// Does `work` on a separate thread in which flock() fails with `code`; false if the kernel does not allow that,
/// and nothing was done.
template <class Work>
bool without_flock(int code, const Work& work) {
  bool done = false;
  std::thread([&] {
    if (!refuse_call(SYS_flock, code)) return;
    work();
    done = true;
  }).join();
  return done;
}

}  // namespace tutti::test
