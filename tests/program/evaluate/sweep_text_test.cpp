// What the sweep of a cascade prints and draws.
#include "program/evaluate/sweep_text.hpp"

#include <doctest/doctest.h>

#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

TEST_CASE("a sweep is printed as a table and drawn as a curve") {
  const images::SweepReport sweep{"confidence_below", {{0.5, false, 0, 0.9, 0.03}, {0.75, true, 0.2, 0.95, {}}}};
  CHECK(program::sweep_table(sweep) ==
        "\nconfidence_below      passed on    accuracy  computing per 1000 images\n"
        "0.5                       0.0 %     90.00 %                    0.03 s\n"
        "0.75                     20.0 %     95.00 %                         -  (in the description)\n");
  CHECK(program::sweep_table({"confidence_below", {}}).empty());
  const std::string picture = program::sweep_picture(sweep);
  CHECK(contains(picture, "<polyline points=\"60.0,260.0 140.0,20.0\""));
  CHECK(contains(picture, "0.75: 20.0 % passed on, 95.00 %"));
}

}  // namespace
}  // namespace tutti::test
