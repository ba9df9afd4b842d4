// Tests of the CIFAR-10 reader over small files of the same format.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <string>

#include "images/sources.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/reading.hpp"

namespace tutti::images {
namespace {

using test::contains;
using test::error_of;
using test::TemporaryFolder;

constexpr std::size_t kRecord = 3073;
constexpr const char* kHint = "download again with scripts/get-cifar10";

// The value of image `image` (of the whole set) at `place`.
std::uint8_t value(std::size_t image, std::size_t place) { return static_cast<std::uint8_t>(image * 31 + place % 251); }

void put_batch(const std::filesystem::path& path, std::size_t first, std::size_t images) {
  std::ofstream file(path, std::ios::binary);
  for (std::size_t i = first; i < first + images; ++i) {
    file.put(static_cast<char>(i % 10));
    for (std::size_t place = 0; place < kRecord - 1; ++place) file.put(static_cast<char>(value(i, place)));
  }
}

// Five batches of unequal length, 130 images in all, and 3 test images.
void put_all(const TemporaryFolder& folder) {
  const std::size_t lengths[] = {100, 1, 20, 2, 7};
  std::size_t first = 0;
  for (int batch = 0; batch < 5; ++batch) {
    put_batch(folder / fmt::format("data_batch_{}.bin", batch + 1), first, lengths[batch]);
    first += lengths[batch];
  }
  put_batch(folder / "test_batch.bin", 500, 3);
}

TEST_CASE("the five batches are one set to train and the test batch is the other") {
  const TemporaryFolder folder;
  put_all(folder);
  const auto train = make_cifar10(folder.path(), Split::train);
  CHECK(train->count() == 130);
  CHECK(train->name() == "cifar10 (train)");
  CHECK(train->shape() == ImageShape{3, 32, 32});
  CHECK(train->classes() == 10);
  CHECK(train->labelled());
  const auto images = test::read(*train, test::all_of(*train));
  for (std::size_t i = 0; i < 130; ++i) {
    CHECK(images.labels[i] == static_cast<std::int64_t>(i % 10));
    for (const std::size_t place : {std::size_t{0}, std::size_t{1024}, std::size_t{3071}})
      CHECK(images.pixels[i * 3072 + place] == static_cast<float>(value(i, place)) / 255.0F);
  }
  CHECK(test::bytes_are_the_floats(*train, {129, 3, 4, 60}));
  const auto test = make_cifar10(folder.path(), Split::test);
  CHECK(test->count() == 3);
  CHECK(test->name() == "cifar10 (test)");
  CHECK(test::read(*test, {2}).labels == std::vector<std::int64_t>{2});
  CHECK(test::read(*test, {2}).pixels[5] == static_cast<float>(value(502, 5)) / 255.0F);
}

TEST_CASE("images of several batches are the same in any order") {
  const TemporaryFolder folder;
  put_all(folder);
  const auto train = make_cifar10(folder.path(), Split::train);
  CHECK(test::any_order_gives_the_same(*train));
}

TEST_CASE("a missing folder or batch is an error that says how to download it") {
  const TemporaryFolder folder;
  const auto error = error_of([&] { make_cifar10(folder / "none", Split::test); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "cannot read " + (folder / "none" / "test_batch.bin").string());
  CHECK(error->detail() == "No such file or directory");
  CHECK(error->hint() == kHint);
  put_all(folder);
  std::filesystem::remove(folder / "data_batch_4.bin");
  CHECK(contains(error_of([&] { make_cifar10(folder.path(), Split::train); })->message(), "data_batch_4.bin"));
  std::filesystem::create_directory(folder / "data_batch_4.bin");
  CHECK(error_of([&] { make_cifar10(folder.path(), Split::train); })->detail() == "Is a directory");
}

TEST_CASE("a truncated batch is an error that says what was found and what is needed") {
  const TemporaryFolder folder;
  put_all(folder);
  for (const std::size_t bytes : {kRecord * 2 - 1, std::size_t{0}}) {
    std::filesystem::resize_file(folder / "test_batch.bin", bytes);
    const auto error = error_of([&] { make_cifar10(folder.path(), Split::test); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == (folder / "test_batch.bin").string() + " is truncated, or is not a CIFAR-10 file");
    CHECK(error->detail() ==
          fmt::format("it has {} bytes, and whole records of 3073 are needed (30730000 bytes in the complete file)",
                      bytes));
    CHECK(error->hint() == kHint);
  }
}

TEST_CASE("a label above nine is an error that names the file and the record") {
  const TemporaryFolder folder;
  put_all(folder);
  {
    std::fstream file(folder / "data_batch_3.bin", std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(5 * kRecord);
    file.put('\x0b');
  }
  const auto train = make_cifar10(folder.path(), Split::train);
  CHECK(test::read(*train, {105}).labels.size() == 1);
  const auto error = error_of([&] { test::read(*train, {104, 105, 106}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == (folder / "data_batch_3.bin").string() + " is damaged, or is not a CIFAR-10 file");
  CHECK(error->detail() == "record 5 has the label 11, and labels are 0 to 9");
  CHECK(error->hint() == kHint);
}

TEST_CASE("a batch that shrinks while it is read is an error") {
  const TemporaryFolder folder;
  put_all(folder);
  const auto test = make_cifar10(folder.path(), Split::test);
  std::filesystem::resize_file(folder / "test_batch.bin", kRecord + 10);
  CHECK(test::read(*test, {0}).labels.size() == 1);
  const auto error = error_of([&] { test::read(*test, {0, 1}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "could not read " + (folder / "test_batch.bin").string());
  CHECK(error->detail() == "it had 9219 bytes when it was opened and now ends at 3083");
  CHECK(error->hint() == "do not change the file while it is in use");
}

}  // namespace
}  // namespace tutti::images
