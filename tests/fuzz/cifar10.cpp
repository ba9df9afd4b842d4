// Batches of CIFAR-10 from anywhere: rejected with a message, or read within their bounds.
#include <filesystem>

#include "images/sources.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/read_some.hpp"

using namespace tutti;

namespace {

/// A folder whose six batches are links to one file. The links are made again for each input, as its descriptor
/// changes.
void link_all(const test::TemporaryFolder& folder, const std::string& file) {
  for (const char* name : {"test_batch.bin", "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                           "data_batch_4.bin", "data_batch_5.bin"}) {
    std::filesystem::remove(folder / name);
    std::filesystem::create_symlink(file, folder / name);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const test::TemporaryFolder folder;
  static std::string linked;
  const fuzz::InMemoryFile file({data, size});
  if (file.path() != linked) link_all(folder, linked = file.path());
  for (const images::Split split : {images::Split::test, images::Split::train})
    fuzz::refuses_with(ErrorKind::usage,
                       [&] { fuzz::read_some(*images::make_cifar10(folder.path(), split), 5 * size); });
  return 0;
}
