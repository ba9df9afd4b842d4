// Tests of images and labels from .npy files; the good ones are written by NumPy (data/make_npy.py).
#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "common/atomic_file.hpp"
#include "images/npy.hpp"
#include "images/sources.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/lfs_pointer_text.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/reading.hpp"
#include "tests/support/places.hpp"

namespace tutti::images {
namespace {

using test::contains;
using test::error_of;
using test::TemporaryFolder;

std::filesystem::path fixture(const std::string& name) { return test::in_sources("tests/images/data") / name; }

std::unique_ptr<Source> open(const std::string& name, Layout layout = Layout::nchw) {
  return make_npy(fixture(name), {}, layout, 0);
}

void put(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// A .npy file of format 1.0 with this text for its header.
std::string npy(const std::string& header, const std::string& data = {}) {
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header + data;
}

TEST_CASE("float32 images of either layout and any format version are read unchanged") {
  std::vector<float> expected(36);
  for (std::size_t i = 0; i < 36; ++i) expected[i] = static_cast<float>(i);
  for (const char* name : {"nchw_float32.npy", "version_2.npy", "version_3.npy"}) {
    const auto source = open(name);
    CHECK(source->count() == 3);
    CHECK(source->shape() == ImageShape{2, 2, 3});
    CHECK_FALSE(source->labelled());
    CHECK(source->classes() == 0);
    CHECK(test::read(*source, {0, 1, 2}).pixels == expected);
    CHECK(test::any_order_gives_the_same(*source));
  }
  const auto nhwc = open("nhwc_float32.npy", Layout::nhwc);
  CHECK(nhwc->shape() == ImageShape{2, 2, 3});
  CHECK(test::read(*nhwc, {0, 1, 2}).pixels == expected);
  CHECK(nhwc->name() == "npy " + fixture("nhwc_float32.npy").string());
}

TEST_CASE("uint8 images become float32 from 0 to 1") {
  const auto source = open("nhwc_uint8.npy", Layout::nhwc);
  CHECK(test::bytes_are_the_floats(*source, {2, 0}));
  CHECK_FALSE(open("nchw_float32.npy")->has_bytes());
  const auto pixels = test::read(*source, {2, 1}).pixels;
  REQUIRE(pixels.size() == 24);
  for (std::size_t place = 0; place < 12; ++place) {
    CHECK(pixels[place] == static_cast<float>((24 + place) * 7) / 255.0F);
    CHECK(pixels[12 + place] == static_cast<float>((12 + place) * 7) / 255.0F);
  }
}

TEST_CASE("labels of every integer type are read and give the number of classes") {
  for (const char* labels : {"labels_int64.npy", "labels_int32.npy", "labels_uint8.npy"}) {
    const auto source = make_npy(fixture("nchw_float32.npy"), fixture(labels), Layout::nchw, 0);
    CHECK(source->labelled());
    CHECK(source->classes() == 5);
    CHECK(test::read(*source, {0, 1, 2}).labels == std::vector<std::int64_t>{2, 0, 4});
    CHECK(test::any_order_gives_the_same(*source));
    CHECK(make_npy(fixture("nchw_float32.npy"), fixture(labels), Layout::nchw, 10)->classes() == 10);
  }
  CHECK(make_npy(fixture("nchw_float32.npy"), {}, Layout::nchw, 10)->classes() == 10);
}

TEST_CASE("an array of no images is a set of no images") {
  const auto source = make_npy(fixture("no_images.npy"), fixture("labels_none.npy"), Layout::nchw, 0);
  CHECK(source->count() == 0);
  CHECK(source->classes() == 0);
  CHECK(source->shape() == ImageShape{2, 2, 3});
  CHECK(test::read(*source, {}).pixels.empty());
}

TEST_CASE("more labels than one read takes are all checked") {
  const TemporaryFolder folder;
  {
    NpyWriter images(folder / "x.npy", NpyType::float32, {10000, 1, 1, 1});
    NpyWriter labels(folder / "y.npy", NpyType::int64, {10000});
    for (std::int64_t i = 0; i < 10000; ++i) {
      images.write(std::vector{static_cast<float>(i)});
      labels.write(std::vector{i});
    }
    images.finish();
    labels.finish();
  }
  CHECK(make_npy(folder / "x.npy", folder / "y.npy", Layout::nchw, 0)->classes() == 10000);
  const auto error = error_of([&] { make_npy(folder / "x.npy", folder / "y.npy", Layout::nchw, 9999); });
  REQUIRE(error);
  CHECK(error->detail() == "the label of image 9999 is 9999, and labels are 0 to 9998");
}

// The error of images that cannot be used.
Error refusal(const std::filesystem::path& path) {
  const auto error = error_of([&] { make_npy(path, {}, Layout::nchw, 0); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->message(), path.string()));
  return *error;
}

TEST_CASE("images of another type or order are rejected with the call that converts them") {
  const std::string hint = "save it with numpy.save(path, numpy.ascontiguousarray(x.astype('float32')))";
  const Error wide = refusal(fixture("float64.npy"));
  CHECK(wide.message() == fixture("float64.npy").string() + " cannot be used as images");
  CHECK(wide.detail() == "its element type is '<f8', and one of '<f4', '|u1' is needed");
  CHECK(wide.hint() == hint);
  const Error big = refusal(fixture("big_endian.npy"));
  CHECK(big.detail() == "its element type is '>f4', and one of '<f4', '|u1' is needed");
  CHECK(big.hint() == hint);
  const Error fortran = refusal(fixture("fortran.npy"));
  CHECK(fortran.detail() == "it is in Fortran order, and C order is needed");
  CHECK(fortran.hint() == hint);
}

TEST_CASE("images of another rank are rejected with the axes that are needed") {
  const Error rank = refusal(fixture("rank_3.npy"));
  CHECK(rank.detail() == "its shape is (3, 2, 3), and 4 axes are needed");
  CHECK(rank.hint() ==
        "images need four axes: (count, channels, height, width), or with 'layout: nhwc' (count, height, width, "
        "channels); for grey images save x[:, None]");
  const TemporaryFolder folder;
  put(folder / "a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0, 4, 4)}"));
  CHECK(refusal(folder / "a.npy").detail() == "its shape is (2, 0, 4, 4)");
}

TEST_CASE("truncated images are rejected with the bytes that are needed and there") {
  const TemporaryFolder folder;
  std::string bytes = read_text(fixture("nchw_float32.npy"), "the array");
  bytes.pop_back();
  put(folder / "a.npy", bytes);
  const Error cut = refusal(folder / "a.npy");
  CHECK(cut.detail() == "it is truncated: shape (3, 2, 2, 3) of '<f4' needs 144 bytes of data, and 143 are there");
  CHECK(cut.hint() == "copy or save it again");
  put(folder / "b.npy",
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 4000000000, 4000000000, 9)}"));
  CHECK(contains(refusal(folder / "b.npy").detail(), "needs more than 2^64 bytes of data, and 0 are there"));
}

TEST_CASE("a file that is not an array is rejected with what is wrong with it") {
  const TemporaryFolder folder;
  const auto detail = [&](const std::string& bytes) {
    put(folder / "a.npy", bytes);
    const Error error = refusal(folder / "a.npy");
    CHECK(error.message() == (folder / "a.npy").string() + " is not a valid .npy file");
    CHECK(error.hint() == "save it with numpy.save(path, array)");
    return error.detail();
  };
  CHECK(detail("") == "it has 0 bytes, fewer than any header");
  CHECK(detail("PK\x03\x04 and more bytes") == "it does not begin with the magic bytes \\x93NUMPY");
  CHECK(detail("\x93NUMPY\x04\x01 and more") == "its format is 4.1; Tutti reads 1.0, 2.0 and 3.0");
  CHECK(detail("\x93NUMPY\x01 \xff\xffxx") == "its header would have 65535 bytes, and the file has 12");
  const std::string none = "its header is not a dictionary of descr, fortran_order and shape";
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1)}";
  CHECK(detail(npy("[1, 2, 3, 4]")) == none);
  CHECK(detail(npy("{'descr': '<f4', 'shape': (1,)}")) == none);
  CHECK(detail(npy("{'descr': <f4, 'fortran_order': False, 'shape': (1,)}")) == none);
  CHECK(detail(npy("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}")) == none);
  CHECK(detail(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}")) == none);
  CHECK(detail(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}")) == none);
  CHECK(detail(npy("{'descr': '<f4', 'fortran_order': False, 'form': (1,)}")) == none);
  CHECK(detail(npy("{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}")) == none);
  CHECK(detail(npy(good + " more")) == none);
  CHECK(detail(npy(good.substr(0, good.size() - 1))) == none);
  CHECK(detail(npy("{'descr': '<f4")) == none);
  put(folder / "a.npy", npy("{\"shape\":(1,1,1,1),\"fortran_order\":False,\"descr\":\"|u1\"}\n", "\xff"));
  CHECK(test::read(*make_npy(folder / "a.npy", {}, Layout::nchw, 0), {0}).pixels == std::vector{1.0F});
}

TEST_CASE("an array that is a Git LFS pointer is reported as one") {
  const TemporaryFolder folder;
  put(folder / "a.npy", test::kLfsPointer);
  const Error error = refusal(folder / "a.npy");
  CHECK(error.message() == (folder / "a.npy").string() + " is a Git LFS pointer, not the file itself");
  CHECK(contains(error.hint(), "git lfs pull"));
}

TEST_CASE("a missing array is an error that names it") {
  const Error error = refusal("/nowhere/x.npy");
  CHECK(error.message() == "cannot read /nowhere/x.npy");
  CHECK(error.detail() == "No such file or directory");
}

TEST_CASE("labels that do not fit the images are rejected with the reason") {
  const auto refused = [](const std::string& labels, std::uint32_t classes) {
    const auto error = error_of([&] { make_npy(fixture("nchw_float32.npy"), fixture(labels), Layout::nchw, classes); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == fixture(labels).string() + " cannot be used as labels");
    return *error;
  };
  CHECK(refused("labels_two.npy", 0).detail() == "it has 2 labels for 3 images");
  CHECK(refused("labels_two.npy", 0).hint() == "give one label per image");
  CHECK(refused("labels_negative.npy", 10).detail() == "the label of image 1 is -1, and labels are 0 to 9");
  CHECK(refused("labels_int64.npy", 4).detail() == "the label of image 2 is 4, and labels are 0 to 3");
  CHECK(refused("labels_int64.npy", 4).hint() == "number the classes from 0, or correct 'classes'");
  CHECK(refused("labels_rank_2.npy", 0).detail() == "its shape is (3, 1), and 1 axis is needed");
  CHECK(refused("nchw_float32.npy", 0).detail() ==
        "its element type is '<f4', and one of '<i8', '<i4', '|u1' is needed");
  CHECK(refused("labels_rank_2.npy", 0).hint() ==
        "save it with numpy.save(path, numpy.ascontiguousarray(y[:, 0].astype('int64')))");
}

TEST_CASE("labels that would be destroyed by a conversion get no hint to convert them") {
  const TemporaryFolder folder;
  const auto hint = [&](const std::string& descr, const std::string& shape) {
    put(folder / "y.npy", npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + "}"));
    return error_of([&] { make_npy(fixture("nchw_float32.npy"), folder / "y.npy", Layout::nchw, 0); })->hint();
  };
  CHECK(hint("<i2", "(3,)") == "save it with numpy.save(path, numpy.ascontiguousarray(y.astype('int64')))");
  CHECK(contains(hint("<f4", "(3,)"), "if all values are whole numbers of classes, save y.astype('int64')"));
  CHECK(contains(hint("<f8", "(3, 1)"), "save y[:, 0].astype('int64'); numbers that the members predict"));
  for (const char* descr : {"<f4", "<i8", "|b1"})
    CHECK(hint(descr, "(3, 40)") ==
          "one row per image in one-hot form is saved as y.argmax(1); if several labels per image may be right, set "
          "combine: {activation: sigmoid}");
}

TEST_CASE("images of whole numbers are not made float32 since they would count as 0 to 1") {
  const TemporaryFolder folder;
  for (const char* descr : {"<i8", "<u2", "|i1"}) {
    put(folder / "x.npy",
        npy(std::string("{'descr': '") + descr + "', 'fortran_order': False, 'shape': (1, 1, 2, 2)}"));
    CHECK(refusal(folder / "x.npy").hint() ==
          "values from 0 to 255 are saved with numpy.save(path, numpy.ascontiguousarray(x.astype('uint8')))");
  }
}

}  // namespace
}  // namespace tutti::images
