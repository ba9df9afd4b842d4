// Tests of checkpoints: files and folders as Hugging Face writes them, read part by part.
#include "merge/checkpoint.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/merge/tensors.hpp"
#include "tests/support/places.hpp"

namespace tutti::merge {
namespace {

using test::f32;
using tutti::test::contains;
using tutti::test::error_of;
using tutti::test::TemporaryFolder;

const std::filesystem::path kWritten = tutti::test::in_sources("tests/merge/data/python.safetensors");
constexpr const char* kIndex = "model.safetensors.index.json";

void put(const std::filesystem::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

std::vector<float> read(const Checkpoint& checkpoint, std::string_view name, std::uint64_t from, std::size_t count) {
  std::vector<float> out(count);
  checkpoint.read(name, from * sizeof(float), std::as_writable_bytes(std::span(out)));
  return out;
}

// Two shards with tensors a, b and c.
void write_shards(const TemporaryFolder& folder) {
  test::write(folder / "one.safetensors", {f32("b", {2}, {3, 4}), f32("c", {}, {5})}, {{"format", "pt"}});
  test::write(folder / "two.safetensors", {f32("a", {2, 1}, {1, 2})});
  put(folder / kIndex, R"({"metadata": {"total_size": 20},
      "weight_map": {"a": "two.safetensors", "b": "one.safetensors", "c": "one.safetensors"}})");
}

Error refusal(const std::filesystem::path& path) {
  const auto error = error_of([&] { Checkpoint::open(path); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  return *error;
}

Error index_refusal(const std::string& text) {
  const TemporaryFolder folder;
  write_shards(folder);
  put(folder / kIndex, text);
  const Error error = refusal(folder.path());
  CHECK(error.message() == fmt::format("{} is not a valid index of weights", (folder / kIndex).string()));
  CHECK(contains(error.hint(), "save_pretrained"));
  return error;
}

TEST_CASE("a file written by Python is opened without its bytes and read in parts") {
  const Checkpoint file = Checkpoint::open(kWritten);
  CHECK(file.path() == kWritten);
  CHECK(file.names() == std::vector<std::string>{"fc.bias", "fc.weight", "half", "mask", "nothing", "steps"});
  CHECK(file.metadata() == std::map<std::string, std::string>{{"made by", "Python"}});
  CHECK(file.form("fc.weight") == TensorForm{Dtype::f32, {2, 3}, 24});
  CHECK(file.form("steps") == TensorForm{Dtype::i64, {}, 8});
  CHECK(file.contains("mask"));
  CHECK_FALSE(file.contains("mast"));
  CHECK(read(file, "fc.weight", 0, 6) == std::vector<float>{0, 0.25F, 0.5F, 0.75F, 1, 1.25F});
  CHECK(read(file, "fc.weight", 2, 3) == std::vector<float>{0.5F, 0.75F, 1});
  CHECK(read(file, "fc.weight", 6, 0).empty());
  std::uint64_t sum = 0;
  for (const std::string& name : file.names()) sum += file.form(name).bytes;
  CHECK(file.bytes() == sum);
}

TEST_CASE("a checkpoint that moved can still be read") {
  Checkpoint first = Checkpoint::open(kWritten);
  Checkpoint second = std::move(first);
  first = std::move(second);
  CHECK(read(first, "fc.weight", 1, 1) == std::vector<float>{0.25F});
}

TEST_CASE("a folder with one file of weights is opened by its name") {
  const TemporaryFolder folder;
  write_shards(folder);  // the single file comes first, as for transformers
  test::write(folder / "model.safetensors", {f32("x", {1}, {7})});
  CHECK(Checkpoint::open(folder.path()).names() == std::vector<std::string>{"x"});
}

TEST_CASE("the shards of a folder are one checkpoint") {
  const TemporaryFolder folder;
  write_shards(folder);
  const Checkpoint all = Checkpoint::open(folder.path());
  CHECK(all.names() == std::vector<std::string>{"a", "b", "c"});
  CHECK(all.form("a") == TensorForm{Dtype::f32, {2, 1}, 8});
  CHECK(all.metadata() == std::map<std::string, std::string>{{"format", "pt"}});
  CHECK(all.bytes() == 20);
  CHECK(all.files() == std::vector<std::filesystem::path>{folder / "one.safetensors", folder / "two.safetensors"});
  CHECK(read(all, "a", 0, 2) == std::vector<float>{1, 2});
  CHECK(read(all, "b", 1, 1) == std::vector<float>{4});
  CHECK(read(all, "c", 0, 1) == std::vector<float>{5});
}

TEST_CASE("a tensor that a checkpoint does not have is an error with the nearest name") {
  const Checkpoint file = Checkpoint::open(kWritten);
  for (const auto& error : {error_of([&] { file.form("fc.bais"); }), error_of([&] { file.read("fc.bais", 0, {}); })}) {
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == kWritten.string() + " has no tensor fc.bais");
    CHECK(error->hint() == "did you mean fc.bias?");
  }
}

TEST_CASE("of many tensors an error lists the first") {
  const TemporaryFolder folder;
  std::vector<test::Tensor> tensors;
  for (int i = 10; i < 40; ++i) tensors.push_back(f32(fmt::format("t{}", i), {}, {1}));
  test::write(folder / "many.safetensors", tensors);
  const Checkpoint many = Checkpoint::open(folder / "many.safetensors");
  const auto error = error_of([&] { many.form("other"); });
  REQUIRE(error);
  CHECK(contains(error->detail(), "it has t10, t11, "));
  CHECK(contains(error->detail(), ", t29 and 10 more"));
}

TEST_CASE("bytes outside a tensor are not read") {
  const Checkpoint file = Checkpoint::open(kWritten);
  std::vector<std::byte> out(8);
  const auto error = error_of([&] { file.read("fc.weight", 20, out); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "cannot read bytes 20 to 28 of tensor fc.weight in " + kWritten.string());
  CHECK(error->detail() == "it has 24 bytes");
  CHECK(error_of([&] { file.read("fc.weight", ~std::uint64_t{0}, out); }));
}

TEST_CASE("a file that became shorter is an error and no signal") {
  const TemporaryFolder folder;
  test::write(folder / "a.safetensors", {f32("a", {4}, {1, 2, 3, 4})});
  const Checkpoint file = Checkpoint::open(folder / "a.safetensors");
  std::filesystem::resize_file(folder / "a.safetensors", 20);
  const auto error = error_of([&] { read(file, "a", 0, 4); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == fmt::format("could not read the weights {}", (folder / "a.safetensors").string()));
  CHECK(error->detail() == "it became shorter while it was read");
}

TEST_CASE("nothing in the place of a checkpoint is named") {
  const Error error = refusal("/nowhere/model");
  CHECK(error.message() == "cannot read the weights /nowhere/model");
  CHECK(error.detail() == "No such file or directory");
}

TEST_CASE("a malformed file in a folder is named") {
  const TemporaryFolder folder;
  put(folder / "model.safetensors", "short");
  CHECK(refusal(folder.path()).message() ==
        fmt::format("{} is not a valid safetensors file", (folder / "model.safetensors").string()));
}

TEST_CASE("a folder without weights is rejected with what it has") {
  const TemporaryFolder folder;
  const std::string message =
      fmt::format("the folder {} has no model.safetensors and no {}", folder.path().string(), kIndex);
  const Error empty = refusal(folder.path());
  CHECK(empty.message() == message);
  CHECK(empty.detail().empty());
  CHECK(contains(empty.hint(), "save_pretrained"));

  put(folder / "pytorch_model.bin", "pickled");
  const Error pickled = refusal(folder.path());
  CHECK(pickled.message() == message);
  CHECK(pickled.detail() == "it has pytorch_model.bin, which only Python can convert safely");
  CHECK(contains(pickled.hint(), "safetensors.torch.save_file(torch.load('"));
  CHECK(contains(pickled.hint(), (folder / "pytorch_model.bin").string()));

  test::write(folder / "other.safetensors", {f32("x", {1}, {7})});
  const Error other = refusal(folder.path());
  CHECK(other.detail() == "it has other.safetensors");
  CHECK(other.hint() == "name one of these files");
}

TEST_CASE("a shard that is missing is named") {
  const TemporaryFolder folder;
  write_shards(folder);
  std::filesystem::remove(folder / "two.safetensors");
  const Error error = refusal(folder.path());
  CHECK(error.message() == fmt::format("the shard {} is missing", (folder / "two.safetensors").string()));
  CHECK(error.detail() == fmt::format("{} lists it", (folder / kIndex).string()));
  CHECK(contains(error.hint(), "copy all files"));
}

TEST_CASE("an invalid index is rejected with its reason") {
  CHECK(contains(index_refusal("{").detail(), "it is not valid JSON"));
  CHECK(index_refusal("[]").detail() == "it has no weight_map, a map of tensors to files");
  CHECK(index_refusal("{}").detail() == "it has no weight_map, a map of tensors to files");
  CHECK(index_refusal(R"({"weight_map": 3})").detail() == "it has no weight_map, a map of tensors to files");
  CHECK(index_refusal(R"({"weight_map": {}})").detail() == "its weight_map is empty");
  for (const char* name : {"3", R"("")", R"("../one.safetensors")", R"("/etc/passwd")", R"("..")", R"("a\u0000b")"})
    CHECK(contains(index_refusal(fmt::format(R"({{"weight_map": {{"a": {}}}}})", name)).detail(),
                   "the file of tensor a is "));
}

TEST_CASE("an index that does not match its shards is rejected") {
  CHECK(index_refusal(R"({"weight_map": {"a": "two.safetensors", "b": "one.safetensors"}})").detail() ==
        "tensor c is in one.safetensors, and the index does not list it");
  CHECK(index_refusal(R"({"weight_map": {"b": "two.safetensors", "c": "one.safetensors"}})").detail() ==
        "tensor b is in one.safetensors, and the index says two.safetensors");
  CHECK(index_refusal(R"({"weight_map": {"a": "two.safetensors", "d": "two.safetensors"}})").detail() ==
        "tensor d should be in two.safetensors, which does not have it");
}

TEST_CASE("a tensor in two shards is rejected") {
  const TemporaryFolder folder;
  write_shards(folder);
  test::write(folder / "two.safetensors", {f32("a", {2, 1}, {1, 2}), f32("b", {2}, {0, 0})});
  CHECK(refusal(folder.path()).detail() == "tensor b is in two.safetensors, and the index says one.safetensors");
}

}  // namespace
}  // namespace tutti::merge
