// The pretty printer of reports, and the errors of the parser.
#include "common/json.hpp"

#include <doctest/doctest.h>

#include <tutti/error.hpp>

#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

TEST_CASE("a printed value parses back to itself") {
  const json::value value{{"text", "a \"quoted\" line\nand ü"},
                          {"numbers", {1, -2, 3.5, 1e300}},
                          {"large", 18446744073709551615ULL},
                          {"nothing", nullptr},
                          {"empty", json::object{}},
                          {"none", json::array{}},
                          {"nested", {{"a", {{"b", true}}}, {"rows", {{1, 2}, {3, 4}}}}}};
  CHECK(parse_json(pretty_json(value), "a test") == value);
}

TEST_CASE("rows of numbers stay on one line and objects are indented") {
  const json::value value{{"b", {{"rows", json::array{json::array{1, 2}, json::array{3, 4}}}}}, {"a", {1, 2}}};
  CHECK(pretty_json(value) ==
        "{\n  \"b\": {\n    \"rows\": [\n      [1,2],\n      [3,4]\n    ]\n  },\n  \"a\": [1,2]\n}\n");
}

TEST_CASE("a scalar is printed as a line") {
  CHECK(pretty_json(json::value(7)) == "7\n");
  CHECK(pretty_json(json::value("x")) == "\"x\"\n");
}

TEST_CASE("text that is not JSON is named with reason and place") {
  const auto error = error_of([] { parse_json("{\"a\": tru}", "the report"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "the report is not valid JSON");
  CHECK(contains(error->detail(), "at byte"));
}

TEST_CASE("text behind a value is no JSON") {
  const auto error = error_of([] { parse_json("{} {}", "the report"); });
  REQUIRE(error);
  CHECK(contains(error->detail(), "extra data at byte 3"));
}

}  // namespace
}  // namespace tutti::test
