// Numbers of bytes in words.
#include <doctest/doctest.h>

#include "common/bytes_text.hpp"

namespace tutti::test {

TEST_CASE("bytes are formatted with a unit") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(999) == "999 B");
  CHECK(bytes_text(6'144'000) == "6.1 MB");
  CHECK(bytes_text(1'500'000'000'000'000) == "1500.0 TB");
}

}  // namespace tutti::test
