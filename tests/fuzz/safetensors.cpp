// Weights from anywhere: rejected with a message, or every tensor is within the file and has the bytes of its shape.
#include "merge/safetensors.hpp"

#include <algorithm>

#include "tests/fuzz/fuzz.hpp"

using namespace tutti;
using fuzz::must;

namespace {

/// Looks at every byte, so that AddressSanitizer sees where a tensor reaches too far.
unsigned sum_of(std::span<const std::byte> bytes) {
  unsigned sum = 0;
  for (const std::byte byte : bytes) sum += static_cast<unsigned>(byte);
  return sum;
}

void read(const std::string& path, std::size_t file_bytes) {
  const auto file = merge::Safetensors::read(path);
  must(std::ranges::is_sorted(file.names()), "names are sorted");
  std::size_t bytes = 0;
  for (const std::string& name : file.names()) {
    const merge::TensorView tensor = file.tensor(name);
    std::size_t elements = 1;
    for (const std::int64_t extent : tensor.shape) elements *= static_cast<std::size_t>(extent);
    must(tensor.bytes.size() == elements * merge::size_of(tensor.dtype), "a tensor has the bytes of its shape");
    must(sum_of(tensor.bytes) <= 255 * tensor.bytes.size(), "a byte is at most 255");
    bytes += tensor.bytes.size();
  }
  must(bytes <= file_bytes, "tensors do not share bytes");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InMemoryFile file({data, size});
  fuzz::refuses_with(ErrorKind::usage, [&] { read(file.path(), size); });
  return 0;
}
