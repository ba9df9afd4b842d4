// Feeds files through a fuzz harness, without libFuzzer: the corpus in every build, or one input that was found.
// usage: replay-NAME FILE_OR_FOLDER...
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "common/atomic_file.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

void replay(const std::filesystem::path& file) {
  const std::string text = tutti::read_text(file, "the input");
  std::printf("%s\n", file.c_str());
  std::fflush(stdout);  // the last one printed is the one that fails
  // A copy of exactly its size: AddressSanitizer sees a read behind it.
  const std::vector<std::uint8_t> bytes(text.begin(), text.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

}  // namespace

int main(int count, char** arguments) {
  int replayed = 0;
  for (int i = 1; i < count; ++i) {
    const std::filesystem::path given = arguments[i];
    if (!std::filesystem::is_directory(given)) {
      replay(given);
      ++replayed;
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(given)) {
      replay(entry.path());
      ++replayed;
    }
  }
  std::printf("%d inputs\n", replayed);
  return replayed > 0 ? 0 : 1;
}
