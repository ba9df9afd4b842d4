// The program `tutti-bench-single`: holds one single-process strategy, and computes on request. Only tutti-bench starts
// it. The job sets the threads; the rest of the environment is the caller's.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>

#include "bench/single/session.hpp"
#include "common/standard_streams.hpp"

int main() {
  tutti::open_missing_standard_streams();
  using namespace tutti;
  bench::Session session{MemoryFile(UniqueFd(bench::kImagesFd)), MemoryFile(UniqueFd(bench::kAnswersFd))};
  for (std::string line; std::getline(std::cin, line);) {
    fmt::print("{}\n", session.answer(line));
    std::fflush(stdout);
  }
  // Like in a worker, LibTorch and its threads are not shut down; the kernel cleans up.
  ::_exit(0);
}
