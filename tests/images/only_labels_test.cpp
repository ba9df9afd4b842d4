// Labels of predictions that exist already.
#include "images/only_labels.hpp"

#include <doctest/doctest.h>

#include <span>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/array_files.hpp"

namespace tutti::test {
namespace {

using images::LabelFile;
using images::only_labels;

TEST_CASE("one class for each prediction is read as a class") {
  const TemporaryFolder folder;
  write_array<std::int64_t>(folder / "y.npy", "<i8", "(3,)", {2, 0, 1});
  const auto source = only_labels({.file = folder / "y.npy"}, 3);
  CHECK(source->labelled());
  CHECK(source->classes() == 3);
  CHECK(source->count() == 3);
  CHECK(source->name() == (folder / "y.npy").string());
  CHECK(read_samples(*source, {2, 0}).labels == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("names of a column are classes") {
  const TemporaryFolder folder;
  write_file(folder / "t.csv", "id,species\n1,emu\n2,cat\n");
  const auto source = only_labels({.file = (folder / "t.csv").string() + ":species"}, 2);
  CHECK(source->class_name(1) == "emu");
  CHECK(read_samples(*source, {0, 1}).labels == std::vector<std::int64_t>{1, 0});
}

TEST_CASE("masks and numbers are labels of another form") {
  const TemporaryFolder folder;
  write_array<std::int64_t>(folder / "y.npy", "<i8", "(2, 2)", {2, 0, 1, 255});
  const auto masks = only_labels({.file = folder / "y.npy", .ignored = 255}, 2);
  CHECK_FALSE(masks->labelled());
  CHECK(masks->classes() == 3);
  CHECK(masks->label_layout()->dims == Dims{2});
  std::vector<std::int64_t> labels(2);
  masks->read_labels(std::vector<std::uint64_t>{1}, std::as_writable_bytes(std::span(labels)));
  CHECK(labels == std::vector<std::int64_t>{1, 255});
  const auto numbers = only_labels({.file = folder / "y.npy", .form = LabelForm::values}, 2);
  CHECK(numbers->label_layout()->dtype == Dtype::float32);
}

TEST_CASE("labels of another number than the predictions are refused") {
  const TemporaryFolder folder;
  write_array<std::int64_t>(folder / "y.npy", "<i8", "(3,)", {2, 0, 1});
  const auto error = error_of([&] { only_labels({.file = folder / "y.npy"}, 4); });
  REQUIRE(error);
  CHECK(error->detail() == "it has 3 labels for 4 predictions");
  CHECK(error_of([&] { only_labels({.file = folder / "y.npy", .form = LabelForm::values}, 4); }));
}

}  // namespace
}  // namespace tutti::test
