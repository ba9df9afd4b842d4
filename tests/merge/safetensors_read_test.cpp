// Tests of reading safetensors: files of Python are understood, and every broken file is rejected with its reason.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>

#include "common/unique_fd.hpp"
#include "merge/safetensors.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/lfs_pointer_text.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/places.hpp"

namespace tutti::merge {
namespace {

using tutti::test::contains;
using tutti::test::error_of;
using tutti::test::TemporaryFolder;

const std::filesystem::path kPythonFile = tutti::test::in_sources("tests/merge/data/python.safetensors");

template <class Value>
std::vector<Value> values(const TensorView& tensor) {
  std::vector<Value> out(tensor.bytes.size() / sizeof(Value));
  std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
  return out;
}

void put_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string file_bytes(const std::string& header, const std::string& data) {
  std::string length(8, '\0');
  const std::uint64_t size = header.size();
  std::memcpy(length.data(), &size, 8);
  return length + header + data;
}

// The error that a file of these bytes gives; its kind, message and hint are the same for all.
std::string refused_file(const std::string& bytes) {
  const TemporaryFolder folder;
  put_bytes(folder / "bad.safetensors", bytes);
  const auto error = error_of([&] { Safetensors::read(folder / "bad.safetensors"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == (folder / "bad.safetensors").string() + " is not a valid safetensors file");
  CHECK(contains(error->hint(), "save the weights again"));
  return error->detail();
}

std::string refused_file(const std::string& header, const std::string& data) {
  return refused_file(file_bytes(header, data));
}

TEST_CASE("a file written by Python is read") {
  const Safetensors file = Safetensors::read(kPythonFile);
  CHECK(file.names() == std::vector<std::string>{"fc.bias", "fc.weight", "half", "mask", "nothing", "steps"});
  CHECK(file.metadata() == std::map<std::string, std::string>{{"made by", "Python"}});
  const TensorView weight = file.tensor("fc.weight");
  CHECK(weight.name == "fc.weight");
  CHECK(weight.dtype == Dtype::f32);
  CHECK(weight.shape == std::vector<std::int64_t>{2, 3});
  CHECK(values<float>(weight) == std::vector<float>{0, 0.25F, 0.5F, 0.75F, 1, 1.25F});
  CHECK(values<double>(file.tensor("fc.bias")) == std::vector<double>{-1.5, 2.5});
  CHECK(file.tensor("steps").shape.empty());
  CHECK(values<std::int64_t>(file.tensor("steps")) == std::vector<std::int64_t>{7});
  CHECK(file.tensor("mask").dtype == Dtype::boolean);
  CHECK(values<char>(file.tensor("mask")) == std::vector<char>{1, 0, 1});
  CHECK(file.tensor("half").dtype == Dtype::f16);
  CHECK(file.tensor("nothing").bytes.empty());
}

TEST_CASE("a copy of a file is independent") {
  Safetensors copy;
  {
    const Safetensors file = Safetensors::read(kPythonFile);
    copy = file;
  }
  CHECK(values<double>(copy.tensor("fc.bias")) == std::vector<double>{-1.5, 2.5});
}

TEST_CASE("a tensor that is not there is an error with the nearest name") {
  const Safetensors file = Safetensors::read(kPythonFile);
  CHECK(file.contains("fc.bias"));
  CHECK_FALSE(file.contains("fc.bais"));
  const auto error = error_of([&] { file.tensor("fc.bais"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == kPythonFile.string() + " has no tensor fc.bais");
  CHECK(error->detail() == "it has fc.bias, fc.weight, half, mask, nothing, steps");
  CHECK(error->hint() == "did you mean fc.bias?");
  CHECK(error_of([&] { file.tensor("something else"); })->hint().empty());
}

TEST_CASE("a file without tensors is read and says that it has none") {
  const TemporaryFolder folder;
  put_bytes(folder / "empty.safetensors", file_bytes("{}", ""));
  const Safetensors file = Safetensors::read(folder / "empty.safetensors");
  CHECK(file.names().empty());
  CHECK(error_of([&] { file.tensor("a"); })->detail() == "it has none");
}

TEST_CASE("a missing file of weights is an error that names it") {
  const auto error = error_of([] { Safetensors::read("/nowhere/a.safetensors"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "cannot read the weights /nowhere/a.safetensors");
  CHECK(error->detail() == "No such file or directory");
}

TEST_CASE("a folder in the place of weights is an error") {
  const TemporaryFolder folder;
  CHECK(error_of([&] { Safetensors::read(folder.path()); })->detail() == "Is a directory");
}

TEST_CASE("an open file is read from its first byte and its position stays") {
  const UniqueFd fd(::open(kPythonFile.c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(::lseek(fd.get(), 100, SEEK_SET) == 100);
  const Safetensors file = Safetensors::read(fd.get(), "the file");
  CHECK(values<double>(file.tensor("fc.bias")) == std::vector<double>{-1.5, 2.5});
  CHECK(::lseek(fd.get(), 0, SEEK_CUR) == 100);
  CHECK(error_of([&] { file.tensor("x"); })->message() == "the file has no tensor x");
}

TEST_CASE("an open file that is not valid is rejected by its name") {
  const UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto empty = error_of([&] { Safetensors::read(nothing.get(), "the file"); });
  REQUIRE(empty);
  CHECK(empty->message() == "the file is not a valid safetensors file");
  CHECK(empty->detail() == "it has 0 bytes, and the header's length needs 8");
  const auto closed = error_of([] { Safetensors::read(-1, "the file"); });
  REQUIRE(closed);
  CHECK(closed->message() == "cannot read the file");
  CHECK(closed->detail() == "Bad file descriptor");
}

TEST_CASE("a file shorter than the length of its header is rejected") {
  CHECK(refused_file("1234567") == "it has 7 bytes, and the header's length needs 8");
  CHECK(refused_file("") == "it has 0 bytes, and the header's length needs 8");
}

TEST_CASE("weights that torch.save wrote are reported as such") {
  CHECK(refused_file("PK\x03\x04 and the archive") == "it is a zip archive, as torch.save writes");
  CHECK(refused_file("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20") ==
        "it is a Python pickle, as torch.save wrote before PyTorch 1.6");
}

TEST_CASE("a header longer than the file is rejected before it is read") {
  CHECK(refused_file(file_bytes("{}", "").substr(0, 9)) == "its header would have 2 bytes, and only 1 follow");
  CHECK(refused_file(std::string(16, '\xff')) ==
        "its header would have 18446744073709551615 bytes, and at most 100000000 are allowed");
}

TEST_CASE("a header that is not a JSON object is rejected") {
  CHECK(contains(refused_file("{\"a\":", ""), "the header is not valid JSON"));
  CHECK(refused_file("[]", "") == "the header is not a JSON object");
}

TEST_CASE("metadata that are not strings are rejected") {
  CHECK(refused_file(R"({"__metadata__":3})", "") == "__metadata__ is not an object");
  CHECK(refused_file(R"({"__metadata__":{"epoch":3}})", "") == "the value of epoch in __metadata__ is not a string");
}

TEST_CASE("an entry without its fields is rejected") {
  CHECK(refused_file(R"({"a":3})", "") == "the entry of tensor a is not an object");
  CHECK(refused_file(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", "x") == "tensor a has no dtype");
  CHECK(refused_file(R"({"a":{"dtype":"F8","shape":[1],"data_offsets":[0,1]}})", "x") ==
        "tensor a has the unknown dtype F8");
  CHECK(refused_file(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", "x") ==
        "the shape of tensor a is not a list of whole numbers");
  CHECK(refused_file(R"({"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}})", "x") ==
        "the shape of tensor a is not a list of whole numbers");
  CHECK(refused_file(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", "x") ==
        "the data_offsets of tensor a are not two whole numbers");
  CHECK(refused_file(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,"1"]}})", "x") ==
        "the data_offsets of tensor a are not two whole numbers");
}

TEST_CASE("an impossible shape is rejected") {
  CHECK(refused_file(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", "x") ==
        "tensor a has the impossible shape [-1]");
  CHECK(refused_file(R"({"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", "") ==
        "tensor a has the impossible shape [4294967296, 4294967296]");
}

TEST_CASE("offsets outside the data are rejected") {
  CHECK(refused_file(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "x") ==
        "tensor a should be at bytes 0 to 2 of 1");
  CHECK(refused_file(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[-1,1]}})", "x") ==
        "tensor a should be at bytes -1 to 1 of 1");
  CHECK(refused_file(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[1,0]}})", "x") ==
        "tensor a should be at bytes 1 to 0 of 1");
}

TEST_CASE("offsets that do not match dtype and shape are rejected") {
  CHECK(refused_file(R"({"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,4]}})", "1234") ==
        "tensor a has 4 bytes, and F32 of shape [2, 1] needs 8");
}

TEST_CASE("tensors that overlap or leave holes are rejected") {
  const auto entry = [](int begin, int end) {
    return fmt::format(R"({{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}})", end - begin, begin, end);
  };
  const auto two = [&](int b1, int e1, int b2, int e2) {
    return fmt::format(R"({{"a":{},"b":{}}})", entry(b1, e1), entry(b2, e2));
  };
  CHECK(refused_file(two(0, 3, 2, 4), "1234") == "tensors a and b overlap");
  CHECK(refused_file(two(3, 4, 0, 2), "1234") == "bytes 2 to 3 of the data belong to no tensor");
  CHECK(refused_file(two(0, 1, 1, 3), "1234") == "bytes 3 to 4 of the data belong to no tensor");
}

TEST_CASE("the names and sizes of all dtypes are those of the format") {
  const std::vector<std::pair<std::string_view, std::size_t>> expected{
      {"F64", 64},        {"F32", 32},    {"F16", 16},    {"BF16", 16},   {"I64", 64},    {"I32", 32},
      {"I16", 16},        {"I8", 8},      {"U8", 8},      {"BOOL", 8},    {"U64", 64},    {"U32", 32},
      {"U16", 16},        {"C64", 64},    {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
      {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto dtype = static_cast<Dtype>(i);
    CHECK(dtype_name(dtype) == expected[i].first);
    CHECK(bits_of(dtype) == expected[i].second);
    CHECK(is_supported(dtype) ==
          (dtype != Dtype::c64 && expected[i].first.find('_') == std::string_view::npos && expected[i].first != "F4"));
  }
}

TEST_CASE("tensors of every dtype of the format are read whether anything computes with them or not") {
  const TemporaryFolder folder;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(Dtype::f4); ++i) {
    const auto dtype = static_cast<Dtype>(i);
    CAPTURE(dtype_name(dtype));
    const std::size_t bytes = 8 * bits_of(dtype) / 8;
    put_bytes(folder / "a.safetensors",
              file_bytes(fmt::format(R"({{"a":{{"dtype":"{}","shape":[2,4],"data_offsets":[0,{}]}}}})",
                                     dtype_name(dtype), bytes),
                         std::string(bytes, 'x')));
    const Safetensors file = Safetensors::read(folder / "a.safetensors");
    CHECK(file.tensor("a").dtype == dtype);
    CHECK(file.tensor("a").bytes.size() == bytes);
  }
  CHECK(refused_file(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})", "x") ==
        "tensor a has the impossible shape [3]");
}

TEST_CASE("a tensor that was left out because it is tied to another has the values of that one") {
  const TemporaryFolder folder;
  const std::string entry = R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
  put_bytes(folder / "a.safetensors",
            file_bytes(R"({"__metadata__":{"b":"a","c":"gone","format":"a"},)" + entry + "}", "xy"));
  const Safetensors file = Safetensors::read(folder / "a.safetensors");
  CHECK(file.names() == std::vector<std::string>{"a", "b"});
  CHECK(values<char>(file.tensor("b")) == std::vector<char>{'x', 'y'});
  // What the file has itself counts.
  put_bytes(
      folder / "b.safetensors",
      file_bytes(R"({"__metadata__":{"b":"a"},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},)" + entry + "}",
                 "xyz"));
  CHECK(values<char>(Safetensors::read(folder / "b.safetensors").tensor("b")) == std::vector<char>{'z'});
}

TEST_CASE("weights that are a Git LFS pointer are reported as one") {
  const TemporaryFolder folder;
  put_bytes(folder / "a.safetensors", tutti::test::kLfsPointer);
  const auto error = error_of([&] { Safetensors::read(folder / "a.safetensors"); });
  REQUIRE(error);
  CHECK(contains(error->message(), "a.safetensors is a Git LFS pointer"));
  CHECK(contains(error->hint(), "git lfs pull"));
}

}  // namespace
}  // namespace tutti::merge
