// A failed check ends the process with one line that holds the values of its operands.
#include "common/check.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tests/common/death.hpp"

namespace tutti::test {
namespace {

enum class Colour : std::uint8_t { red = 3, blue = 4 };

struct Opaque {
  int value = 0;
  friend bool operator==(const Opaque&, const Opaque&) = default;
};

TEST_CASE("a failed check prints its place and both operands on one line and aborts") {
  const ChildEnd end = end_of([] {
    const int three = 3;
    TUTTI_CHECK(three == 4);
  });
  CHECK(end.signal == SIGABRT);
  CHECK(end.text == fmt::format("tests/common/check_test.cpp:{}: check failed: three == 4 (3 == 4)\n", __LINE__ - 3));
}

TEST_CASE("a check that holds does nothing and evaluates its operands once") {
  int evaluated = 0;
  const auto next = [&] { return ++evaluated; };
  TUTTI_CHECK(next() == 1);
  TUTTI_CHECK(next() < 3, "with a reason");
  CHECK(evaluated == 2);
}

TEST_CASE("a failed check prints why it must hold") {
  const bool closed = true;
  CHECK(failed_check([&] { TUTTI_CHECK(!closed, "close() is called once"); }) == "!closed: close() is called once");
  CHECK(failed_check([] { TUTTI_UNREACHABLE("the table has it"); }) == "unreachable: the table has it");
}

TEST_CASE("each comparison is made as it is written") {
  const unsigned five = 5;
  CHECK(failed_check([&] { TUTTI_CHECK(five != 5U); }) == "five != 5U (5 != 5)");
  CHECK(failed_check([&] { TUTTI_CHECK(five < 5); }) == "five < 5 (5 < 5)");
  CHECK(failed_check([&] { TUTTI_CHECK(five <= 4); }) == "five <= 4 (5 <= 4)");
  CHECK(failed_check([&] { TUTTI_CHECK(five > 5); }) == "five > 5 (5 > 5)");
  CHECK(failed_check([&] { TUTTI_CHECK(five >= 6); }) == "five >= 6 (5 >= 6)");
  TUTTI_CHECK(five != 4);
  TUTTI_CHECK(five < 6);
  TUTTI_CHECK(five <= 5);
  TUTTI_CHECK(five > 4);
  TUTTI_CHECK(five >= 5);
  TUTTI_CHECK(five + 1 == 2 * 3);
}

TEST_CASE("numbers of different signs are compared by value") {
  const int below = -1;
  const std::size_t size = 2;
  TUTTI_CHECK(below < size);
  CHECK(failed_check([&] { TUTTI_CHECK(below == std::numeric_limits<std::size_t>::max()); }) ==
        "below == std::numeric_limits<std::size_t>::max() (-1 == 18446744073709551615)");
}

TEST_CASE("operands of all printable kinds are printed") {
  const std::string name = "cnn-0";
  const std::unique_ptr<int> nothing;
  const int* const null = nullptr;
  CHECK(failed_check([&] { TUTTI_CHECK(name == "cnn-1"); }) == "name == \"cnn-1\" (\"cnn-0\" == \"cnn-1\")");
  CHECK(failed_check([] { TUTTI_CHECK(Colour::red == Colour::blue); }) == "Colour::red == Colour::blue (3 == 4)");
  CHECK(failed_check([&] { TUTTI_CHECK(null != nullptr); }) == "null != nullptr (null != null)");
  CHECK(failed_check([&] { TUTTI_CHECK(name.empty() == true); }) == "name.empty() == true (false == true)");
  CHECK(failed_check([] { TUTTI_CHECK(0.5 == 0.25); }) == "0.5 == 0.25 (0.5 == 0.25)");
  CHECK(failed_check([] { TUTTI_CHECK(Opaque{1} == Opaque{2}); }) == "Opaque{1} == Opaque{2}");
  CHECK(failed_check([&] { TUTTI_CHECK(nothing); }) == "nothing");
}

TEST_CASE("a condition of several parts is printed as text") {
  const int three = 3;
  TUTTI_CHECK(three == 3 && three < 4);
  CHECK(failed_check([&] { TUTTI_CHECK(three == 3 && three > 4); }) == "three == 3 && three > 4");
  CHECK(failed_check([&] { TUTTI_CHECK(three == 4 || three > 4); }) == "three == 4 || three > 4");
}

TEST_CASE("a line that is too long is cut off") {
  const std::string text(5000, 'x');
  const ChildEnd end = end_of([&] { TUTTI_CHECK(text == "y"); });
  CHECK(end.signal == SIGABRT);
  CHECK(end.text.size() == 1024);
  CHECK(end.text.ends_with("xxx\n"));
}

}  // namespace
}  // namespace tutti::test
