// Journals that were torn or written by an adversary: a record that is not complete counts as missing, and nothing is
// read outside of what the file holds, nor of the sums in a record. The checksums are made right here, or all inputs
// would end at them.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "common/atomic_file.hpp"
#include "common/checksum.hpp"
#include "results/disagreement.hpp"
#include "results/journal.hpp"
#include "results/mask_metrics.hpp"
#include "results/metrics.hpp"
#include "results/multi_label_metrics.hpp"
#include "results/regression_metrics.hpp"
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
  std::string file = begun ? kBegun : std::string("tutti-journal/3\n");
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

/// Metrics read what they can, or say that it is not theirs.
template <class Metrics>
void read_sums(Metrics metrics, std::span<const std::byte> sums) {
  images::SumReader in(sums);
  try {
    metrics.read_segment(in);
  } catch (const images::SumMisfit&) {
    return;
  }
  images::SumWriter out;
  metrics.write_segment(out);
  fuzz::must(!out.bytes().empty(), "what was read can be written");
}

void read_all_sums(std::span<const std::byte> sums) {
  read_sums(images::Metrics(3), sums);
  read_sums(images::MaskMetrics(3, 0), sums);
  read_sums(images::MaskMetrics(images::kMaxConfusionClasses + 1, {}), sums);
  read_sums(images::RegressionMetrics(2), sums);
  read_sums(images::MultiLabelMetrics({2}), sums);
  read_sums(images::Disagreement(), sums);
}

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
      fuzz::refuses_with(ErrorKind::failed, [&] { read_all_sums(journal.record(segment).sums); });
    }
  });
  std::filesystem::remove(folder / "journal");
  return 0;
}
