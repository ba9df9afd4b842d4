// CRC-32 by eight tables ("slicing by 8": M. Kounavis and F. Berry, A Systematic Approach to Building High Performance,
// Software-based, CRC Generators, 2005).
#include "common/checksum.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <vector>

#include "common/unique_fd.hpp"

namespace tutti {
namespace {

static_assert(std::endian::native == std::endian::little, "eight bytes are taken as one little-endian number");

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() {
  constexpr std::uint32_t kPolynomial = 0xEDB88320;  // reflected
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = (rest & 1) != 0 ? kPolynomial ^ (rest >> 1) : rest >> 1;
    tables[0][byte] = rest;
  }
  // tables[k][b]: the byte b with k zero bytes behind it.
  for (std::size_t zeros = 1; zeros < tables.size(); ++zeros)
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t rest = tables[zeros - 1][byte];
      tables[zeros][byte] = (rest >> 8) ^ tables[0][rest & 255];
    }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before) noexcept {
  std::uint32_t crc = ~before;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    word ^= crc;
    crc = 0;
    for (std::size_t i = 0; i < 8; ++i) crc ^= kTables[7 - i][(word >> (8 * i)) & 255];
  }
  for (; left > 0; --left, ++at) crc = (crc >> 8) ^ kTables[0][(crc ^ std::to_integer<std::uint32_t>(*at)) & 255];
  return ~crc;
}

std::optional<FileContent> content_of(const std::filesystem::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  std::vector<std::byte> piece(1 << 18);
  FileContent content;
  while (true) {
    const ssize_t count = ::read(fd.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::nullopt;
    if (count == 0) return content;
    content.crc = crc32(std::span(piece).first(static_cast<std::size_t>(count)), content.crc);
    content.bytes += static_cast<std::uint64_t>(count);
  }
}

}  // namespace tutti
