// .npz archives as NumPy writes them (data/make_npy.py): stored and compressed, and what cannot be read.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "common/atomic_file.hpp"
#include "common/tensor_text.hpp"
#include "images/archive.hpp"
#include "images/sources.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/array_files.hpp"
#include "tests/images/reading.hpp"
#include "tests/support/places.hpp"

namespace tutti::images {
namespace {

using test::contains;
using test::error_of;
using test::read_samples;
using test::TemporaryFolder;

std::filesystem::path archive_fixture(const std::string& name) { return test::in_sources("tests/images/data") / name; }

/// Prints why ctest should count the case as skipped, unless this build is one for it.
bool skipped(bool is_for_this_build) {
  if (!is_for_this_build) std::puts("SKIPPED: it is for builds with the other answer to whether there is minizip");
  return !is_for_this_build;
}

/// The error of opening this array of an archive.
Error archive_refusal(const std::filesystem::path& file, const std::string& array) {
  const auto error = error_of([&] { Archive(file).open(array); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == file.string() + " cannot be used as an archive of arrays");
  return *error;
}

TEST_CASE("the arrays of an archive are the tensors of a sample whether they are stored or compressed") {
  if (skipped(reads_archives())) return;
  for (const char* name : {"samples.npz", "compressed.npz"}) {
    CAPTURE(name);
    const std::string file = archive_fixture(name).string();
    const auto source = make_arrays({{"", file}}, file + ":labels", 0);
    CHECK(source->name() == "npy " + file);
    CHECK(source->count() == 3);
    CHECK(source->classes() == 5);
    CHECK(sample_text(source->tensors()) == "image (3x2x2 of uint8), table (4 of float32) and ids (a number of int64)");
    const auto samples = read_samples(*source, {2, 0});
    CHECK(samples.values<std::uint8_t>(0)[0] == 24);
    CHECK(samples.values<std::uint8_t>(0)[23] == 11);
    CHECK(samples.values<float>(1) == std::vector<float>{1, 1.125F, 1.25F, 1.375F, 0, 0.125F, 0.25F, 0.375F});
    CHECK(samples.values<std::int64_t>(2) == std::vector<std::int64_t>{-3, 5});
    CHECK(samples.labels == std::vector<std::int64_t>{4, 2});
    const std::vector<std::string> remarks = source->remarks();
    CHECK(remarks.size() == (name == std::string("samples.npz") ? 0 : 3));
    if (!remarks.empty())
      CHECK(contains(remarks[0], file + ":image is compressed; it was inflated to 164 bytes in a temporary file in "));
  }
}

TEST_CASE("one array of an archive is a tensor and images and labels come from archives too") {
  if (skipped(reads_archives())) return;
  const std::string file = archive_fixture("samples.npz").string();
  const auto source = make_arrays({{"ids", file + ":ids"}}, {}, 0);
  CHECK(sample_text(source->tensors()) == "ids (a number of int64)");
  const auto images = make_npy(file + ":image", file + ":labels", Layout::nchw, 0);
  CHECK(images->shape() == ImageShape{3, 2, 2});
  CHECK(images->has_bytes());
  CHECK(test::read(*images, {1}).pixels[0] == 12 / 255.0F);
  CHECK(test::read(*images, {1}).labels == std::vector<std::int64_t>{0});
}

TEST_CASE("an array that an archive does not have is refused with the nearest name") {
  if (skipped(reads_archives())) return;
  const Error error = archive_refusal(archive_fixture("samples.npz"), "imag");
  CHECK(error.detail() == "it has no array 'imag', but image, table, ids, labels");
  CHECK(error.hint() == "did you mean 'image'?");
  CHECK(archive_refusal(archive_fixture("samples.npz"), "something else").hint() == "name one of these");
  const std::string file = archive_fixture("samples.npz").string();
  const auto whole = error_of([&] { make_npy(file, {}, Layout::nchw, 0); });
  REQUIRE(whole);
  CHECK(whole->message() == file + " is an archive, and one array is needed");
  CHECK(whole->detail() == "it holds image, table, ids, labels");
  CHECK(whole->hint() == "name the array: " + file + ":image");
}

TEST_CASE("a file that is not an archive or is damaged is refused") {
  if (skipped(reads_archives())) return;
  const TemporaryFolder folder;
  test::write_file(folder / "a.npz", "no archive");
  CHECK(archive_refusal(folder / "a.npz", "x").detail() == "it has no directory of a zip file at its end");
  CHECK(archive_refusal(folder / "a.npz", "x").hint() == "save it with numpy.savez(path, image=x, table=t)");
  std::string bytes = read_text(archive_fixture("compressed.npz"), "the archive");
  const std::size_t place = bytes.find("image.npy") + 60;
  bytes[place] = static_cast<char>(bytes[place] ^ 0x55);
  test::write_file(folder / "b.npz", bytes);
  const Error damaged = archive_refusal(folder / "b.npz", "image");
  CHECK(damaged.detail() == "image is damaged");
  CHECK(damaged.hint() == "copy or save it again");
  bytes = read_text(archive_fixture("samples.npz"), "the archive");
  const std::size_t directory = bytes.find("PK\x01\x02");
  bytes[directory + 8] = static_cast<char>(bytes[directory + 8] | 1);
  test::write_file(folder / "c.npz", bytes);
  CHECK(archive_refusal(folder / "c.npz", "image").detail() == "'image' is encrypted");
  bytes[directory + 8] = static_cast<char>(bytes[directory + 8] & ~1);
  bytes[directory + 10] = 12;
  test::write_file(folder / "d.npz", bytes);
  CHECK(archive_refusal(folder / "d.npz", "image").detail() ==
        "'image' is compressed by method 12; Tutti reads stored and deflated arrays");
  const auto missing = error_of([] { Archive("/nowhere/x.npz"); });
  REQUIRE(missing);
  CHECK(missing->message() == "cannot read /nowhere/x.npz");
}

TEST_CASE("an archive of nothing but labels is refused") {
  if (skipped(reads_archives())) return;
  const std::string file = archive_fixture("only_labels.npz").string();
  const auto error = error_of([&] { make_arrays({{"", file}}, file + ":labels", 0); });
  REQUIRE(error);
  CHECK(error->message() == file + " holds no array besides the labels");
}

TEST_CASE("a build without minizip says so") {
  if (skipped(!reads_archives())) return;
  const auto error = error_of([] { Archive(archive_fixture("samples.npz")); });
  REQUIRE(error);
  CHECK(error->message() == "cannot read " + archive_fixture("samples.npz").string());
  CHECK(error->detail() == "this build of Tutti has no minizip, which reads .npz archives");
}

}  // namespace
}  // namespace tutti::images
