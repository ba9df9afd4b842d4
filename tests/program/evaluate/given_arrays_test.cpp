// Arrays of predictions on the command line: their names, their settings, and what they may hold.
#include "evaluation/given_arrays.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "program/evaluate/array_words.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/array_files.hpp"

namespace tutti::test {
namespace {

using namespace program;

GivenArrays arrays_of(const CommandLine& line) {
  const ArrayWords words = array_words(line);
  return given_arrays(words.predictions, words.settings, line.weights);
}

/// Two arrays of two rows of two classes, a.npy and b.npy, and a command line.
struct Arrays {
  Arrays() {
    for (const char* name : {"a.npy", "b.npy"}) write_array<float>(folder / name, "<f4", "(2, 2)", {1, 0, 0.5F, 0.5F});
    line.predictions = {path("a.npy"), path("b.npy")};
  }
  std::string path(const std::string& name) const { return (folder / name).string(); }
  Error refusal() const {
    const auto error = error_of([&] { arrays_of(line); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    return *error;
  }
  TemporaryFolder folder;
  CommandLine line;
};

TEST_CASE("arrays are members that are called like their files or as the command line says") {
  Arrays arrays;
  arrays.line.predictions[1] = "second=" + arrays.path("b.npy");
  arrays.line.predictions.emplace_back("combine.rule=weighted");
  arrays.line.weights = "1,0.5";
  const GivenArrays given = arrays_of(arrays.line);
  REQUIRE(given.run.models.size() == 2);
  CHECK(given.run.models[0].name == "a");
  CHECK(given.run.models[1].name == "second");
  CHECK(given.spec.combine.rule == CombineRule::weighted);
  CHECK(given.spec.members[1].weight == 0.5);
  CHECK(given.run.tasks[0].images == 2);
  CHECK(given.run.tasks[0].arrays[1] == arrays.path("b.npy"));
  CHECK(contains(given.spec.effective_yaml, "{name: \"second\", model: {kind: saved, predictions: "));
}

TEST_CASE("settings may stand before the arrays or among them") {
  Arrays arrays;
  arrays.line.file = "combine.over=values";
  arrays.line.predictions.insert(arrays.line.predictions.begin(), "on_nan=allow");
  const GivenArrays given = arrays_of(arrays.line);
  CHECK(given.spec.combine.over == OutputKind::values);
  CHECK(given.spec.input.label_form == LabelForm::values);
  CHECK(given.run.content->on_nan == OnNan::allow);
}

TEST_CASE("what does not fit together on the command line is refused") {
  {
    Arrays arrays;
    arrays.line.file = "runs/0001";
    CHECK(arrays.refusal().message() == "'runs/0001' and --predictions cannot be combined at once");
  }
  {
    Arrays arrays;
    arrays.line.predictions.push_back(arrays.path("../a.npy"));
    CHECK(arrays.refusal().message() == "two arrays are called 'a'");
    CHECK(contains(arrays.refusal().hint(), "name each: --predictions one=a/predictions.npy"));
    arrays.line.predictions = {"=x.npy"};
    CHECK(arrays.refusal().message() == "--predictions =x.npy is neither FILE nor NAME=FILE");
    arrays.line.predictions = {"combine.over=values"};
    CHECK(arrays.refusal().message() == "--predictions names no array");
  }
  {
    Arrays arrays;
    arrays.line.overrides = {"combine.over=features"};
    arrays.line.logits = true;
    CHECK(arrays.refusal().message() == "logits cannot be combined over features");
    arrays.line.overrides = {"combine.activation=none"};
    CHECK(arrays.refusal().message() == "'activation: none' makes no probabilities of logits");
  }
  {
    Arrays arrays;
    arrays.line.overrides = {"on_nan=degrade"};
    CHECK(contains(arrays.refusal().message(), "'on_nan: degrade' leaves members out of a run"));
    arrays.line.overrides = {"combine.rule=men"};
    CHECK(contains(arrays.refusal().what(), "did you mean 'mean'?"));
  }
  {
    Arrays arrays;
    arrays.line.ignore_index = 255;
    CHECK(contains(arrays.refusal().message(), "there are no '--labels'"));
    arrays.line.labels = arrays.path("y.npy");
    arrays.line.overrides = {"combine.over=values"};
    CHECK(contains(arrays.refusal().message(), "'--ignore-index' marks places of masks of classes"));
  }
}

/// What becomes of `values`, as predictions of shape [2] from number 7 on; the message if they are refused.
std::string taken(const ArrayContent& content, std::vector<float>& values) {
  const TemporaryFolder folder;
  write_array<float>(folder / "p.npy", "<f4", "(2, 2)", {1, 0, 1, 0});
  const images::PredictionArray file(folder / "p.npy");
  const auto error = error_of([&] { take_array(content, file, 7, values); });
  if (!error) return {};
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == (folder / "p.npy").string() + " cannot be combined");
  return error->detail();
}

TEST_CASE("logits become probabilities before they are combined") {
  ArrayContent content;
  content.logits = true;
  std::vector<float> values{0, std::log(3.0F), 2, -std::numeric_limits<float>::infinity()};
  CHECK(taken(content, values).empty());
  CHECK(values[0] == doctest::Approx(0.25));
  CHECK(values[1] == doctest::Approx(0.75));
  CHECK(values[2] == 1);
  CHECK(values[3] == 0);
  content.combine.activation = Activation::sigmoid;
  values = {0, std::log(3.0F)};
  CHECK(taken(content, values).empty());
  CHECK(values[0] == 0.5F);
  CHECK(values[1] == doctest::Approx(0.75));
  content.combine = {};
  content.combine.over = OutputKind::logits;
  values = {5, -5};
  CHECK(taken(content, values).empty());
  CHECK(values == std::vector<float>{5, -5});
}

TEST_CASE("a NaN is refused with the number of its prediction unless it is allowed") {
  ArrayContent content;
  std::vector<float> values{1, 0, std::numeric_limits<float>::quiet_NaN(), 0};
  CHECK(taken(content, values) == "prediction 8 is NaN or infinite");
  content.on_nan = OnNan::allow;
  CHECK(taken(content, values).empty());
}

TEST_CASE("what is not a probability is refused") {
  ArrayContent content;
  std::vector<float> values{0.5F, 0.5F, -1, 2};
  CHECK(taken(content, values) == "prediction 8 has the value -1, which is not a probability");
  values = {0.5F, 0.5F, 0.9F, 0.8F};
  CHECK(taken(content, values) == "prediction 8 has probabilities of classes along axis 1 that sum to 1.7");
  content.combine.activation = Activation::sigmoid;
  CHECK(taken(content, values).empty());
  values = {0, 3, 0, 0};
  CHECK(taken(content, values) == "prediction 7 has the value 3, which is not a probability");
  content.combine.over = OutputKind::values;
  CHECK(taken(content, values).empty());
}

}  // namespace
}  // namespace tutti::test
