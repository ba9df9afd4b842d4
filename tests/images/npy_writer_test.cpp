// Tests of writing .npy arrays: NumPy's own bytes, whole or not at all.
#include <doctest/doctest.h>

#include <span>
#include <utility>
#include <vector>

#include "common/atomic_file.hpp"
#include "images/npy.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/places.hpp"

namespace tutti::images {
namespace {

using test::error_of;
using test::TemporaryFolder;

TEST_CASE("an array is written with the bytes that NumPy writes") {
  const TemporaryFolder folder;
  NpyWriter floats(folder / "x.npy", NpyType::float32, {3, 2, 2, 3});
  for (int part = 0; part < 4; ++part) {
    std::vector<float> values;
    for (int i = 0; i < 9; ++i) values.push_back(static_cast<float>(part * 9 + i));
    floats.write(values);
  }
  CHECK_FALSE(std::filesystem::exists(folder / "x.npy"));
  floats.finish();
  CHECK(read_text(folder / "x.npy", "the array") ==
        read_text(test::in_sources("tests/images/data/nchw_float32.npy"), "the array"));
  NpyWriter integers(folder / "y.npy", NpyType::int64, {3});
  integers.write(std::vector<std::int64_t>{2, 0, 4});
  integers.finish();
  CHECK(read_text(folder / "y.npy", "the array") ==
        read_text(test::in_sources("tests/images/data/labels_int64.npy"), "the array"));
}

TEST_CASE("the header of a written array is read again") {
  const TemporaryFolder folder;
  NpyWriter writer(folder / "x.npy", NpyType::float32, {0, 10});
  writer.finish();
  const NpyHeader header = read_npy_header(InputFile(folder / "x.npy"));
  CHECK(header.descr == "<f4");
  CHECK_FALSE(header.fortran_order);
  CHECK(header.shape == std::vector<std::uint64_t>{0, 10});
  CHECK(header.shape_text() == "(0, 10)");
  CHECK(header.data_offset % 64 == 0);
  CHECK(std::filesystem::file_size(folder / "x.npy") == header.data_offset);
  CHECK(NpyHeader{}.shape_text() == "()");
}

TEST_CASE("an array with fewer rows than announced is an error and no file") {
  const TemporaryFolder folder;
  {
    NpyWriter writer(folder / "x.npy", NpyType::float32, {3, 2});
    writer.write(std::vector{1.0F, 2.0F, 3.0F, 4.0F});
    const auto error = error_of([&] { writer.finish(); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->message() == "could not write " + (folder / "x.npy").string());
    CHECK(error->detail() == "6 values announced, and only 4 came");
  }
  CHECK(folder.names().empty());
}

TEST_CASE("the first rows of an array are an array whose header is as long as the whole one's") {
  const TemporaryFolder folder;
  NpyWriter writer(folder / "x.npy", NpyType::float32, {1000, 2});
  writer.write(std::vector{1.0F, 2.0F, 3.0F, 4.0F, 5.0F});
  writer.finish_partial(folder / "y.npy", 2);
  CHECK(folder.names() == std::vector<std::string>{"y.npy"});
  const InputFile file(folder / "y.npy");
  const NpyHeader header = read_npy_header(file);
  CHECK(header.shape == std::vector<std::uint64_t>{2, 2});
  CHECK(header.descr == "<f4");
  CHECK(header.data_offset == 128);
  CHECK(file.size() == 128 + 16);
  std::vector<float> values(4);
  file.read(128, std::as_writable_bytes(std::span(values)));
  CHECK(values == std::vector{1.0F, 2.0F, 3.0F, 4.0F});
  const std::string text = read_text(folder / "y.npy", "the array");
  CHECK(text.substr(10, 118) ==
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }" + std::string(58, ' ') + "\n");
}

TEST_CASE("values that are written at their places make the same array as values in a row") {
  const TemporaryFolder folder;
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  for (const bool rows : {false, true}) {
    NpyWriter in_a_row(folder / "a.npy", NpyType::float32, {3, 2});
    in_a_row.write(values);
    NpyWriter placed(folder / "b.npy", NpyType::float32, {3, 2});
    placed.write_at(4, std::span(values).subspan(4));
    placed.write_at(0, std::span(values).first(1));
    placed.write_at(1, std::span(values).subspan(1, 3));
    CHECK(error_of([&] { placed.write_at(0, std::span(values).first(1)); })->kind() == ErrorKind::failed);
    for (NpyWriter* writer : {&in_a_row, &placed})
      if (rows)
        writer->finish_partial(writer->path(), 2);
      else
        writer->finish();
    CHECK(read_text(folder / "a.npy", "an array") == read_text(folder / "b.npy", "an array"));
  }
}

TEST_CASE("a header that could be shorter for fewer rows keeps its length") {
  const TemporaryFolder folder;
  std::vector<std::uint64_t> shape(20, 1);  // long enough that ten digits less save a block of 64 bytes
  shape[0] = 1'000'000'000;
  NpyWriter writer(folder / "x.npy", NpyType::int64, shape);
  writer.write(std::vector<std::int64_t>{7, 8});
  writer.finish_partial(folder / "y.npy", 2);
  const InputFile file(folder / "y.npy");
  const NpyHeader header = read_npy_header(file);
  shape[0] = 2;
  CHECK(header.shape == shape);
  CHECK(header.data_offset == 192);
  std::vector<std::int64_t> values(2);
  file.read(192, std::as_writable_bytes(std::span(values)));
  CHECK(values == std::vector<std::int64_t>{7, 8});
}

TEST_CASE("an array with more rows than announced is an error and no file") {
  const TemporaryFolder folder;
  {
    NpyWriter writer(folder / "x.npy", NpyType::int64, {2});
    writer.write(std::vector<std::int64_t>{1});
    const auto error = error_of([&] { writer.write(std::vector<std::int64_t>{2, 3}); });
    REQUIRE(error);
    CHECK(error->message() == "could not write " + (folder / "x.npy").string());
    CHECK(error->detail() == "2 values announced, and there are 3");
  }
  CHECK(folder.names().empty());
}

/// Two rows of three values each.
const std::vector<float> kRows{1, 2, 3, 4, 5, 6};

TEST_CASE("rows in any order make the same array as rows in order, whatever becomes of it unfinished") {
  const TemporaryFolder folder;
  NpyWriter plain(folder / "plain.npy", NpyType::float32, {4, 3});
  plain.write(kRows);
  plain.write(kRows);
  plain.finish();
  for (const Unfinished unfinished : {Unfinished::goes, Unfinished::stays}) {
    NpyWriter writer(folder / "x.npy", NpyType::float32, {4, 3}, unfinished);
    writer.write_rows(2, std::span(kRows));
    writer.write_rows(0, std::span(kRows));
    writer.finish();
    CHECK(read_text(folder / "x.npy", "the array") == read_text(folder / "plain.npy", "the array"));
  }
  CHECK(folder.names().size() == 2);
}

TEST_CASE("an array that stays is continued and its rows are told from others") {
  const TemporaryFolder folder;
  std::uint32_t checksum = 0;
  {
    NpyWriter writer(folder / "x.npy", NpyType::int64, {4, 2}, Unfinished::stays);
    writer.write_rows(1, std::vector<std::int64_t>{1, 2, 3, 4});
    checksum = writer.checksum();
    writer.keep(true);
  }
  const std::string file = (folder / "x.npy.unfinished").string();
  NpyWriter writer(folder / "x.npy", NpyType::int64, {4, 2}, Unfinished::continues);
  CHECK(writer.mismatch(1, 2, checksum).empty());
  CHECK(writer.mismatch(1, 2, checksum + 1) == file + " holds other rows than were written");
  CHECK(writer.mismatch(0, 2, checksum) == file + " holds other rows than were written");
  CHECK(writer.mismatch(2, 2, checksum) == "rows are missing in " + file);
  std::vector<std::int64_t> rows(4);
  writer.read_rows(1, std::span(rows));
  CHECK(rows == std::vector<std::int64_t>{1, 2, 3, 4});
  writer.note_rows(1, 2);
  writer.write_rows(3, std::vector<std::int64_t>{5, 6});
  const auto error = error_of([&] { writer.finish(); });
  REQUIRE(error);
  CHECK(error->detail() == "8 values announced, and only 6 came");
  writer.write_rows(0, std::vector<std::int64_t>{7, 8});
  writer.finish();
  NpyWriter plain(folder / "plain.npy", NpyType::int64, {4, 2});
  plain.write(std::vector<std::int64_t>{7, 8, 1, 2, 3, 4, 5, 6});
  plain.finish();
  CHECK(read_text(folder / "x.npy", "the array") == read_text(folder / "plain.npy", "the array"));
}

TEST_CASE("rows that are gone when they are read again are an error that names the file") {
  const TemporaryFolder folder;
  NpyWriter writer(folder / "x.npy", NpyType::float32, {4, 3}, Unfinished::stays);
  writer.write_rows(0, std::span(kRows));
  std::filesystem::resize_file(folder / "x.npy.unfinished", 130);
  std::vector<float> rows(6);
  const auto error = error_of([&] { writer.read_rows(0, std::span(rows)); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "could not read " + (folder / "x.npy.unfinished").string());
  CHECK(error->detail() == "it ended early");
  CHECK(error->hint() == "make sure that no other program writes into the run folder");
}

TEST_CASE("the first rows of an array that stays are put in place and the array is continued") {
  const TemporaryFolder folder;
  std::uint32_t checksum = 0;
  {
    NpyWriter writer(folder / "x.npy", NpyType::float32, {4, 3}, Unfinished::stays);
    writer.write_rows(0, std::span(kRows));
    checksum = writer.checksum();
    writer.write_rows(2, std::span(kRows).first(3));
    writer.keep(true);
    writer.finish_partial(partial_of(folder / "x.npy"), 2);
  }
  CHECK(read_npy_header(InputFile(folder / "x.partial.npy")).shape == std::vector<std::uint64_t>{2, 3});
  CHECK(std::filesystem::file_size(folder / "x.partial.npy") == 128 + 24);
  NpyWriter writer(folder / "x.npy", NpyType::float32, {4, 3}, Unfinished::continues);
  // It would change with the array.
  CHECK_FALSE(std::filesystem::exists(folder / "x.partial.npy"));
  CHECK(writer.mismatch(0, 2, checksum).empty());
  writer.note_rows(0, 2);
  writer.write_rows(2, std::span(kRows));
  writer.finish_and_stay();
  CHECK(folder.names().size() == 2);
  CHECK(read_npy_header(InputFile(folder / "x.npy")).shape == std::vector<std::uint64_t>{4, 3});
  CHECK(std::filesystem::file_size(folder / "x.npy") == 128 + 48);
}

TEST_CASE("rows behind those that are put in place stay for a later run") {
  const TemporaryFolder folder;
  NpyWriter writer(folder / "x.npy", NpyType::float32, {4, 3}, Unfinished::stays);
  writer.write_rows(2, std::span(kRows));
  const std::uint32_t checksum = writer.checksum();
  writer.write_rows(0, std::span(kRows).first(3));
  NpyWriter later(folder / "x.npy", NpyType::float32, {4, 3}, Unfinished::continues);
  later.note_rows(2, 2);
  later.note_rows(0, 1);
  later.finish_partial(partial_of(folder / "x.npy"), 1);
  CHECK(later.mismatch(2, 2, checksum).empty());
  CHECK(read_npy_header(InputFile(folder / "x.partial.npy")).shape == std::vector<std::uint64_t>{1, 3});
}

}  // namespace
}  // namespace tutti::images
