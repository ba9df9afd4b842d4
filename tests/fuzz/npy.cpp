// Arrays from anywhere, as images in both layouts and as labels: rejected with a message, or read within their bounds.
#include "images/npy.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "images/sources.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/read_some.hpp"

using namespace tutti;

namespace {

/// Images of one value each, as many as there are labels in `labels`, if those are few.
std::vector<std::uint8_t> images_for(const std::string& labels) {
  const images::NpyHeader header = images::read_npy_header(images::InputFile(labels));
  fuzz::must(header.shape.size() <= 32, "an array has at most 32 axes, as NumPy's");
  const std::uint64_t count = header.shape.empty() ? 0 : std::min<std::uint64_t>(header.shape[0], 4096);
  std::string text = "{'descr': '|u1', 'fortran_order': False, 'shape': (" + std::to_string(count) + ", 1, 1, 1)}\n";
  std::vector<std::uint8_t> bytes{0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, static_cast<std::uint8_t>(text.size()), 0};
  bytes.insert(bytes.end(), text.begin(), text.end());
  bytes.resize(bytes.size() + count);
  return bytes;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InMemoryFile file({data, size});
  for (const images::Layout layout : {images::Layout::nchw, images::Layout::nhwc})
    fuzz::refuses_with(ErrorKind::usage, [&] { fuzz::read_some(*images::make_npy(file.path(), {}, layout, 0), size); });
  for (const std::uint32_t classes : {0U, 3U})
    fuzz::refuses_with(ErrorKind::usage, [&] {
      const fuzz::InMemoryFile fitting(images_for(file.path()));
      fuzz::read_some(*images::make_npy(fitting.path(), file.path(), images::Layout::nchw, classes), size);
    });
  return 0;
}
