// Rows of saved predictions: each type becomes float32, and a file that is another one is noticed.
#include "common/saved_rows.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <vector>

#include <tutti/error.hpp>

#include "common/half.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

/// A file of three bytes and then these values, and rows of two of them.
template <class Value>
SavedRows write_rows(const std::filesystem::path& file, SavedType type, const std::vector<Value>& values) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << "abc";
  out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(Value)));
  out.close();
  SavedRows rows{.type = type, .shape = {2}, .rows = values.size() / 2, .offset = 3};
  rows.file_bytes = std::filesystem::file_size(file);
  rows.changed_ns = changed_ns_of(file);
  return rows;
}

std::vector<float> read(const std::filesystem::path& file, const SavedRows& rows, std::uint64_t first,
                        std::uint64_t count) {
  std::vector<float> values(count * rows.width());
  SavedReader(file, rows).read(first, values);
  return values;
}

TEST_CASE("rows of every type are read from any place as float32") {
  const TemporaryFolder folder;
  const auto file = folder / "x";
  CHECK(read(file, write_rows<float>(file, SavedType::float32, {1, 2, 3, 4, 5, 6}), 1, 2) ==
        std::vector<float>{3, 4, 5, 6});
  CHECK(read(file, write_rows<double>(file, SavedType::float64, {1, 2, 3, 0.1}), 1, 1) == std::vector<float>{3, 0.1F});
  const std::vector<std::uint16_t> halves{half_of_float(-1), half_of_float(0.5F), half_of_float(65504), 1};
  CHECK(read(file, write_rows(file, SavedType::float16, halves), 0, 2) ==
        std::vector<float>{-1, 0.5F, 65504, std::ldexp(1.0F, -24)});
  const std::vector<std::uint16_t> bfloats{bfloat_of_float(-1), bfloat_of_float(0x1p100F), 0x7f80, 0x3f81};
  CHECK(read(file, write_rows(file, SavedType::bfloat16, bfloats), 0, 2) ==
        std::vector<float>{-1, 0x1p100F, INFINITY, 1.0078125F});
}

TEST_CASE("more values than are converted at once are all read") {
  const TemporaryFolder folder;
  const auto file = folder / "x";
  std::vector<double> values(200'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) / 7;
  const auto found = read(file, write_rows(file, SavedType::float64, values), 1, 99'999);
  for (std::size_t i = 0; i < found.size(); ++i) REQUIRE(found[i] == static_cast<float>(values[i + 2]));
}

TEST_CASE("what float32 cannot hold becomes infinite") {
  const TemporaryFolder folder;
  const auto file = folder / "x";
  const auto found = read(file, write_rows<double>(file, SavedType::float64, {1e300, -1e300}), 0, 1);
  CHECK(std::isinf(found[0]));
  CHECK(found[1] == -found[0]);
}

TEST_CASE("a file that is gone or was changed is not read") {
  const TemporaryFolder folder;
  const auto file = folder / "x";
  const SavedRows rows = write_rows<float>(file, SavedType::float32, {1, 2, 3, 4});
  const auto error_now = [&] { return error_of([&] { SavedReader(file, rows); }); };
  CHECK_FALSE(error_now());
  std::filesystem::last_write_time(file, std::filesystem::last_write_time(file) + std::chrono::seconds(1));
  const auto changed = error_now();
  REQUIRE(changed);
  CHECK(changed->kind() == ErrorKind::usage);
  CHECK(changed->message() == file.string() + " was changed after this run began");
  CHECK(changed->detail() == "the predictions before and after would not belong together");
  CHECK(changed->hint() == "run again");
  std::filesystem::remove(file);
  const auto gone = error_now();
  REQUIRE(gone);
  CHECK(gone->message() == "cannot read " + file.string());
  CHECK(gone->detail() == "No such file or directory");
  CHECK(changed_ns_of(file) == 0);
}

TEST_CASE("a file that becomes shorter while it is read is an error and no signal") {
  const TemporaryFolder folder;
  const auto file = folder / "x";
  for (const SavedType type : {SavedType::float32, SavedType::float64}) {
    const SavedRows rows = type == SavedType::float32 ? write_rows<float>(file, type, {1, 2, 3, 4})
                                                      : write_rows<double>(file, type, {1, 2, 3, 4});
    SavedReader reader(file, rows);
    std::filesystem::resize_file(file, rows.file_bytes - 1);
    std::vector<float> values(2);
    reader.read(0, values);
    const auto error = error_of([&] { reader.read(1, values); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->message() == "could not read " + file.string());
    CHECK(error->detail() == "it became shorter while it was read");
  }
}

}  // namespace
}  // namespace tutti::test
