// The program `tutti-worker`. Only the coordinator starts it.
#include <unistd.h>

#include <cstdio>

#include "common/standard_streams.hpp"
#include "worker/host.hpp"

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  const int code = tutti::worker::host(argc, argv);
  // Libraries with threads (LibTorch, CUDA) are not shut down: the model is destroyed, and the kernel cleans up.
  std::fflush(nullptr);
  ::_exit(code);
}
