// What messages call tensors, and where arrays are.
#include "common/tensor_text.hpp"

#include <doctest/doctest.h>

#include <array>

#include "common/array_path.hpp"

namespace tutti::test {
namespace {

TEST_CASE("samples are called by their tensors and single images by their sizes") {
  const NamedLayout image{"image", {Dtype::uint8, {3, 4, 5}}};
  const NamedLayout number{"n", {Dtype::int64, {}}};
  CHECK(layout_text(image.layout) == "3x4x5 of uint8");
  CHECK(layout_text(number.layout) == "a number of int64");
  CHECK(sample_text(std::array{image}) == "3x4x5");
  CHECK(sample_text(std::array{number}) == "n (a number of int64)");
  CHECK(sample_text(std::array{image, number}) == "image (3x4x5 of uint8) and n (a number of int64)");
  CHECK(sample_text(std::array{NamedLayout{"x", image.layout}}) == "x (3x4x5 of uint8)");
  CHECK(and_list(std::array<std::string, 3>{"a", "b", "c"}) == "a, b and c");
  CHECK(and_list({}).empty());
  CHECK(names_of(std::array{image, number}) == std::vector<std::string>{"image", "n"});
}

TEST_CASE("a colon begins an entry only after the ending of an archive or a table") {
  const auto parts = [](const char* written) {
    const ArrayPath path = array_path(written);
    return path.file.string() + "|" + path.entry;
  };
  CHECK(parts("x.npy") == "x.npy|");
  CHECK(parts("a:b/x.npy") == "a:b/x.npy|");
  CHECK(parts("s.npz") == "s.npz|");
  CHECK(parts("d/s.npz:image") == "d/s.npz|image");
  CHECK(parts("T.CSV:a: b") == "T.CSV|a: b");
  CHECK(parts("a.csv:b.csv:c") == "a.csv|b.csv:c");
  CHECK(parts("a:b.npz:c") == "a:b.npz|c");
  CHECK(format_of_array("x.npz") == ArrayFormat::npz);
  CHECK(format_of_array("x.Csv") == ArrayFormat::csv);
  CHECK(format_of_array("x") == ArrayFormat::npy);
}

}  // namespace
}  // namespace tutti::test
