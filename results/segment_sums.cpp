#include "results/segment_sums.hpp"

#include <cstring>

namespace tutti::images {

void SumWriter::count(std::uint64_t value) {
  for (; value > 0x7f; value >>= 7) bytes_.push_back(static_cast<std::byte>((value & 0x7f) | 0x80));
  bytes_.push_back(static_cast<std::byte>(value));
}

std::uint64_t SumReader::count(std::uint64_t most) {
  std::uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    if (bytes_.empty() || shift > 63) throw SumMisfit{};
    const auto byte = std::to_integer<std::uint64_t>(bytes_.front());
    bytes_ = bytes_.subspan(1);
    // The tenth byte has room for one bit.
    if (shift == 63 && byte > 1) throw SumMisfit{};
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  if (value > most) throw SumMisfit{};
  return value;
}

double SumReader::number() {
  double value = 0.0;
  raw(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

void SumReader::raw(std::span<std::byte> bytes) {
  if (bytes.size() > bytes_.size()) throw SumMisfit{};
  if (!bytes.empty()) std::memcpy(bytes.data(), bytes_.data(), bytes.size());
  bytes_ = bytes_.subspan(bytes.size());
}

}  // namespace tutti::images
