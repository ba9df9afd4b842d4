// Arrays of predictions that something else computed.
#include "images/prediction_array.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <limits>
#include <vector>

#include "common/half.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/array_files.hpp"

namespace tutti::test {
namespace {

using images::PredictionArray;

std::vector<float> read(const PredictionArray& array, std::uint64_t first, std::uint64_t rows) {
  std::vector<float> values(rows * array.width());
  array.read(first, values);
  return values;
}

TEST_CASE("float32, float16, bfloat16 and float64 are read as float32 from any place") {
  const TemporaryFolder folder;
  const auto path = folder / "p.npy";
  write_array<float>(path, "<f4", "(3, 1, 2)", {1, 2, 3, 4, 5, 6});
  const PredictionArray floats(path);
  CHECK(floats.rows() == 3);
  CHECK(floats.row_shape() == Dims{1, 2});
  CHECK(read(floats, 1, 2) == std::vector<float>{3, 4, 5, 6});
  write_array<std::uint16_t>(path, "<f2", "(2,)", {half_of_float(0.5F), half_of_float(-3.0F)});
  const PredictionArray halves(path);
  CHECK(halves.row_shape().empty());
  CHECK(halves.width() == 1);
  CHECK(read(halves, 0, 2) == std::vector<float>{0.5F, -3.0F});
  for (const char* descr : {"<V2", "bfloat16"}) {
    write_array<std::uint16_t>(path, descr, "(2,)", {bfloat_of_float(0.5F), bfloat_of_float(-3.0F)});
    CHECK(read(PredictionArray(path), 0, 2) == std::vector<float>{0.5F, -3.0F});
  }
  write_array<double>(path, "<f8", "(2, 1)", {0.1, std::numeric_limits<double>::infinity()});
  CHECK(read(PredictionArray(path), 0, 2) == std::vector<float>{0.1F, std::numeric_limits<float>::infinity()});
}

TEST_CASE("a float64 that float32 cannot hold is an error that names its place") {
  const TemporaryFolder folder;
  write_array<double>(folder / "p.npy", "<f8", "(2, 2)", {0, 1, 2, 1e39});
  const PredictionArray array(folder / "p.npy");
  const auto error = error_of([&] { read(array, 1, 1); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->detail() == "value 1 of prediction 1 is 1e+39, which float32 cannot hold");
  CHECK(error->hint() == "Tutti combines in float32; scale the values");
}

TEST_CASE("what holds no predictions is refused with what it holds") {
  const TemporaryFolder folder;
  const auto path = folder / "p.npy";
  const auto refusal = [&] {
    const auto error = error_of([&] { PredictionArray{path}; });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    return error->detail() + "; " + error->hint();
  };
  write_array<std::int64_t>(path, "<i8", "(2,)", {3, 1});
  CHECK(refusal() ==
        "its element type is '<i8', and one of '<f2', '<f4', '<f8', '<V2' is needed; give the scores of all classes, "
        "not the "
        "numbers of classes that were decided for");
  write_array<float>(path, ">f4", "(2,)", {3, 1});
  CHECK(contains(refusal(), "save them with numpy.save(path, numpy.ascontiguousarray(p.astype('float32')))"));
  write_array<float>(path, "<f4", "()", {3});
  CHECK(refusal() ==
        "its shape is (), and it is none of predictions; the first axis counts the samples, and at most 5 follow it");
  write_array<float>(path, "<f4", "(1, 1, 1, 1, 1, 1, 1)", {3});
  CHECK(contains(refusal(), "at most 5 follow it"));
  write_array<float>(path, "<f4", "(0, 2)", {});
  CHECK(refusal() == "its shape is (0, 2), and so it holds no predictions; save them again");
  write_array<float>(path, "<f4", "(2, 0)", {});
  CHECK(refusal() ==
        "its shape is (2, 0), and a prediction has 1 to 4294967295 values; save predictions with fewer axes, or fewer "
        "values along them");
  write_array<std::uint16_t>(path, "|V2", "(2, 1)", {0, 0});
  CHECK(contains(refusal(),
                 "'|V2', and one of '<f2', '<f4', '<f8', '<V2' is needed; NumPy reads bfloat16 without its "
                 "type; save it with numpy.save(path, x.view(ml_dtypes.bfloat16))"));
  write_array<float>(path, "<f4", "(2, 3)", {1, 2, 3, 4, 5});
  CHECK(contains(refusal(), "it is truncated: shape (2, 3) of '<f4' needs 24 bytes of data, and 20 are there"));
  write_file(path, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 24\n");
  const auto pointer = error_of([&] { PredictionArray{path}; });
  REQUIRE(pointer);
  CHECK(contains(pointer->what(), "Git LFS"));
  std::filesystem::remove(path);
  CHECK(contains(error_of([&] { PredictionArray{path}; })->message(), "cannot read"));
}

}  // namespace
}  // namespace tutti::test
