// The sums that the scores of one segment consist of, as bytes: a run keeps them in its journal, so that scores can be
// continued without the predictions. What the bytes mean is for the metrics that write and read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace tutti::images {

/// A value; one thread.
class SumWriter {
 public:
  /// A whole number: 7 bits per byte, the lowest first (LEB128), since most counts of a segment are small.
  void count(std::uint64_t value);
  /// A number with every bit.
  void number(double value) { raw(std::as_bytes(std::span(&value, 1))); }
  void raw(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }

  std::span<const std::byte> bytes() const noexcept { return bytes_; }
  void clear() noexcept { bytes_.clear(); }

 private:
  std::vector<std::byte> bytes_;
};

/// What a SumReader throws if the bytes are not those of the sums that are read.
struct SumMisfit {};

/// Reads in the order of writing. The bytes outlive it. Throws SumMisfit; one thread.
class SumReader {
 public:
  explicit SumReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  /// At most `most`.
  std::uint64_t count(std::uint64_t most = std::numeric_limits<std::uint64_t>::max());
  double number();
  void raw(std::span<std::byte> bytes);
  /// Bytes that are left.
  std::size_t left() const noexcept { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace tutti::images
