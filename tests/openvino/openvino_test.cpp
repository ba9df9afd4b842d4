// Members of kind `openvino`, in this process: the backend of tests/graph, and what is particular to OpenVINO. The
// models in data/ are those of make_models.py.
#include "worker/openvino/openvino_model.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "common/difference.hpp"
#include "common/values.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/graph/graph_backend.hpp"
#include "tests/support/places.hpp"
#include "worker/openvino/compiled_cache.hpp"
#include "worker/openvino/ov_library.hpp"

namespace tutti::test {

const GraphBackend kBackend{"OpenVINO",
                            [] { worker::ov::Library::get(); },
                            [](const std::string& path, const std::vector<std::string>& entries) {
                              return ModelKind(OpenVinoModel{path, entries});
                            },
                            worker::make_openvino_model,
                            ComputedBy::openvino,
                            /*sanitized=*/false};

namespace {

namespace fs = std::filesystem;
using worker::Model;
using worker::Samples;

std::string made(const std::string& name) { return test::in_sources("tests/openvino/data/" + name); }

MemberRequest with_streams(MemberRequest request, std::uint32_t streams, std::uint32_t threads) {
  std::get<OpenVinoModel>(request.model).streams = streams;
  request.threads = threads;
  return request;
}

TEST_CASE("OpenVINO reads every format and computes the same") {
  if (skipped()) return;
  for (const char* name : {"dense.xml", "half_weights.xml", "paddle.pdmodel"}) {
    CAPTURE(name);
    CHECK(predictions(request_of(made(name)), 2) == kDense);
  }
  for (const char* name : {"dense.pb", "dense_saved", "dense.tflite"}) {
    CAPTURE(name);
    CHECK(predictions(request_of(made(name)), 2) == predictions(request_for("channels_last"), 2));
  }
}

TEST_CASE("a model with int8 weights and activations is computed") {
  if (skipped()) return;
  const Floats exact = predictions(request_of(made("dense.tflite")), 2);
  const Floats rounded = predictions(request_of(made("int8.tflite")), 2);
  const float largest = *std::ranges::max_element(exact, {}, [](float value) { return std::abs(value); });
  for (std::size_t i = 0; i < exact.size(); ++i) CHECK(std::abs(rounded[i] - exact[i]) < 0.05F * std::abs(largest));
}

TEST_CASE("an opset that is newer than OpenVINO is computed if its operators are known") {
  if (skipped()) return;
  CHECK(predictions(request_for("future_opset"), 2) == kDense);
}

TEST_CASE("an operator that OpenVINO does not know is named with what else could run it") {
  if (skipped()) return;
  CHECK(contains(refusal(request_for("unknown_operator")).detail(), "NoSuchOperator"));
  CHECK(contains(refusal(request_for("unknown_operator")).hint(), "'kind: onnx'"));
  CHECK(contains(refusal(request_for("sequence")).detail(), "Sequence"));
  CHECK_FALSE(contains(refusal(request_for("sequence")).detail(), ".cpp:"));
}

TEST_CASE("a model of TensorFlow whose sizes do not show where the channels are is refused") {
  if (skipped()) return;
  CHECK(contains(refusal(request_of(made("any_channels.pb"))).hint(), "channels of an image come first or last"));
}

TEST_CASE("a model that does not say how many axes its input has is refused") {
  if (skipped()) return;
  const Error error = refusal(request_of(made("any_rank.xml")));
  CHECK(contains(error.message(), "cannot compute"));
  CHECK(contains(error.detail(), "dynamic rank"));
  CHECK(contains(error.hint(), "with the sizes of its inputs"));
}

TEST_CASE("inputs of other types take samples of that type and no images") {
  if (skipped()) return;
  std::vector<std::uint8_t> bytes(24);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
  MemberRequest request = request_of(made("byte_input.xml"));
  CHECK(contains(refusal(request).hint(), "give it samples of that type"));
  request.takes = {TakenTensor::unchanged({Dtype::uint8, {3, 2, 2}})};
  const Floats from_bytes =
      predictions(request, Samples(std::vector{reinterpret_cast<const std::byte*>(bytes.data())}), 2);
  const Floats floats(bytes.begin(), bytes.end());
  CHECK(from_bytes == predictions(request_for("dense"), floats.data(), 2));
  CHECK(contains(refusal(request_of(made("half_input.xml"))).detail(), "float16 [?, 3, 2, 2]"));
}

TEST_CASE("weights next to a model that are missing or cut off are errors with what to do") {
  if (skipped()) return;
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& name) { return refusal(request_of((folder / name).string())); };
  fs::copy(made("dense.xml"), folder / "m.xml");
  CHECK(contains(refused("m.xml").detail(), "bin file cannot be found"));
  CHECK(contains(refused("m.xml").hint(), "of the same name that ends in .bin"));
  fs::copy(made("dense.bin"), folder / "m.bin");
  fs::resize_file(folder / "m.bin", 50);
  CHECK(contains(refused("m.xml").detail(), "Incorrect weights in bin file"));
  std::ofstream(folder / "m.bin") << "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n";
  CHECK(contains(refused("m.xml").what(), "Git LFS pointer"));
  fs::copy(made("paddle.pdmodel"), folder / "p.pdmodel");
  CHECK(contains(refused("p.pdmodel").message(), "cannot load"));
  CHECK(contains(refused("p.pdmodel").hint(), ".pdiparams"));
}

TEST_CASE("files that are cut off and folders without a model are errors with what OpenVINO reads") {
  if (skipped()) return;
  const TemporaryFolder folder;
  for (const char* name : {"dense.pb", "dense.tflite", "paddle.pdmodel", "dense.xml"}) {
    CAPTURE(name);
    const fs::path file = folder / name;
    fs::copy(made(name), file);
    fs::resize_file(file, 40);
    CHECK(contains(refusal(request_of(file.string())).message(), "cannot load"));
  }
  fs::create_directory(folder / "empty");
  CHECK(contains(refusal(request_of((folder / "empty").string())).detail(), "saved_model.pb"));
  CHECK(contains(refusal(request_of((folder / "empty").string())).hint(), "the folder of a SavedModel"));
}

TEST_CASE("streams compute the parts of a batch at the same time and give the same predictions") {
  if (skipped()) return;
  for (const char* name : {"dense", "fixed", "double"})
    for (const std::uint32_t count : {1U, 2U, 7U, 9U}) {
      CAPTURE(name);
      CAPTURE(count);
      const MemberRequest request = request_for(name);
      CHECK(predictions(with_streams(request, 2, 2), count) == predictions(request, count));
    }
  const Error uneven = refusal(with_streams(request_for("dense"), 2, 3));
  CHECK(uneven.message() == "2 streams cannot share 3 threads evenly");
  CHECK(contains(uneven.hint(), "a multiple of 'streams'"));
}

/// Whether the processor computes so; says so if not.
bool lacks(const MemberRequest& request) {
  const auto error = error_of([&] { kBackend.make(request); });
  if (!error) return false;
  CHECK(contains(error->message(), "on this processor"));
  std::puts("SKIPPED: the processor lacks this precision");
  return true;
}

MemberRequest in(Precision precision, MemberRequest request) {
  std::get<OpenVinoModel>(request.model).precision = precision;
  return request;
}

TEST_CASE("in another precision a note says how far the outputs are from those in float32") {
  if (skipped()) return;
  const Floats exact = predictions(request_for("network"), 4);
  CHECK(notes_of(request_for("network")).empty());
  for (const Precision precision : {Precision::bf16, Precision::f16})
    for (const std::uint32_t streams : {1U, 2U}) {
      const MemberRequest request = with_streams(in(precision, request_for("network")), streams, streams);
      if (lacks(request)) return;
      const std::string name(to_name(precision));
      CAPTURE(name);
      const double apart = difference_of(exact, predictions(request, 4));
      CHECK(apart > 0);
      CHECK(apart < 0.05);
      CHECK(notes_of(request) ==
            std::vector{
                fmt::format("in {}, its outputs for made-up samples differ from those in f32 by at most {:.1e} of "
                            "the largest",
                            name, apart)});
    }
}

TEST_CASE("a batch in another precision has the same bits after a warm-up that has ended") {
  if (skipped()) return;
  const MemberRequest request = in(Precision::bf16, request_for("network"));
  if (lacks(request)) return;
  const std::unique_ptr<Model> model = kBackend.make(request);
  model->probe(images(4).data(), 4);
  const std::vector<std::string> notes = model->notes();
  model->end_warm_up();
  CHECK(model->notes() == notes);
  for (const std::uint32_t count : {7U, 1U, 4U, 7U}) {
    Floats output(count * elements_of(model->output()));
    model->predict(images(count).data(), count, output);
    CHECK(output == predictions(request, count));
  }
}

TEST_CASE("outputs that are the same in another precision are said to be") {
  if (skipped()) return;
  MemberRequest request = in(Precision::bf16, request_of(file("any_size")));
  if (lacks(request)) return;
  const std::vector<float> black(12 * 4);
  const std::unique_ptr<Model> model = kBackend.make(request);
  model->probe(black.data(), 4);
  CHECK(model->notes() == std::vector<std::string>{"in bf16, its outputs for made-up samples are those in f32"});
}

TEST_CASE("numbers that another precision cannot hold are said") {
  if (skipped()) return;
  MemberRequest request = in(Precision::f16, request_for("dense"));
  if (lacks(request)) return;
  const Floats large(12 * 4, 1e6F);
  const std::unique_ptr<Model> model = kBackend.make(request);
  model->probe(large.data(), 4);
  REQUIRE(model->notes().size() == 1);
  CHECK(contains(model->notes().front(), "not finite"));
}

MemberRequest cached(const fs::path& folder, MemberRequest request) {
  std::get<OpenVinoModel>(request.model).cache = folder.string();
  return request;
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

TEST_CASE("a compiled model is kept once, and computes the same bytes") {
  if (skipped()) return;
  for (const std::string& path :
       {file("network"), file("fixed"), made("dense.xml"), made("dense_saved"), made("int8.tflite")}) {
    CAPTURE(path);
    const TemporaryFolder folder;
    const MemberRequest plain = request_of(path);
    const MemberRequest request = cached(folder / "not/there", plain);
    for (int start = 0; start < 3; ++start)
      for (const std::uint32_t count : {1U, 4U, 7U}) CHECK(predictions(request, count) == predictions(plain, count));
    CHECK(notes_of(request) == notes_of(plain));
    CHECK(files_in(folder / "not/there").size() == 1);
  }
}

TEST_CASE("a compiled model that was kept computes the same bytes when other memory is in use") {
  if (skipped()) return;
  const TemporaryFolder folder;
  const MemberRequest plain = request_for("network");
  const MemberRequest request = cached(folder.path(), plain);
  predictions(request, 1);
  const std::size_t bytes = fs::file_size(files_in(folder.path()).front());
  const std::unique_ptr<Model> model = kBackend.make(request);
  std::vector<std::vector<char>> others;  // of about the size of the file, in the place of what was given back
  for (std::size_t size = bytes / 2; size < 2 * bytes; size += 500) others.emplace_back(size, '\x7f');
  for (const std::uint32_t count : {1U, 2U, 1U, 7U}) {
    const std::span<const float> found = model->probe(images(count).data(), count);
    CHECK(Floats(found.begin(), found.end()) == predictions(plain, count));
  }
}

TEST_CASE("what a compiled model depends on has a file of its own") {
  if (skipped()) return;
  const TemporaryFolder folder;
  const MemberRequest request = cached(folder.path(), request_for("network"));
  predictions(request, 4);
  predictions(with_streams(request, 1, 2), 4);
  predictions(with_streams(request, 2, 2), 4);
  CHECK(files_in(folder.path()).size() == 3);
  fs::copy(file("mask"), folder / "other.onnx");
  predictions(cached(folder.path(), request_of((folder / "other.onnx").string())), 4);
  CHECK(files_in(folder.path()).size() == 5);
  fs::copy(file("any_size"), folder / "other.onnx", fs::copy_options::overwrite_existing);
  predictions(cached(folder.path(), request_of((folder / "other.onnx").string())), 4);
  CHECK(files_in(folder.path()).size() == 6);
  if (lacks(in(Precision::bf16, request_for("network")))) return;
  const Floats exact = predictions(in(Precision::bf16, request_for("network")), 4);
  for (int start = 0; start < 2; ++start) CHECK(predictions(in(Precision::bf16, request), 4) == exact);
  CHECK(files_in(folder.path()).size() == 7);
  CHECK(notes_of(in(Precision::bf16, request)) == notes_of(in(Precision::bf16, request_for("network"))));
}

TEST_CASE("a damaged compiled model is made again, and one that cannot be kept is compiled each time") {
  if (skipped()) return;
  const TemporaryFolder folder;
  const MemberRequest request = cached(folder.path(), request_for("network"));
  const Floats expected = predictions(request, 4);
  const fs::path kept = files_in(folder.path()).front();
  {
    std::fstream file(kept, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(fs::file_size(kept)) - 100);
    file.put('\x41');
  }
  CHECK(notes_of(request) ==
        std::vector{fmt::format("its compiled model '{}' is damaged, and is made again", kept.string())});
  CHECK(notes_of(request).empty());
  CHECK(predictions(request, 4) == expected);
  const MemberRequest nowhere = cached(kept / "below", request_for("network"));
  CHECK(predictions(nowhere, 4) == expected);
  REQUIRE(notes_of(nowhere).size() == 1);
  CHECK(contains(notes_of(nowhere).front(), "its compiled model cannot be kept in '"));
}

TEST_CASE("bytes that were kept whole and are no compiled model are replaced") {
  if (skipped()) return;
  const TemporaryFolder folder;
  const MemberRequest request = cached(folder.path(), request_for("network"));
  const Floats expected = predictions(request, 4);
  // As if another version had kept it under the same key.
  std::string key;
  {
    const fs::path kept = files_in(folder.path()).front();
    std::stringstream content;
    content << std::ifstream(kept).rdbuf();
    const std::string text = content.str();
    const std::size_t begin = text.find("tutti: ");
    key = text.substr(begin, text.find('\n', text.find("network.onnx: ", begin)) + 1 - begin);
    fs::remove(kept);
  }
  const std::size_t model = key.find("network.onnx");
  const std::size_t dependencies = key.find("openvino: ");
  REQUIRE(model != key.npos);
  REQUIRE(dependencies != key.npos);
  worker::ov::CompiledCache cache(folder.path(), key.substr(model));
  cache.keep(key.substr(dependencies, model - dependencies),
             [](const std::string& path) { std::ofstream(path) << "no compiled model"; });
  CHECK(cache.notes().empty());
  REQUIRE(files_in(folder.path()).size() == 1);
  CHECK(fs::file_size(files_in(folder.path()).front()) < 2000);
  CHECK(predictions(request, 4) == expected);
  CHECK(files_in(folder.path()).size() == 1);
  CHECK(fs::file_size(files_in(folder.path()).front()) > 2000);
}

TEST_CASE("the bits of a batch do not depend on the batches before it") {
  if (skipped()) return;
  const MemberRequest request = request_for("network");
  const std::unique_ptr<Model> used = kBackend.make(request);
  used->probe(images(4).data(), 4);
  for (const std::uint32_t count : {7U, 1U, 4U, 2U, 7U, 4U}) {
    Floats output(count * elements_of(used->output()));
    used->predict(images(count).data(), count, output);
    CHECK(output == predictions(request, count));
  }
}

}  // namespace
}  // namespace tutti::test
