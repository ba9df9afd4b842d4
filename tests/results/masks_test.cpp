// The names of the files that an input has for itself, and what can be written as a mask.
#include <doctest/doctest.h>

#include <array>
#include <filesystem>

#include "results/masks.hpp"
#include "results/sinks.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::images {
namespace {

using test::error_of;
using test::TemporaryFolder;

TEST_CASE("an input's own files are called like it, or by its number") {
  CHECK(file_name_of("north/scan.1.tif", 3, 9) == "north/scan.1");
  CHECK(file_name_of("", 3, 9) == "3");
  CHECK(file_name_of("", 3, 101) == "003");
  CHECK_FALSE(error_of([] { check_own_files({"a.png", "b/a.png", "", ""}); }));
  const auto error = error_of([] { check_own_files({"a.png", "b.png", "a.jpg"}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the results of a.png and a.jpg would be the same file");
}

TEST_CASE("masks need a class for each pixel, and at most 256 of them") {
  CHECK_FALSE(error_of([] { check_masks(Dims{256, 4, 4}, Dims{4, 4}); }));
  const auto rows = error_of([] { check_masks(Dims{10}, Dims{}); });
  REQUIRE(rows);
  CHECK(rows->message() == "'masks: png' needs a class for each pixel of an image");
  CHECK(rows->detail() == "the predictions are 10");
  CHECK(error_of([] { check_masks(Dims{4, 4}, {}); })->detail() == "the combination decides for no classes");
  CHECK(error_of([] { check_masks({}, {}); }));
  CHECK(error_of([] { check_masks(Dims{3, 4, 4, 4}, Dims{4, 4, 4}); }));
  const auto many = error_of([] { check_masks(Dims{257, 4, 4}, Dims{4, 4}); });
  CHECK(many->message() == "'masks: png' takes at most 256 classes");
  CHECK(many->detail() == "the members output 257 classes");
}

TEST_CASE("a run of images that are not tiles writes a mask of each image") {
  const TemporaryFolder folder;
  ResultForm form{2, Dims{3, 2, 2}, Dims{2, 2}, {}};
  form.masks = true;
  NpySink sink(folder.path(), form);
  const std::vector<float> values(24, 0.5F);
  const std::array<std::int64_t, 8> predicted{0, 1, 2, 0, -1, -1, 2, 2};
  SegmentResult result;
  result.count = 2;
  result.width = 12;
  result.values = values;
  result.predicted = predicted;
  sink.write(result);
  sink.finish();
  CHECK(std::filesystem::exists(folder / "masks" / "0.png"));
  CHECK(std::filesystem::exists(folder / "masks" / "1.png"));
}

}  // namespace
}  // namespace tutti::images
