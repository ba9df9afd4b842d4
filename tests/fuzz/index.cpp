// The index of a folder of shards, from anywhere: rejected with a message, or every tensor is read from the shard that
// has it.
#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "merge/checkpoint.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace tutti;
using fuzz::must;

namespace {

/// Two shards with a tensor each, and room for an index.
class Folder {
 public:
  Folder() {
    write_shard("one.safetensors", "a");
    write_shard("two.safetensors", "b");
  }
  void set_index(std::string_view text) const {
    std::ofstream(folder_ / "model.safetensors.index.json", std::ios::binary | std::ios::trunc) << text;
  }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  void write_shard(const char* file, const char* tensor) const {
    const merge::TensorView view{tensor, merge::Dtype::u8, {3}, std::as_bytes(std::span("xyz", 3))};
    merge::write_safetensors(folder_ / file, std::span(&view, 1));
  }

  test::TemporaryFolder folder_;
};

void open(const Folder& folder) {
  const merge::Checkpoint checkpoint = merge::Checkpoint::open(folder.path());
  must(std::ranges::is_sorted(checkpoint.names()), "names are sorted");
  must(checkpoint.bytes() == 3 * checkpoint.names().size(), "each tensor counts once");
  for (const std::string& name : checkpoint.names()) {
    std::vector<std::byte> bytes(checkpoint.form(name).bytes);
    checkpoint.read(name, 0, bytes);
    must(bytes.size() == 3 && bytes.front() == std::byte{'x'}, "a tensor has its bytes");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folder folder;
  folder.set_index(fuzz::text_of(data, size));
  fuzz::refuses_with(ErrorKind::usage, [&] { open(folder); });
  return 0;
}
