// Tests of writing safetensors: what is written is read again, byte by byte the same each time, or not written at all.
#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "common/atomic_file.hpp"
#include "merge/safetensors.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::merge {
namespace {

using test::error_of;
using test::TemporaryFolder;

constexpr std::array kWeights{1.0F, -2.0F, 3.5F, 0.25F, 5.0F, -6.0F};
constexpr std::array<std::int64_t, 1> kSteps{41};

TensorView weights(std::string name = "fc.weight") {
  return {std::move(name), Dtype::f32, {2, 3}, std::as_bytes(std::span(kWeights))};
}
TensorView steps() { return {"adam.steps", Dtype::i64, {}, std::as_bytes(std::span(kSteps))}; }

TEST_CASE("what is written is read again") {
  const TemporaryFolder folder;
  const std::map<std::string, std::string> metadata{{"seed", "3"}, {"text", "a \"quoted\" line\n"}};
  write_safetensors(folder / "a.safetensors", std::array{weights(), steps()}, metadata);
  const Safetensors file = Safetensors::read(folder / "a.safetensors");
  CHECK(file.names() == std::vector<std::string>{"adam.steps", "fc.weight"});
  CHECK(file.metadata() == metadata);
  CHECK(file.tensor("fc.weight").shape == std::vector<std::int64_t>{2, 3});
  CHECK(file.tensor("fc.weight").dtype == Dtype::f32);
  CHECK(std::memcmp(file.tensor("fc.weight").bytes.data(), kWeights.data(), sizeof kWeights) == 0);
  CHECK(file.tensor("adam.steps").shape.empty());
  CHECK(std::memcmp(file.tensor("adam.steps").bytes.data(), kSteps.data(), sizeof kSteps) == 0);
}

TEST_CASE("the bytes are the same in any order of the tensors and the data begin at a multiple of eight") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", std::array{weights(), steps()});
  write_safetensors(folder / "b", std::array{steps(), weights()});
  const std::string bytes = read_text(folder / "a", "the weights");
  CHECK(bytes == read_text(folder / "b", "the weights"));
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  CHECK(header % 8 == 0);
  CHECK(bytes.size() == 8 + header + sizeof kWeights + sizeof kSteps);
  CHECK(bytes.substr(8, header) == R"({"adam.steps":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                                   R"("fc.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]}})"
                                   "  ");
}

TEST_CASE("no tensors at all is a file too") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {});
  CHECK(Safetensors::read(folder / "a").names().empty());
}

std::string refusal(std::span<const TensorView> tensors) {
  const TemporaryFolder folder;
  const auto error = error_of([&] { write_safetensors(folder / "a", tensors); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "cannot write the weights " + (folder / "a").string());
  CHECK(folder.names().empty());
  return error->detail();
}

TEST_CASE("tensors that do not make a file are rejected") {
  CHECK(refusal(std::array{weights(), steps(), weights()}) == "two tensors are named fc.weight");
  CHECK(refusal(std::array{weights("__metadata__")}) == "a tensor must not be named __metadata__");
  TensorView wrong = weights();
  wrong.shape = {7};
  CHECK(refusal(std::array{wrong}) == "tensor fc.weight has 24 bytes, and F32 of shape [7] needs 28");
  wrong.shape = {-1, 3};
  CHECK(refusal(std::array{wrong}) == "tensor fc.weight cannot be F32 of shape [-1, 3]");
}

TEST_CASE("a sink gets the same bytes as a file with the header first") {
  const TemporaryFolder folder;
  const std::array tensors{weights(), steps()};
  write_safetensors(folder / "a", tensors, {{"seed", "3"}});
  std::string bytes;
  std::vector<std::size_t> pieces;
  const auto append = [&](std::span<const std::byte> piece) {
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    pieces.push_back(piece.size());
  };
  write_safetensors(append, "a sink", tensors, {{"seed", "3"}});
  CHECK(bytes == read_text(folder / "a", "the weights"));
  REQUIRE(pieces.size() == 3);
  CHECK(pieces[1] == sizeof kSteps);
  CHECK(pieces[2] == sizeof kWeights);
}

TEST_CASE("a sink gets nothing of tensors that do not make a file and what it throws passes") {
  int calls = 0;
  const ByteSink count = [&](std::span<const std::byte>) { ++calls; };
  const auto refused = error_of([&] { write_safetensors(count, "the checkpoint", std::array{steps(), steps()}); });
  REQUIRE(refused);
  CHECK(refused->message() == "cannot write the checkpoint");
  CHECK(calls == 0);
  const ByteSink full = [](std::span<const std::byte>) { throw Error(ErrorKind::failed, "full"); };
  CHECK(error_of([&] { write_safetensors(full, "the checkpoint", std::array{steps()}); })->message() == "full");
}

TEST_CASE("weights for a missing folder are an error that names the file") {
  const auto error = error_of([] { write_safetensors("/nowhere/a.safetensors", std::array{weights()}); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "could not write /nowhere/a.safetensors");
}

}  // namespace
}  // namespace tutti::merge
