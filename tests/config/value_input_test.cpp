// The samples of a description that a program builds or changes: what they follow from, as in YAML.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "config/load.hpp"
#include "config/value.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

using config::checked_value;

const std::string kOneFake = "members: [{name: a, model: {kind: fake}}]\nassignment: cpu\n";

EnsembleSpec one_fake() {
  EnsembleSpec value;
  value.members = {{.name = "a", .model = {.kind = FakeModel{}}, .device = CpuDevice{}}};
  return value;
}

TEST_CASE("training follows the input of a value that was read until the value says otherwise") {
  EnsembleSpec value = config::load_text(kOneFake + "input: {dataset: digits, limit: 5}\n", "e.yaml");
  CHECK(value.train_input.split == Split::train);
  value.input.limit = 6;
  value = checked_value(value);
  CHECK(value.train_input.limit == 6U);
  value.input = {};
  value.input.dataset = Dataset::random;
  value.input.count = 7;
  value = checked_value(value);
  CHECK(value.train_input == value.input);
  value.train_input.count = 3;
  value = checked_value(value);
  value.input.count = 8;
  CHECK(checked_value(value).train_input.count == 3);
  value.train_input = {};
  CHECK(checked_value(value).train_input.count == 8);

  EnsembleSpec named = config::load_text(kOneFake +
                                             "input: {dataset: digits, limit: 5}\n"
                                             "train: {input: {dataset: digits, limit: 5}}\n",
                                         "e.yaml");
  named.input.limit = 6;
  CHECK(checked_value(named).train_input.limit == 5U);
}

TEST_CASE("pictures of a value have a size by default, and a shape that follows from their size") {
  const auto checked = [](auto&& change) {
    EnsembleSpec value = one_fake();
    value.input.dataset = Dataset::folder;
    value.input.path = "pets";
    change(value.input);
    const EnsembleSpec read = checked_value(value);
    CHECK(checked_value(read) == read);
    CHECK(config::load_text(read.effective_yaml, "the value") == read);
    return read.input;
  };
  const auto read = [](const std::string& keys) {
    return config::load_text(kOneFake + "input: {" + keys + "}\n", "e.yaml").input;
  };
  CHECK(checked([](InputSpec&) {}) == read("dataset: folder, path: pets"));
  CHECK(checked([](InputSpec&) {}).shape == ImageShape{3, 224, 224});
  CHECK(checked([](InputSpec& input) { input.resize = {.rule = ResizeRule::shorter, .height = 256}; }) ==
        read("dataset: folder, path: pets, resize: 256"));
  CHECK(checked([](InputSpec& input) { input.resize.crop_height = input.resize.crop_width = 200; }) ==
        read("dataset: folder, path: pets, crop: 200"));
  CHECK(checked([](InputSpec& input) { input.resize = {.rule = ResizeRule::exact, .height = 32, .width = 48}; }) ==
        read("dataset: folder, path: pets, resize: [32, 48]"));
  CHECK(checked([](InputSpec& input) { input.tiles = Tiles{.size = {64}}; }) ==
        read("dataset: folder, path: pets, tiles: {size: 64}"));
  CHECK(checked([](InputSpec& input) {
          input = {};
          input.resize = {.rule = ResizeRule::shorter, .height = 96, .width = 96};
        }) == read("resize: 96"));
  // A shape that contradicts the size would not count.
  CHECK(problems_of([&] {
          checked([](InputSpec& input) { input.shape = {3, 100, 100}; });
        }) == std::vector<std::string>{
                  "input: it has a value that means nothing with the other fields, so it would not count; "
                  "leave it at its default"});
}

}  // namespace
}  // namespace tutti::test
