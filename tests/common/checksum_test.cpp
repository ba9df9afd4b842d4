// The checksum of files.
#include <doctest/doctest.h>

#include <string_view>
#include <vector>

#include "common/checksum.hpp"

namespace tutti {
namespace {

std::uint32_t crc_of(std::string_view text) { return crc32(std::as_bytes(std::span(text.data(), text.size()))); }

TEST_CASE("the checksum is that of zip and PNG") {
  CHECK(crc_of("") == 0);
  CHECK(crc_of("a") == 0xE8B7BE43);
  CHECK(crc_of("123456789") == 0xCBF43926);  // the check value of every list of CRCs
  CHECK(crc_of("The quick brown fox jumps over the lazy dog") == 0x414FA339);
}

TEST_CASE("the checksum of any number of bytes is that of the definition, bit by bit") {
  std::vector<std::byte> bytes(600);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 101 + i / 256 * 7);
  for (std::size_t first = 0; first < 3; ++first) {
    std::uint32_t plain = ~0U;
    for (std::size_t count = 0; first + count < bytes.size(); ++count) {
      REQUIRE(crc32(std::span(bytes).subspan(first, count)) == ~plain);
      plain ^= std::to_integer<std::uint32_t>(bytes[first + count]);
      for (int bit = 0; bit < 8; ++bit) plain = (plain & 1) != 0 ? 0xEDB88320 ^ (plain >> 1) : plain >> 1;
    }
  }
}

TEST_CASE("a checksum continues where another ended") {
  std::vector<std::byte> bytes(1000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37 + i / 256);
  const std::span<const std::byte> whole(bytes);
  for (const std::size_t cut :
       {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{501}, bytes.size()})
    CHECK(crc32(whole.subspan(cut), crc32(whole.first(cut))) == crc32(whole));
}

TEST_CASE("any changed bit changes the checksum") {
  std::vector<std::byte> bytes(21, std::byte{0x5a});
  const std::uint32_t right = crc32(bytes);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    CHECK(crc32(bytes) != right);
    bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
  }
}

}  // namespace
}  // namespace tutti
