// CIFAR-10 in its binary version: records of one label and 3072 values, channel by channel. Not the Python pickles.
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <vector>

#include "common/counted.hpp"
#include "images/bytes_to_floats.hpp"
#include "images/record_file.hpp"
#include "images/sources.hpp"

namespace tutti::images {
namespace {

constexpr ImageShape kShape{3, 32, 32};
constexpr std::size_t kRecordBytes = 1 + 3 * 32 * 32;
constexpr std::uint64_t kCompleteFile = 10000 * kRecordBytes;
constexpr std::uint8_t kClasses = 10;
constexpr const char* kDownloadAgain = "download again with scripts/get-cifar10";

RecordFile open_batch(const std::filesystem::path& path) {
  InputFile file(path, kDownloadAgain);
  const std::uint64_t records = file.size() / kRecordBytes;
  if (records == 0 || file.size() % kRecordBytes != 0)
    throw Error(ErrorKind::usage, fmt::format("{} is truncated, or is not a CIFAR-10 file", path.string()),
                fmt::format("it has {}, and whole records of {} are needed ({} in the complete file)",
                            counted(file.size(), "byte"), kRecordBytes, counted(kCompleteFile, "byte")),
                kDownloadAgain);
  return RecordFile(std::move(file), 0, kRecordBytes, records);
}

class Cifar10 final : public Source {
 public:
  Cifar10(const std::filesystem::path& folder, Split split) : split_(split) {
    if (split == Split::test) {
      batches_.push_back({open_batch(folder / "test_batch.bin"), 0});
      return;
    }
    for (int batch = 1; batch <= 5; ++batch) {
      const std::uint64_t first = count();
      batches_.push_back({open_batch(folder / fmt::format("data_batch_{}.bin", batch)), first});
    }
  }

  std::string name() const override { return split_ == Split::train ? "cifar10 (train)" : "cifar10 (test)"; }
  ImageShape shape() const override { return kShape; }
  std::uint64_t count() const override {
    return batches_.empty() ? 0 : batches_.back().first + batches_.back().file.count();
  }
  std::uint32_t classes() const override { return kClasses; }
  bool labelled() const override { return true; }

  bool has_bytes() const override { return true; }

  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    read_as(indices, pixels, labels, [](std::byte value) { return kUnitFloats[static_cast<std::uint8_t>(value)]; });
  }
  void read_bytes(std::span<const std::uint64_t> indices, std::span<std::uint8_t> pixels,
                  std::span<std::int64_t> labels) override {
    read_as(indices, pixels, labels, [](std::byte value) { return static_cast<std::uint8_t>(value); });
  }

 private:
  struct Batch {
    RecordFile file;
    std::uint64_t first;  // of its images in the whole set
  };

  template <class Value, class Convert>
  void read_as(std::span<const std::uint64_t> indices, std::span<Value> pixels, std::span<std::int64_t> labels,
               Convert convert) {
    const std::size_t elements = kShape.elements();
    assert(pixels.size() == indices.size() * elements);
    while (!indices.empty()) {
      Batch& batch = batch_of(indices.front());
      const std::size_t length = stretch_within(batch, indices);
      batch.file.read(indices.first(length), batch.first, [&](std::size_t i, std::span<const std::byte> record) {
        const auto label = static_cast<std::uint8_t>(record.front());
        check_label(batch, indices[i], label);
        std::ranges::transform(record.subspan(1), pixels.begin() + static_cast<std::ptrdiff_t>(i * elements), convert);
        if (!labels.empty()) labels[i] = label;
      });
      indices = indices.subspan(length);
      pixels = pixels.subspan(length * elements);
      if (!labels.empty()) labels = labels.subspan(length);
    }
  }

  Batch& batch_of(std::uint64_t index) {
    assert(index < count());
    return *(std::ranges::upper_bound(batches_, index, {}, &Batch::first) - 1);
  }

  static std::size_t stretch_within(const Batch& batch, std::span<const std::uint64_t> indices) {
    const auto inside = [&](std::uint64_t index) {
      return index >= batch.first && index - batch.first < batch.file.count();
    };
    return static_cast<std::size_t>(std::ranges::find_if_not(indices, inside) - indices.begin());
  }

  static void check_label(const Batch& batch, std::uint64_t index, std::uint8_t label) {
    if (label >= kClasses)
      throw Error(ErrorKind::usage, fmt::format("{} is damaged, or is not a CIFAR-10 file", batch.file.path().string()),
                  fmt::format("record {} has the label {}, and labels are 0 to 9", index - batch.first, label),
                  kDownloadAgain);
  }

  Split split_;
  std::vector<Batch> batches_;
};

}  // namespace

std::unique_ptr<Source> make_cifar10(const std::filesystem::path& folder, Split split) {
  return std::make_unique<Cifar10>(folder, split);
}

}  // namespace tutti::images
