// Tests of heads: what they compute, and which files are not heads.
#include "merge/head.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <random>

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/merge/tensors.hpp"

namespace tutti::merge {
namespace {

using test::f32;
using test::Tensor;
using tutti::test::contains;
using tutti::test::error_of;
using tutti::test::TemporaryFolder;

using Metadata = std::map<std::string, std::string>;

Head made(const std::vector<Tensor>& tensors, const Metadata& metadata = {}) {
  const TemporaryFolder folder;
  test::write(folder / "head.safetensors", tensors, metadata);
  return Head::read(folder / "head.safetensors");
}

std::vector<float> logits(const Head& head, const std::vector<float>& features) {
  const auto count = static_cast<std::uint32_t>(features.size() / head.features());
  std::vector<float> out(std::size_t{count} * head.classes());
  head.apply(features, count, out);
  return out;
}

/// The error's detail; message, kind and name of the file are the same for all.
Error refused_head(const std::vector<Tensor>& tensors, const Metadata& metadata = {}) {
  const TemporaryFolder folder;
  test::write(folder / "bad.safetensors", tensors, metadata);
  const auto error = error_of([&] { Head::read(folder / "bad.safetensors"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == (folder / "bad.safetensors").string() + " is not a head");
  return *error;
}

std::vector<float> random_values(std::size_t count, unsigned seed) {
  std::mt19937 numbers(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(numbers);
  return values;
}

TEST_CASE("a head multiplies features with its weight and adds its bias") {
  const Head head = made({f32("weight", {2, 3}, {1, 2, 3, 4, 5, 6}), f32("bias", {2}, {0.5F, -0.5F})});
  CHECK(head.features() == 3);
  CHECK(head.classes() == 2);
  CHECK(head.class_names().empty());
  CHECK(head.tower().empty());
  CHECK(logits(head, {1, 0, 0, 1, 1, 1}) == std::vector<float>{1.5F, 3.5F, 6.5F, 14.5F});
}

TEST_CASE("a head scales before the bias") {
  const Head head = made({f32("weight", {1, 1}, {3}), f32("bias", {1}, {1}), f32("scale", {}, {10})});
  CHECK(logits(head, {2}) == std::vector<float>{61});
}

TEST_CASE("a head projects and then normalizes") {
  const Head head = made({f32("weight", {1, 2}, {1, 0}), f32("projection", {2, 3}, {3, 0, 0, 0, 4, 0})},
                         {{"normalize", "true"}, {"classes", R"(["cat"])"}, {"tower", "a text tower"}});
  CHECK(head.features() == 3);
  CHECK(head.classes() == 1);
  CHECK(head.class_names() == std::vector<std::string>{"cat"});
  CHECK(head.tower() == "a text tower");
  CHECK(logits(head, {1, 1, 9}) == std::vector<float>{0.6F});
}

TEST_CASE("features without a length give NaN if they are to be normalized") {
  const Head head = made({f32("weight", {1, 2}, {1, 1})}, {{"normalize", "true"}});
  CHECK(std::isnan(logits(head, {0, 0}).front()));
  const Head plain = made({f32("weight", {1, 2}, {1, 1})}, {{"normalize", "false"}});
  CHECK(logits(plain, {0, 0}).front() == 0);
}

TEST_CASE("a head computes what double precision computes") {
  constexpr std::size_t kFeatures = 53;
  constexpr std::size_t kWidth = 37;
  constexpr std::size_t kClasses = 5;
  const auto weight = random_values(kClasses * kWidth, 1);
  const auto projection = random_values(kWidth * kFeatures, 2);
  const auto features = random_values(3 * kFeatures, 3);
  const Head head = made({f32("weight", {kClasses, kWidth}, weight), f32("projection", {kWidth, kFeatures}, projection),
                          f32("scale", {}, {2})},
                         {{"normalize", "true"}});
  const auto answer = logits(head, features);
  for (std::size_t image = 0; image < 3; ++image) {
    std::vector<double> projected(kWidth);
    double squares = 0;
    for (std::size_t i = 0; i < kWidth; ++i) {
      for (std::size_t j = 0; j < kFeatures; ++j)
        projected[i] += static_cast<double>(projection[i * kFeatures + j]) * features[image * kFeatures + j];
      squares += projected[i] * projected[i];
    }
    for (std::size_t label = 0; label < kClasses; ++label) {
      double sum = 0;
      for (std::size_t i = 0; i < kWidth; ++i) sum += static_cast<double>(weight[label * kWidth + i]) * projected[i];
      CHECK(answer[image * kClasses + label] == doctest::Approx(2 * sum / std::sqrt(squares)).epsilon(1e-5));
    }
  }
}

TEST_CASE("the logits of an image have the same bits whatever the count") {
  const Head head = made({f32("weight", {7, 100}, random_values(700, 4))}, {{"normalize", "true"}});
  const auto features = random_values(500, 5);
  const auto together = logits(head, features);
  for (std::size_t image = 0; image < 5; ++image) {
    const std::vector<float> one(features.begin() + 100 * image, features.begin() + 100 * (image + 1));
    CHECK(logits(head, one) == std::vector<float>(together.begin() + 7 * image, together.begin() + 7 * (image + 1)));
  }
}

TEST_CASE("a file without a weight is not a head") {
  const Error error = refused_head({f32("wieght", {1, 1}, {1})});
  CHECK(error.detail() == "it has no tensor weight; it has wieght");
  CHECK(contains(error.hint(), "tutti.export head"));
  CHECK(refused_head({}).detail() == "it has no tensor weight; it has none");
}

TEST_CASE("a tensor that no head has is rejected with the nearest name") {
  const Error error = refused_head({f32("weight", {1, 1}, {1}), f32("projektion", {1, 1}, {1})});
  CHECK(error.detail() == "a head has no tensor projektion");
  CHECK(error.hint() == "did you mean projection?");
  CHECK(contains(refused_head({f32("weight", {1, 1}, {1}), f32("conv1", {1}, {1})}).hint(), "tutti.export head"));
}

TEST_CASE("tensors of the wrong form are rejected") {
  CHECK(refused_head({f32("weight", {2}, {1, 2})}).detail() ==
        "tensor weight has the shape [2], and must have 2 dimensions, none of them 0");
  CHECK(refused_head({f32("weight", {2, 0}, {})}).detail() ==
        "tensor weight has the shape [2, 0], and must have 2 dimensions, none of them 0");
  CHECK(refused_head({test::tensor_of<double>("weight", Dtype::f64, {1, 1}, {1})}).detail() ==
        "tensor weight is F64, and must be F32");
  CHECK(refused_head({f32("weight", {1, 1}, {1}), f32("bias", {2}, {1, 2})}).detail() ==
        "the bias has 2 values for 1 class");
  CHECK(refused_head({f32("weight", {1, 2}, {1, 2}), f32("projection", {3, 1}, {1, 2, 3})}).detail() ==
        "the projection [3, 1] gives 3 values, and the weight [1, 2] takes 2");
  CHECK(refused_head({f32("weight", {1, 1}, {1}), f32("scale", {1}, {1})}).detail() ==
        "tensor scale has the shape [1], and must have 0 dimensions, none of them 0");
}

TEST_CASE("a head that holds NaN is rejected") {
  CHECK(refused_head({f32("weight", {1, 2}, {1, NAN})}).detail() == "tensor weight holds NaN or infinity");
}

TEST_CASE("metadata that do not fit the head are rejected") {
  const Tensor weight = f32("weight", {2, 1}, {1, 2});
  CHECK(refused_head({weight}, {{"classes", R"(["cat"])"}}).detail() == "it names 1 class, and its weight has 2");
  CHECK(contains(refused_head({weight}, {{"classes", "cat, dog"}}).detail(),
                 "the list of classes in its metadata is not valid JSON"));
  CHECK(refused_head({weight}, {{"classes", "{}"}}).detail() == "the classes in its metadata are not a list of names");
  CHECK(refused_head({weight}, {{"classes", "[1, 2]"}}).detail() ==
        "the classes in its metadata are not a list of names");
  CHECK(refused_head({weight}, {{"normalize", "yes"}}).detail() ==
        "normalize in its metadata must be true or false, not 'yes'");
}

TEST_CASE("a missing head is named") {
  const auto error = error_of([] { Head::read("/nowhere/head.safetensors"); });
  REQUIRE(error);
  CHECK(contains(error->message(), "/nowhere/head.safetensors"));
}

}  // namespace
}  // namespace tutti::merge
