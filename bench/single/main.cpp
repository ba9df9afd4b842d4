// The program `tutti-bench-single`: holds one strategy that lives in one process, and computes when it is told to.
// Started by tutti-bench alone. Threads are what the job says; the rest of the environment is the caller's.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>

#include "bench/single/session.hpp"

int main() {
  using namespace tutti;
  bench::Session session{MemoryFile(UniqueFd(bench::kImagesFd)), MemoryFile(UniqueFd(bench::kAnswersFd))};
  for (std::string line; std::getline(std::cin, line);) {
    fmt::print("{}\n", session.answer(line));
    std::fflush(stdout);
  }
  // As a worker leaves: LibTorch and its threads are not torn down, the kernel does that.
  ::_exit(0);
}
