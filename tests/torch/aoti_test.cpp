// Tests of aoti members. Errors are tested with made-up packages, which need no compiler; real ones are
// made if TUTTI_PYTHON names a Python with torch.
#include <dlfcn.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <caffe2/serialize/inline_container.h>

#include "tests/torch/torch_doctest.hpp"

#include "merge/safetensors.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/places.hpp"
#include "tests/torch/requests.hpp"
#include "worker/torch/aoti_answer.hpp"
#include "worker/torch/aoti_file.hpp"
#include "worker/torch/models.hpp"

namespace tutti::worker {
namespace {

namespace fs = std::filesystem;
using test::answers;
using test::contains;
using test::error_of;
using test::TemporaryFolder;

constexpr std::string_view kModel = "data/aotinductor/model/";
constexpr const char* kGood =
    R"({"AOTI_DEVICE_KEY": "cpu", "AOTI_PLATFORM": "linux", "AOTI_CPU_ISA": "", "tutti.batch": "4"})";

using Records = std::vector<std::pair<std::string, std::string>>;

fs::path write_package(const fs::path& file, const Records& records) {
  caffe2::serialize::PyTorchStreamWriter writer(file.string());
  for (const auto& [name, text] : records) writer.writeRecord(name, text.data(), text.size());
  writer.writeEndOfFile();
  return file;
}

/// A package with this metadata whose library is not a library.
Records records_with(const std::string& metadata) {
  return {{fmt::format("{}a.wrapper_metadata.json", kModel), metadata},
          {fmt::format("{}a.wrapper.so", kModel), "no library"}};
}

MemberRequest aoti_request(std::vector<std::string> paths, const std::string& entry = "") {
  MemberRequest request = test::request_for(AotiModel{std::move(paths), {}});
  if (!entry.empty()) std::get<AotiModel>(request.model).entries = {entry};
  request.over = OutputKind::logits;
  return request;
}

Error error_with(const Records& records) {
  const TemporaryFolder folder;
  const auto error = error_of([&] { read_aoti_file(write_package(folder / "m.pt2", records), "2.11.0"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  return *error;
}

std::string problem_with(const std::string& metadata) {
  const std::string message = error_with(records_with(metadata)).message();
  return message.substr(message.find("m.pt2'") + 7);
}

std::vector<float> floats(const fs::path& file, const std::string& name) {
  const merge::Safetensors whole = merge::Safetensors::read(file);
  const auto bytes = whole.tensor(name).bytes;
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

/// Every row of `found` is Python's output for the same image.
void check_rows(const std::vector<float>& found, const TemporaryFolder& folder) {
  const std::vector<float> expected = floats(folder / "answers.safetensors", "answers");
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(std::abs(found[i] - expected[i]) < 1e-5F);
}

// A package of a fixed batch predicts every row of shorter and longer batches correctly.
void check_fixed_batches(const TemporaryFolder& folder) {
  const std::vector<float> images = floats(folder / "answers.safetensors", "images");
  for (const std::uint32_t batch : {4U, 1U, 3U, 8U, 9U}) {
    auto model = make_torch_model(aoti_request({(folder / "fixed4.pt2").string()}));
    CAPTURE(batch);
    check_rows(answers(*model, images, 9, batch), folder);
    CHECK(model->output() == Dims{7});
    CHECK(model->parameters() > 0);
  }
}

// A package for any batch predicts every row correctly.
void check_any_batch(const TemporaryFolder& folder) {
  const std::vector<float> images = floats(folder / "answers.safetensors", "images");
  auto model = make_torch_model(aoti_request({(folder / "any.pt2").string()}));
  for (const std::uint32_t batch : {9U, 1U, 2U, 5U}) check_rows(answers(*model, images, 9, batch), folder);
}

// Each batch uses the smallest of several packages that holds it.
void check_several_packages(const TemporaryFolder& folder) {
  const std::vector<float> images = floats(folder / "answers.safetensors", "images");
  auto model = make_torch_model(aoti_request({(folder / "fixed4.pt2").string(), (folder / "fixed1.pt2").string()}));
  for (const std::uint32_t batch : {4U, 1U, 3U, 9U}) check_rows(answers(*model, images, 9, batch), folder);
  auto of_one = make_torch_model(aoti_request({(folder / "fixed1.pt2").string()}));
  CHECK(answers(*model, images, 9, 1) == answers(*of_one, images, 9, 1));
}

// An entry of the tuple or dict that a package outputs is chosen by name or place.
void check_entries(const TemporaryFolder& folder) {
  const std::vector<float> images = floats(folder / "answers.safetensors", "images");
  for (const auto& [file, entry] :
       {std::pair{"tuple.pt2", "1"}, std::pair{"dict.pt2", "pooler_output"}, std::pair{"dict.pt2", "1"}})
    check_rows(answers(*make_torch_model(aoti_request({(folder / file).string()}, entry)), images, 9, 4), folder);
  const auto error_for = [&](const char* file, const char* entry) {
    const auto error =
        error_of([&] { make_torch_model(aoti_request({(folder / file).string()}, entry))->probe(images.data(), 4); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    return *error;
  };
  CHECK(error_for("dict.pt2", "poolr_output").hint() == "did you mean 'output: pooler_output'?");
  CHECK(error_for("dict.pt2", "hidden").message() == "'hidden' of the model's output is of type tuple, not a tensor");
  CHECK(error_for("dict.pt2", "").message() == "the model outputs a dict, not a tensor");
  CHECK(error_for("dict.pt2", "").detail() == "it has 'hidden': tuple, 'pooler_output': [4, 7]");
  CHECK(error_for("tuple.pt2", "2").detail() == "tuple of 2: it has '0': [4, 3], '1': [4, 7]");
  CHECK(error_for("fixed4.pt2", "0").message() == "the model's output has no '0'");
}

// Images of another size and a model of two inputs are rejected before anything runs.
void check_other_inputs(const TemporaryFolder& folder) {
  MemberRequest request = aoti_request({(folder / "fixed4.pt2").string()});
  request.takes = {TakenTensor::unchanged(ImageShape{3, 32, 16}.layout())};
  auto error = error_of([&] { make_torch_model(request); });
  REQUIRE(error);
  CHECK(contains(error->message(), "fixed4.pt2' takes images of 3x32x32, not 3x32x16"));
  error = error_of([&] { make_torch_model(aoti_request({(folder / "two.pt2").string()})); });
  REQUIRE(error);
  CHECK(contains(error->message(), "two.pt2' takes more than one input"));
}

// Nothing is unpacked and of CUDA nothing is loaded.
void check_nothing_is_unpacked(const TemporaryFolder& folder) {
  auto model = make_torch_model(aoti_request({(folder / "fixed4.pt2").string()}));
  const std::string maps = test::bytes_of("/proc/self/maps");
  CHECK(contains(maps, "/memfd:tutti-aoti"));
  CHECK_FALSE(contains(maps, "libtorch_cuda"));
  CHECK_FALSE(contains(maps, "wrapper.so"));
}

TEST_CASE("a package that cannot run here says what it was made for") {
  CHECK(problem_with(R"({"AOTI_DEVICE_KEY": "cuda"})") == "was made for device 'cuda', not for the CPU");
  CHECK(problem_with("{}") == "was made for device '', not for the CPU");
  CHECK(contains(problem_with(R"({"AOTI_DEVICE_KEY": "cpu", "AOTI_PLATFORM": "linux", "AOTI_MACHINE": "s390x"})"),
                 "was made for linux s390x, not for linux "));
  CHECK(contains(problem_with(R"({"AOTI_DEVICE_KEY": "cpu", "AOTI_PLATFORM": "win32"})"), "was made for win32 "));
  CHECK(problem_with(R"({"AOTI_DEVICE_KEY": "cpu", "tutti.torch": "2.10.1"})") ==
        "was made by torch 2.10.1, and this is torch 2.11.0");
  CHECK(contains(error_with(records_with(R"({"AOTI_DEVICE_KEY": "cuda"})")).hint(), "python -m tutti.export"));
}

TEST_CASE("instructions that the processor lacks are named and those that it has are not") {
  const std::string flags = "flags : fpu avx avx2 fma avx512f avx512bw avx512dq avx512vl";
  CHECK(missing_instructions("AVX2", flags).empty());
  CHECK(missing_instructions("AVX512 AVX512_VNNI", flags) == "AVX512_VNNI");
  CHECK(missing_instructions("AVX512 AMX_TILE", "flags : avx2 fma") == "AVX512 and AMX_TILE");
  CHECK(missing_instructions("AVX512 AVX512", "flags : avx512f") == "AVX512");
  CHECK(missing_instructions("INVALID_VEC_ISA DEFAULT", "").empty());
#ifdef __x86_64__
  CHECK(problem_with(R"({"AOTI_DEVICE_KEY": "cpu", "AOTI_CPU_ISA": "SVE256"})") ==
        "needs SVE256, which this processor does not have");
#else
  CHECK(problem_with(R"({"AOTI_DEVICE_KEY": "cpu", "AOTI_CPU_ISA": "AVX512"})") ==
        "needs AVX512, which this processor does not have");
#endif
}

TEST_CASE("a package that does not say which batch sizes it takes is rejected") {
  CHECK(problem_with(R"({"AOTI_DEVICE_KEY": "cpu"})") == "does not say which batch sizes it takes");
  CHECK(problem_with(R"({"AOTI_DEVICE_KEY": "cpu", "tutti.batch": "many"})") ==
        "has the metadata 'tutti.batch': 'many'");
  CHECK(problem_with(R"({"AOTI_DEVICE_KEY": "cpu", "tutti.batch": "0"})") == "has the metadata 'tutti.batch': '0'");
}

TEST_CASE("what a package takes is read from its metadata and from the checks in its source") {
  const TemporaryFolder folder;
  const auto input = [&](const std::string& metadata) {
    return read_aoti_file(write_package(folder / "m.pt2", records_with(metadata)), "2.11.0").input;
  };
  CHECK(input(kGood).least == 4);
  CHECK(input(kGood).most == 4);
  const AotiInput any = input(R"({"AOTI_DEVICE_KEY": "cpu", "tutti.batch": "dynamic", "tutti.max_batch": "64"})");
  CHECK(any.least == 1);
  CHECK(any.most == 64);
  const std::string source = R"(
        ss << "input_handles[0]: unmatched dtype, "
           << "expected: " << x_expected_dtype << "(at::kFloat), "
        ss << "input_handles[0]: dim value is too small at 0, "
           << "expected it to be >= 2, " << "but got: "
        ss << "input_handles[0]: dim value is too large at 0, "
           << "expected to be <= 1024, " << "but got: "
        ss << "input_handles[0]: unmatched dim value at 1, "
           << "expected: 3, " << "but got: " << x_size[1]
        ss << "input_handles[0]: unmatched dim value at 2, "
           << "expected: 224, " << "but got: " << x_size[2])";
  const auto found = input_of_source(source);
  REQUIRE(found);
  CHECK(found->least == 2);
  CHECK(found->most == 1024);
  CHECK(found->channels == 3);
  CHECK(found->height == 224);
  CHECK_FALSE(found->width);
  CHECK_FALSE(input_of_source("int main() {}"));
}

TEST_CASE("files that are not packages or lack their library are named in few words") {
  const TemporaryFolder folder;
  auto error = error_of([&] { read_aoti_file(folder / "absent.pt2", "2.11.0"); });
  REQUIRE(error);
  CHECK(error->message() == "there is no file '" + (folder / "absent.pt2").string() + "'");
  std::ofstream(folder / "text.pt2") << "not a package";
  error = error_of([&] { read_aoti_file(folder / "text.pt2", "2.11.0"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->message(), "text.pt2' is not a model file"));
  CHECK_FALSE(contains(error->detail(), "frame #"));
  CHECK(contains(error_with({{"data.json", "x"}}).message(), "is not an AOTInductor package"));
  CHECK(contains(error_with({{"data.pkl", "x"}}).message(), "holds weights without a network"));
  CHECK(contains(error_with({{fmt::format("{}a_metadata.json", kModel), kGood}}).message(), "has no library to load"));
  Records apart = records_with(kGood);
  apart.emplace_back(fmt::format("{}a_weights_config.json", kModel), "{}");
  CHECK(contains(error_with(apart).message(), "keeps its weights outside its library"));
  CHECK(contains(error_with({{"data/aotinductor/a/x.so", ""}, {"data/aotinductor/b/x.so", ""}}).message(),
                 "holds several models"));
  CHECK(contains(error_with(records_with("{")).message(), "as an AOTInductor package"));
}

TEST_CASE("a library that cannot be loaded and a member on CUDA are errors with a way out") {
  const TemporaryFolder folder;
  write_package(folder / "m.pt2", records_with(kGood));
  auto error = error_of([&] { make_torch_model(aoti_request({(folder / "m.pt2").string()})); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->message(), "the library in '"));
  CHECK(contains(error->hint(), "export it again with torch"));
  MemberRequest request = aoti_request({(folder / "m.pt2").string()});
  request.cuda = true;
  error = error_of([&] { make_torch_model(request); });
  REQUIRE(error);
  CHECK(error->message() == "an aoti member cannot run on CUDA yet");
}

// An aoti member is neither trained nor saved.
void check_refusals(const TemporaryFolder& folder) {
  const MemberRequest refused = aoti_request({(folder / "fixed1.pt2").string()});
  const auto model = make_torch_model(refused);
  CHECK(model->trainable() == nullptr);
  auto error = error_of([&] { trainable_part(*model, refused, "trained"); });
  REQUIRE(error);
  CHECK(error->message() == "an aoti member cannot be trained");
  error = error_of([&] { trainable_part(*model, refused, "saved"); });
  REQUIRE(error);
  CHECK(error->message() == "an aoti member cannot be saved");
}

TEST_CASE("packages made by this torch give every row of Python and say what does not fit") {
  const char* python = std::getenv("TUTTI_PYTHON");
  if (python == nullptr || *python == '\0') {
    MESSAGE("SKIPPED: TUTTI_PYTHON names no Python with torch");
    return;
  }
  const TemporaryFolder folder;
  const std::string command =
      fmt::format("TORCHINDUCTOR_CACHE_DIR='{}' '{}' '{}/kept_packages.py' '{}'", (folder / "cache").string(), python,
                  test::in_sources("tests/torch/data").string(), (folder / "").string());
  REQUIRE(std::system(command.c_str()) == 0);
  check_fixed_batches(folder);
  check_any_batch(folder);
  check_several_packages(folder);
  check_entries(folder);
  check_other_inputs(folder);
  check_nothing_is_unpacked(folder);
  check_refusals(folder);
}

TEST_CASE("the form of an output is read from its text and guessed if that is not understood") {
  const AnswerForm leaf = answer_form(R"([1, {"type": null, "context": null, "children_spec": []}])");
  CHECK(leaf.type.empty());
  const AnswerForm output = answer_form(
      R"([1, {"type": "a.b.ModelOutput", "context": "[\"x\", \"y\"]", "children_spec": [
        {"type": "builtins.tuple", "context": "null", "children_spec": [
          {"type": null, "context": null, "children_spec": []}, {"type": null, "context": null, "children_spec": []}]},
        {"type": null, "context": null, "children_spec": []}]}])");
  CHECK(output.type == "ModelOutput");
  REQUIRE(output.items.size() == 2);
  CHECK(output.items[0].name == "x");
  CHECK(output.items[0].leaves == 2);
  CHECK(output.items[0].type == "tuple");
  CHECK(output.items[1].type.empty());
  const std::vector<at::Tensor> outputs{at::zeros({1}), at::ones({1}), at::full({1}, 2.0F)};
  std::vector<NamedLayout> parts;
  CHECK(chosen_outputs(output, outputs, {"y"}, parts).item().toFloat() == 2);
  CHECK(parts.empty());
  for (const char* text : {"", "{", "[1]", "[1, 2]"}) {
    CAPTURE(text);
    CHECK(chosen_outputs(answer_form(text), outputs, {"1"}, parts).item().toFloat() == 1);
    const at::Tensor joined = chosen_outputs(answer_form(text), outputs, {"2", "0"}, parts);
    CHECK(joined.sizes().vec() == std::vector<std::int64_t>{1, 2});
    CHECK(joined[0][0].item().toFloat() == 2);
    REQUIRE(parts.size() == 2);
    CHECK(parts[0] == NamedLayout{"2", {Dtype::float32, {}}});
    parts.clear();
  }
}

}  // namespace
}  // namespace tutti::worker
