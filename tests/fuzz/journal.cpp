// Journals that were torn or written by an adversary: a record that is not complete counts as missing, and nothing is
// read outside of what the file holds. The checksums are made right here, or all inputs would end at them.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "common/atomic_file.hpp"
#include "common/checksum.hpp"
#include "results/journal.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace tutti;

namespace {

/// 5 images in segments of 2, one member.
std::string begun_journal() {
  const test::TemporaryFolder folder;
  images::Journal journal(folder.path());
  journal.begin({5, 2, 1, {{"seed", "3"}}});
  return read_text(folder / "journal", "a journal");
}

template <class Number>
void append(std::string& text, Number number) {
  text.append(reinterpret_cast<const char*>(&number), sizeof number);
}

/// Records made from the input, with correct or wrong lengths and checksums.
std::string made_up(fuzz::Input& input, bool begun) {
  static const std::string kBegun = begun_journal();
  std::string file = begun ? kBegun : std::string("tutti-journal/2\n");
  while (!input.empty()) {
    const auto mode = input.take<std::uint8_t>();
    std::string payload;
    for (std::uint32_t left = input.take<std::uint8_t>(); left > 0 && !input.empty(); --left)
      payload += static_cast<char>(input.take<std::uint8_t>());
    append(file, mode % 8 == 1 ? input.take<std::uint64_t>() : std::uint64_t{payload.size()});
    append(file, mode % 8 == 2 ? input.take<std::uint32_t>() : crc32(std::as_bytes(std::span(payload))));
    append(file, std::uint32_t{mode % 8 == 3 ? 1U : 0U});
    file += payload;
  }
  return file;
}

struct Checking final : Sink {
  void write(const SegmentResult& result) override {
    fuzz::must(result.count > 0 && result.count <= 2, "a segment has the images that its place in the run gives it");
    fuzz::must(result.values.size() == std::size_t{result.count} * result.width, "a result has its values");
    ++calls;
  }
  int calls = 0;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const test::TemporaryFolder folder;
  fuzz::Input input(data, size);
  const bool begun = input.take<std::uint8_t>() % 4 != 0;
  std::ofstream(folder / "journal", std::ios::binary) << made_up(input, begun);
  fuzz::refuses_with(ErrorKind::usage, [&] {
    images::Journal journal(folder.path());
    fuzz::must(journal.finished_images() <= (journal.begun() ? journal.header().images : 0), "no image counts twice");
    for (const std::uint64_t segment : journal.finished()) {
      fuzz::must(journal.holds(segment) && segment < journal.header().segments(), "a segment is one of the run's");
      Checking sink;
      fuzz::refuses_with(ErrorKind::failed, [&] { journal.replay(segment, {1, false, false, {1}}, sink); });
      if (!begun) continue;
      fuzz::must(sink.calls <= 1, "a segment is handed on once");
    }
  });
  std::filesystem::remove(folder / "journal");
  return 0;
}
