// ONNX models from anywhere: the files of their weights are looked for in one pass, and only in the model's folder.
#include "common/onnx_files.hpp"

#include "tests/fuzz/fuzz.hpp"

using namespace tutti;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InMemoryFile file({data, size});
  for (const std::filesystem::path& found : onnx_weight_files(file.path()))
    fuzz::must(found.string().starts_with("/proc/self/fd/"), "the files are in the folder of the model");
  return 0;
}
