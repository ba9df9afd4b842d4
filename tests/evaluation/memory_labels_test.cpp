// Samples in memory with labels in memory.
#include "evaluation/memory_labels.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

const std::vector<float> kPixels(3 * 4, 0.5F);
const Images kThree(std::span<const float>(kPixels), {1, 2, 2});

std::unique_ptr<Source> of(const TensorView& labels, config::CombineSpec combine = {},
                           std::optional<std::int64_t> ignored = std::nullopt) {
  return with_labels(kThree, labels, combine, ignored);
}

std::string refused(const TensorView& labels, config::CombineSpec combine = {}) {
  const auto error = error_of([&] { of(labels, combine); });
  REQUIRE(error.has_value());
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(!error->hint().empty());
  return error->message() + "; " + error->detail();
}

TEST_CASE("a class for each sample travels with the samples") {
  const std::vector<std::int64_t> labels{2, 0, 4};
  const auto source = of({"y", labels, {}});
  CHECK(source->labelled());
  CHECK(source->classes() == 5);
  const std::vector<std::uint64_t> indices{2, 0};
  std::vector<float> pixels(8);
  std::vector<std::int64_t> read(2);
  source->read(indices, pixels, read);
  CHECK(read == std::vector<std::int64_t>{4, 2});
}

TEST_CASE("masks and numbers are read by the samples they belong to") {
  const std::vector<std::int64_t> masks{0, 1, 2, 255, 4, 5};
  const auto source = of({"y", masks, {2}}, {}, 255);
  CHECK(!source->labelled());
  CHECK(source->classes() == 6);
  CHECK(source->label_layout() == TensorLayout{Dtype::int64, {2}});
  const std::vector<std::uint64_t> indices{1};
  std::vector<std::int64_t> read(2);
  source->read_labels(indices, std::as_writable_bytes(std::span(read)));
  CHECK(read == std::vector<std::int64_t>{2, 255});
  const std::vector<float> numbers{1, 2, 3};
  CHECK(of({"y", numbers, {}})->label_layout() == TensorLayout{Dtype::float32, {}});
}

TEST_CASE("whole numbers are numbers where numbers are compared") {
  config::CombineSpec values;
  values.over = OutputKind::values;
  const std::vector<std::int64_t> labels{5, -3, 2};
  const auto source = of({"y", labels, {}}, values);
  CHECK(source->label_layout() == TensorLayout{Dtype::float32, {}});
  const std::vector<std::uint64_t> indices{1, 0};
  std::vector<float> read(2);
  source->read_labels(indices, std::as_writable_bytes(std::span(read)));
  CHECK(read == std::vector<float>{-3, 5});
}

TEST_CASE("labels that do not fit are refused") {
  const std::vector<std::int64_t> two{0, 1};
  CHECK(refused({"y", two, {}}) == "samples and labels differ in number; 3 samples with 2 labels");
  const std::vector<std::int64_t> negative{0, -1, 1};
  CHECK(refused({"y", negative, {}}).find("image 1 has the label -1") != std::string::npos);
  CHECK(refused({"y", negative, {1}}) ==
        "the labels are a column, and not one class per sample; they would be compared as masks of one place each");
  CHECK(refused({"y", negative, {1, 1}}) == "a label is not a class; that of sample 1 at place 0 is -1");
  const std::vector<std::int32_t> narrow{0, 1, 2};
  CHECK(refused({"y", narrow, {}}).starts_with("the labels are neither classes nor numbers"));
  const std::vector<float> numbers{0, std::numeric_limits<float>::infinity(), 1};
  CHECK(refused({"y", numbers, {}}) == "a label is not finite; that of sample 1 at place 0 is inf");
  config::CombineSpec several;
  several.activation = Activation::sigmoid;
  const std::vector<float> half{0, 1, 0.5F};
  CHECK(refused({"y", half, {}}, several) ==
        "with 'activation: sigmoid', each of several labels is 0 or 1; that of sample 2 at place 0 is 0.5");
  CHECK(refused({"y", half, {2}}).starts_with("the labels in memory are not whole"));
}

}  // namespace
}  // namespace tutti::test
