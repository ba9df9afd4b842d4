// Bytes that are no UTF-8: each becomes a question mark, and nothing else changes.
#include "common/utf8.hpp"

#include <doctest/doctest.h>

namespace tutti::test {
namespace {

TEST_CASE("letters stay and bytes that are part of none become question marks") {
  CHECK(as_utf8("").empty());
  CHECK(as_utf8("gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x8E\xB5") ==
        "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x8E\xB5");
  CHECK(as_utf8("bad \xFF\xC3 byte") == "bad ?? byte");
  CHECK(as_utf8("over\xC0\x80long \xED\xA0\x80 \xF5\x80\x80\x80 \xE2\x82") == "over??long ??? ???? ??");
  CHECK(as_utf8("\xE0\x80\x80 \xF0\x80\x80\x80 \xF4\x90\x80\x80") == "??? ???? ????");
}

}  // namespace
}  // namespace tutti::test
