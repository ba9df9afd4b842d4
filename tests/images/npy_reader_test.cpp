// Arrays that Tutti wrote, read back.
#include "images/npy_reader.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::images {
namespace {

using test::error_of;

template <class Value>
void write(const std::filesystem::path& path, NpyType type, const std::vector<std::uint64_t>& shape,
           const std::vector<Value>& values) {
  NpyWriter writer(path, type, shape);
  writer.write(std::span<const Value>(values));
  writer.finish();
}

TEST_CASE("rows that were written are read back from any place") {
  const test::TemporaryFolder folder;
  write<float>(folder / "a.npy", NpyType::float32, {3, 2}, {1, 2, 3, 4, 5, 6});
  const NpyReader floats(folder / "a.npy", NpyType::float32, 2);
  CHECK(floats.rows() == 3);
  CHECK(floats.width() == 2);
  std::vector<float> rows(4);
  floats.read(1, std::span(rows));
  CHECK(rows == std::vector<float>{3, 4, 5, 6});
  write<std::int64_t>(folder / "b.npy", NpyType::int64, {2}, {7, -1});
  const NpyReader classes(folder / "b.npy", NpyType::int64, 1);
  CHECK(classes.width() == 1);
  std::vector<std::int64_t> last(1);
  classes.read(1, std::span(last));
  CHECK(last.front() == -1);
}

TEST_CASE("arrays of another type or form or length are rejected with what they hold") {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.npy";
  const auto refusal = [&](NpyType type, std::size_t axes) {
    const auto error = error_of([&] { NpyReader(path, type, axes); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == path.string() + " was not written by a run");
    return error->detail();
  };
  write<float>(path, NpyType::float32, {3, 2}, {1, 2, 3, 4, 5, 6});
  CHECK(refusal(NpyType::int64, 1) == "it holds <f4 of the shape (3, 2), and <i8 of 1 axis is needed");
  CHECK(refusal(NpyType::float32, 1) == "it holds <f4 of the shape (3, 2), and <f4 of 1 axis is needed");
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 4);
  CHECK(refusal(NpyType::float32, 2) == "its shape is (3, 2), but 20 bytes follow the header");
  write<float>(path, NpyType::float32, {3, 0}, {});
  CHECK(refusal(NpyType::float32, 2) == "its shape is (3, 0)");
}

}  // namespace
}  // namespace tutti::images
