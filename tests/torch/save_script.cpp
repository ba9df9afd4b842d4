// The program `tutti-save-script FILE`: writes the TorchScript file of a small network with a convolution and
// BatchNorm, for images of 3x32x32 in ten classes. For tests only.
#include <cstdio>
#include <exception>

#include "tests/torch/script_files.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: tutti-save-script FILE\n", stderr);
    return 2;
  }
  try {
    tutti::test::save_batch_norm_script(argv[1], tutti::test::BatchNormForm::traced);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tutti-save-script: %s\n", error.what());
    return 1;
  }
  return 0;
}
