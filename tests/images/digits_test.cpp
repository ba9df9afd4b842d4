// Tests of the digits: the set is complete, drawn as documented, and split once and for all.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "images/digits_bytes.hpp"
#include "images/sources.hpp"
#include "tests/images/reading.hpp"

namespace tutti::images {
namespace {

TEST_CASE("the embedded digits have the documented layout") {
  REQUIRE(kDigitsBytes.size() == 12 + 1797 * 65);
  CHECK(std::string(kDigitsBytes.begin(), kDigitsBytes.begin() + 8) == "TUTTIDG1");
  CHECK(kDigitsBytes[8] + 256 * kDigitsBytes[9] == 1797);
  for (std::size_t i = 0; i < 1797; ++i) {
    const auto record = kDigitsBytes.subspan(12 + i * 65, 65);
    CHECK(*std::ranges::max_element(record.first(64)) <= 16);
    CHECK(record.back() <= 9);
  }
}

TEST_CASE("the digits are split into 1437 to train and 360 to test") {
  const auto train = make_digits(Split::train);
  const auto test = make_digits(Split::test);
  CHECK(train->count() == 1437);
  CHECK(test->count() == 360);
  for (Source* source : {train.get(), test.get()}) {
    CHECK(source->shape() == ImageShape{3, 32, 32});
    CHECK(source->classes() == 10);
    CHECK(source->labelled());
  }
  CHECK(train->name() == "digits (train)");
  CHECK(test->name() == "digits (test)");
}

// Facts of the data set, taken from scikit-learn: they would change if a byte of the file did.
TEST_CASE("the digits are those of the data set") {
  const auto train = make_digits(Split::train);
  const auto test = make_digits(Split::test);
  const auto images = test::read(*train, test::all_of(*train));
  CHECK(std::vector<std::int64_t>(images.labels.begin(), images.labels.begin() + 12) ==
        std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1});
  CHECK(std::ranges::count(images.labels, 8) == 141);
  const auto others = test::read(*test, test::all_of(*test));
  CHECK(std::ranges::count(others.labels, 8) == 33);
  CHECK(others.labels.back() == 8);
  // The sum of all 8x8 values of the set is 561718; each is drawn 48 times and divided by 16.
  double ink = std::accumulate(images.pixels.begin(), images.pixels.end(), 0.0);
  ink += std::accumulate(others.pixels.begin(), others.pixels.end(), 0.0);
  CHECK(ink == 561718.0 * 48 / 16);
}

TEST_CASE("a digit is drawn as blocks of ink in three equal channels") {
  const auto source = make_digits(Split::train);
  const auto image = test::read(*source, {0}).pixels;
  const auto at = [&](std::size_t channel, std::size_t y, std::size_t x) { return image[(channel * 32 + y) * 32 + x]; };
  // The first digit's first row is 0 0 5 13 9 1 0 0, its second 0 0 13 15 10 15 5 0.
  for (std::size_t channel = 0; channel < 3; ++channel) {
    CHECK(at(channel, 0, 7) == 0.0F);
    CHECK(at(channel, 0, 8) == 5.0F / 16);
    CHECK(at(channel, 3, 11) == 5.0F / 16);
    CHECK(at(channel, 0, 12) == 13.0F / 16);
    CHECK(at(channel, 4, 8) == 13.0F / 16);
    CHECK(at(channel, 7, 27) == 5.0F / 16);
  }
}

TEST_CASE("the digits are the same in any order") {
  const auto source = make_digits(Split::test);
  CHECK(test::any_order_gives_the_same(*source));
}

TEST_CASE("digits can be read without their labels") {
  const auto source = make_digits(Split::test);
  std::vector<float> pixels(source->shape().elements());
  source->read(std::vector<std::uint64_t>{359}, pixels, {});
  CHECK(pixels == test::read(*source, {359}).pixels);
  source->read({}, {}, {});
}

}  // namespace
}  // namespace tutti::images
