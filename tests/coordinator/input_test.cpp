// The source that a description names.
#include "coordinator/input.hpp"

#include <doctest/doctest.h>

#include <tutti/error.hpp>

#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

config::InputSpec random_input() {
  config::InputSpec input;
  input.dataset = config::Dataset::random;
  input.count = 9;
  input.shape = {1, 2, 2};
  input.classes = 3;
  return input;
}

TEST_CASE("a description without images to read says what to add") {
  const auto error = error_of([] { open_source({}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "there are no images to work on");
  CHECK(contains(error->hint(), "input: {dataset: digits}"));
}

TEST_CASE("a limit and a normalisation are applied") {
  config::InputSpec input = random_input();
  input.limit = 4;
  const auto plain = open_source(input);
  CHECK(plain->count() == 4);
  input.preprocess = {{1.0F}, {2.0F}};
  const auto normalised = open_source(input);
  std::vector<float> before(4);
  std::vector<float> after(4);
  const std::uint64_t index = 3;
  plain->read({&index, 1}, before, {});
  normalised->read({&index, 1}, after, {});
  CHECK(after[0] == (before[0] - 1.0F) / 2.0F);
}

TEST_CASE("the split of a data set is honoured and shapes are known without reading") {
  config::InputSpec input;
  input.dataset = config::Dataset::digits;
  input.split = config::Split::train;
  const auto train = open_source(input);
  input.split = config::Split::test;
  CHECK(train->count() + open_source(input)->count() == 1797);
  CHECK(input_form(input).shape == ImageShape{3, 32, 32});
  CHECK(input_form(random_input()).shape == ImageShape{1, 2, 2});
  CHECK(input_form(random_input()).images == 9);
  CHECK(input_form({}).shape == ImageShape{3, 32, 32});
  CHECK_FALSE(input_form({}).images.has_value());
}

}  // namespace
}  // namespace tutti::test
