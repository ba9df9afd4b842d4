// Archives of arrays from anywhere: rejected with a message, or each array is within its file.
#include "images/archive.hpp"

#include <vector>

#include "tests/fuzz/fuzz.hpp"

using namespace tutti;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (!images::reads_archives()) return 0;
  const fuzz::InMemoryFile file({data, size});
  fuzz::refuses_with(ErrorKind::usage, [&] {
    images::Archive archive(file.path());
    std::size_t opened = 0;
    for (const std::string& name : archive.arrays()) {
      if (++opened > 4) return;
      fuzz::refuses_with(ErrorKind::usage, [&] {
        const images::OpenArray array = archive.open(name);
        fuzz::must(array.header.data_offset <= array.file.size(), "an array begins in its file");
        std::vector<std::byte> last(1);
        if (array.file.size() > 0) array.file.read(array.file.size() - 1, last);
      });
    }
  });
  return 0;
}
