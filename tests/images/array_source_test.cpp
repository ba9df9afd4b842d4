// Samples that are several arrays in files: which types and shapes they may have, and what does not fit.
#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "common/tensor_text.hpp"
#include "images/sources.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/array_files.hpp"
#include "tests/support/places.hpp"

namespace tutti::images {
namespace {

using test::error_of;
using test::read_samples;
using test::TemporaryFolder;
using test::write_array;

/// The error of samples of this one array.
Error array_refusal(const std::filesystem::path& file) {
  const auto error = error_of([&] { make_arrays({{"x", file}}, {}, 0); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  return *error;
}

TEST_CASE("arrays of every type and rank are the tensors of a sample and keep their values") {
  const TemporaryFolder folder;
  write_array<std::uint8_t>(folder / "image.npy", "|u1", "(2, 1, 2, 2)", {1, 2, 3, 4, 5, 6, 7, 255});
  write_array<std::int64_t>(folder / "ids.npy", "<i8", "(2, 3)", {1, -2, std::int64_t{1} << 40, 4, 5, 6});
  write_array<std::int32_t>(folder / "number.npy", "<i4", "(2,)", {-8, 9});
  write_array<std::uint16_t>(folder / "half.npy", "<f2", "(2, 1)", {0x3c00, 0xbc00});
  write_array<std::uint8_t>(folder / "mask.npy", "|b1", "(2, 2)", {1, 0, 0, 7});
  write_array<std::uint16_t>(folder / "brain.npy", "<V2", "(2,)", {0x3f80, 0xbf80});
  write_array<float>(folder / "deep.npy", "<f4", "(2, 1, 1, 1, 1, 2)", {0.5F, 1, 2, 3});
  const auto source = make_arrays({{"image", folder / "image.npy"},
                                   {"ids", folder / "ids.npy"},
                                   {"number", folder / "number.npy"},
                                   {"half", folder / "half.npy"},
                                   {"mask", folder / "mask.npy"},
                                   {"deep", folder / "deep.npy"},
                                   {"brain", folder / "brain.npy"}},
                                  {}, 0);
  CHECK(source->count() == 2);
  CHECK_FALSE(source->labelled());
  CHECK(source->remarks().empty());
  CHECK(sample_text(source->tensors()) ==
        "image (1x2x2 of uint8), ids (3 of int64), number (a number of int32), half (1 of float16), mask (2 of bool), "
        "deep (1x1x1x1x2 of float32) and brain (a number of bfloat16)");
  const auto samples = read_samples(*source, {1, 0, 1});
  CHECK(samples.values<std::uint8_t>(0) == std::vector<std::uint8_t>{5, 6, 7, 255, 1, 2, 3, 4, 5, 6, 7, 255});
  CHECK(samples.values<std::int64_t>(1) == std::vector<std::int64_t>{4, 5, 6, 1, -2, std::int64_t{1} << 40, 4, 5, 6});
  CHECK(samples.values<std::int32_t>(2) == std::vector<std::int32_t>{9, -8, 9});
  CHECK(samples.values<std::uint16_t>(3) == std::vector<std::uint16_t>{0xbc00, 0x3c00, 0xbc00});
  CHECK(samples.values<std::uint8_t>(4) == std::vector<std::uint8_t>{0, 1, 1, 0, 0, 1});
  CHECK(samples.values<std::uint16_t>(6) == std::vector<std::uint16_t>{0xbf80, 0x3f80, 0xbf80});
  CHECK(samples.values<float>(5) == std::vector<float>{2, 3, 0.5F, 1, 2, 3});
}

TEST_CASE("a source of tensors has no images") {
  const TemporaryFolder folder;
  write_array<float>(folder / "x.npy", "<f4", "(1, 2)", {1, 2});
  const auto source = make_arrays({{"x", folder / "x.npy"}}, {}, 0);
  CHECK(source->shape() == ImageShape{});
  CHECK_FALSE(source->has_bytes());
  std::vector<float> pixels(2);
  const std::uint64_t index = 0;
  const auto error = error_of([&] { source->read({&index, 1}, pixels, {}); });
  REQUIRE(error);
  CHECK(error->message() == "npy " + (folder / "x.npy").string() + " has tensors, not images");
}

TEST_CASE("float64 becomes float32 and a remark says so") {
  const TemporaryFolder folder;
  write_array<double>(folder / "x.npy", "<f8", "(2, 2)", {0.1, -1e300, 3, std::numeric_limits<double>::infinity()});
  const auto source = make_arrays({{"x", folder / "x.npy"}}, {}, 0);
  CHECK(sample_text(source->tensors()) == "x (2 of float32)");
  CHECK(source->remarks() ==
        std::vector<std::string>{(folder / "x.npy").string() + " holds float64, which becomes float32"});
  CHECK(read_samples(*source, {1}).values<float>(0) == std::vector<float>{3, std::numeric_limits<float>::infinity()});
  const auto error = error_of([&] { read_samples(*source, {0}); });
  REQUIRE(error);
  CHECK(error->message() == (folder / "x.npy").string() + " cannot be used as a tensor");
  CHECK(error->detail() == "sample 0 holds -1e+300, which float32 cannot hold");
  CHECK(error->hint() == "scale the values");
}

TEST_CASE("arrays of different counts are an error that names both") {
  const TemporaryFolder folder;
  write_array<float>(folder / "a.npy", "<f4", "(2, 1)", {1, 2});
  write_array<float>(folder / "b.npy", "<f4", "(3,)", {1, 2, 3});
  const auto error = error_of([&] { make_arrays({{"a", folder / "a.npy"}, {"b", folder / "b.npy"}}, {}, 0); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the arrays of 'inputs' differ in their number of samples");
  CHECK(error->detail() == (folder / "a.npy").string() + " has 2, and " + (folder / "b.npy").string() + " has 3");
  CHECK(error->hint() == "the first axis of every array counts the samples");
}

TEST_CASE("labels go with tensors and must be as many") {
  const TemporaryFolder folder;
  write_array<float>(folder / "x.npy", "<f4", "(3, 1)", {1, 2, 3});
  write_array<std::int64_t>(folder / "y.npy", "<i8", "(3,)", {4, 0, 2});
  write_array<std::int64_t>(folder / "two.npy", "<i8", "(2,)", {4, 0});
  const auto source = make_arrays({{"x", folder / "x.npy"}}, folder / "y.npy", 0);
  CHECK(source->labelled());
  CHECK(source->classes() == 5);
  CHECK(read_samples(*source, {2, 0}).labels == std::vector<std::int64_t>{2, 4});
  const auto error = error_of([&] { make_arrays({{"x", folder / "x.npy"}}, folder / "two.npy", 0); });
  REQUIRE(error);
  CHECK(error->detail() == "it has 2 labels for 3 samples");
  CHECK(error->hint() == "give one label per sample");
}

TEST_CASE("an array whose type no tensor has is refused with the call that converts it") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& descr) {
    write_array<double>(folder / "x.npy", descr, "(1, 1)", {0, 0});
    return array_refusal(folder / "x.npy");
  };
  CHECK(refused("<c8").detail() ==
        "its element type is '<c8', and one of '<f4', '<f2', '<V2', '|u1', '<i4', '<i8', '|b1', '<f8' is needed");
  CHECK(refused("<c8").hint() == "save its parts as two arrays, x.real.astype('float32') and x.imag.astype('float32')");
  CHECK(refused(">f4").hint() == "save it with numpy.save(path, numpy.ascontiguousarray(x.astype('float32')))");
  CHECK(refused("<u2").hint() == "save it with numpy.save(path, numpy.ascontiguousarray(x.astype('int64')))");
  CHECK(refused("|V2").hint() ==
        "NumPy reads bfloat16 without its type; save it with numpy.save(path, x.view(ml_dtypes.bfloat16))");
  CHECK(refused("<V1").hint() == "a tensor holds numbers or truths: save an array of float32, int64 or bool");
  CHECK(refused("<U3").hint() == "a tensor holds numbers or truths: save an array of float32, int64 or bool");
}

TEST_CASE("an array whose shape is not that of samples is refused") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& shape) {
    write_array<float>(folder / "x.npy", "<f4", shape, {0, 0, 0, 0});
    const Error error = array_refusal(folder / "x.npy");
    return error.detail() + "; " + error.hint();
  };
  CHECK(refused("()") ==
        "its shape is (), and its first axis must count the samples; save an array with one entry per sample");
  CHECK(refused("(1, 1, 1, 1, 1, 1, 1)") ==
        "its shape is (1, 1, 1, 1, 1, 1, 1), and a sample has at most 5 axes; save it with fewer axes: "
        "x.reshape(len(x), -1)");
  CHECK(refused("(2, 0)") ==
        "its shape is (2, 0), and a sample needs values; save an array whose axes are all longer than 0");
  CHECK(refused("(2, 3)") ==
        "it is truncated: shape (2, 3) of '<f4' needs 24 bytes of data, and 16 are there; copy or save it again");
  CHECK(array_refusal(test::in_sources("tests/images/data/fortran.npy")).hint() ==
        "save it with numpy.save(path, numpy.ascontiguousarray(x))");
}

TEST_CASE("arrays of no samples are a set of none") {
  const TemporaryFolder folder;
  write_array<float>(folder / "x.npy", "<f4", "(0, 3)", {});
  const auto source = make_arrays({{"x", folder / "x.npy"}}, {}, 0);
  CHECK(source->count() == 0);
  CHECK(sample_text(source->tensors()) == "x (3 of float32)");
}

}  // namespace
}  // namespace tutti::images
