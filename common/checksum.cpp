// CRC-32 by eight tables ("slicing by 8": M. Kounavis and F. Berry, A Systematic Approach to Building High Performance,
// Software-based, CRC Generators, 2005), and of many bytes by carry-less multiplication if the processor has it (V.
// Gopal et al., Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction, Intel, 2009).
#include "common/checksum.hpp"

#include <fcntl.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
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

/// Before the first and after the last byte, a checksum is inverted; not here.
std::uint32_t by_tables(std::span<const std::byte> bytes, std::uint32_t crc) noexcept {
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
  return crc;
}

#if defined(__x86_64__)

constexpr std::size_t kFolded = 64;  // bytes per step

[[gnu::target("pclmul"), gnu::always_inline]] inline __m128i fold(__m128i sum, __m128i next, __m128i by) {
  return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(sum, by, 0x00), _mm_clmulepi64_si128(sum, by, 0x11)), next);
}

inline __m128i load(const std::byte* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }

/// Bytes whose checksum from 0 on is that of `bytes`, which are 64 at least, and a multiple of 64, from `crc` on. The
/// constants are x^(512+32), x^(512-32), x^(128+32) and x^(128-32) modulo the polynomial, their bits reversed.
[[gnu::target("pclmul")]] std::array<std::byte, 16> folded(std::span<const std::byte> bytes,
                                                           std::uint32_t crc) noexcept {
  const std::byte* at = bytes.data();
  const __m128i by_512 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
  const __m128i by_128 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
  __m128i a = _mm_xor_si128(load(at), _mm_cvtsi32_si128(static_cast<int>(crc)));
  __m128i b = load(at + 16);
  __m128i c = load(at + 32);
  __m128i d = load(at + 48);
  for (at += kFolded; at != bytes.data() + bytes.size(); at += kFolded) {
    a = fold(a, load(at), by_512);
    b = fold(b, load(at + 16), by_512);
    c = fold(c, load(at + 32), by_512);
    d = fold(d, load(at + 48), by_512);
  }
  std::array<std::byte, 16> rest;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(rest.data()), fold(fold(fold(a, b, by_128), c, by_128), d, by_128));
  return rest;
}

/// Takes as many bytes off the front as it can.
std::uint32_t by_folding(std::span<const std::byte>& bytes, std::uint32_t crc) noexcept {
  const std::size_t whole = bytes.size() / kFolded * kFolded;
  if (whole == 0 || __builtin_cpu_supports("pclmul") == 0) return crc;
  crc = by_tables(folded(bytes.first(whole), crc), 0);
  bytes = bytes.subspan(whole);
  return crc;
}

#else

std::uint32_t by_folding(std::span<const std::byte>& /*bytes*/, std::uint32_t crc) noexcept { return crc; }

#endif

}  // namespace

std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before) noexcept {
  const std::uint32_t folded = by_folding(bytes, ~before);
  return ~by_tables(bytes, folded);
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
