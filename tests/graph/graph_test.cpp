// What every library computes of the same models, and what is refused whichever it is. Compiled once for each backend
// (graph_backend.hpp).
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "tests/common/temporary_folder.hpp"
#include "tests/graph/graph_backend.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {

std::string file(const std::string& name) { return test::in_sources("tests/onnx/data/" + name + ".onnx"); }

namespace {

using worker::Model;
using worker::Samples;

TEST_CASE("a model computes what its operators say") {
  if (skipped()) return;
  CHECK(predictions(request_for("dense"), 2) == kDense);
  const std::unique_ptr<Model> model = kBackend.make(request_for("dense"));
  model->probe(images(2).data(), 2);
  CHECK(model->output() == Dims{3});
  CHECK(model->notes().empty());
}

TEST_CASE("a model outputs masks and the softmax goes along their classes") {
  if (skipped()) return;
  MemberRequest request = request_for("mask");
  const std::unique_ptr<Model> model = kBackend.make(request);
  model->probe(images(1).data(), 1);
  CHECK(model->output() == Dims{2, 2, 2});
  request.over = OutputKind::probabilities;
  const Floats shares = predictions(request, 1);
  for (std::size_t place = 0; place < 4; ++place) CHECK(shares[place] + shares[4 + place] == doctest::Approx(1));
  // By NumPy: the first place has the logits -0.75 and -0.71875.
  CHECK(shares[0] == doctest::Approx(1 / (1 + std::exp(0.75 - 0.71875))));
}

TEST_CASE("a model with a fixed batch computes any number of images") {
  if (skipped()) return;
  for (const std::uint32_t count : {1U, 2U, 4U, 7U, 9U})
    CHECK(predictions(request_for("fixed"), count) == predictions(request_for("dense"), count));
  CHECK(notes_of(request_for("fixed")).empty());
  MemberRequest odd = request_for("fixed");
  odd.batch_images = 6;
  REQUIRE(notes_of(odd).size() == 1);
  CHECK(contains(notes_of(odd)[0], "it computes 4 images at a time"));
}

TEST_CASE("the bytes of a row do not depend on what else is in a batch of the same size") {
  if (skipped()) return;
  constexpr std::uint32_t kRows = 4;
  const std::size_t elements = kImage.elements();
  const auto value = [](std::size_t i) { return std::sin(static_cast<float>(i)); };
  std::set<Floats> found;
  for (std::size_t place = 0; place < kRows; ++place)
    for (std::size_t draw = 0; draw < 5; ++draw) {
      Floats batch(kRows * elements);
      for (std::size_t i = 0; i < batch.size(); ++i)
        batch[i] = i / elements == place ? value(i % elements) : value(1000 * (draw + 1) + i);
      const Floats all = predictions(request_for("dense"), batch.data(), kRows);
      const auto row = all.begin() + static_cast<std::ptrdiff_t>(place * 3);
      found.emplace(row, row + 3);
    }
  CHECK(found.size() == 1);
}

TEST_CASE("images are turned for a model whose channels come last") {
  if (skipped()) return;
  CHECK(predictions(request_for("channels_last"), 2) == predictions(request_for("dense"), turned_images(2).data(), 2));
}

TEST_CASE("a model takes several tensors by name or by place") {
  if (skipped()) return;
  const Floats pictures = images(2);
  const std::vector<std::int64_t> table{1, 2, 3, 40, 50, 60};
  const TensorLayout numbers{Dtype::int64, {3}};
  MemberRequest request = request_for("two_inputs");
  request.takes.push_back(TakenTensor::unchanged(numbers, 1));
  Floats expected = kDense;
  for (std::size_t i = 0; i < 6; ++i) expected[i] += static_cast<float>(table[i]);
  const auto* const first = reinterpret_cast<const std::byte*>(pictures.data());
  const auto* const second = reinterpret_cast<const std::byte*>(table.data());
  CHECK(predictions(request, Samples(std::vector{first, second}), 2) == expected);
  std::swap(request.takes[0], request.takes[1]);
  request.takes[0].as = "t";
  request.takes[1].as = "x";
  CHECK(predictions(request, Samples(std::vector{second, first}), 2) == expected);
  request.takes[0].as = "u";
  const Error error = refusal(request);
  CHECK(contains(error.message(), "has no input 'u'"));
  CHECK(error.detail() == "'x' (float32 [?, 3, 2, 2]), 't' (int64 [?, 3])");
}

TEST_CASE("of several outputs of a model one is named") {
  if (skipped()) return;
  Floats minus = kDense;
  for (float& value : minus) value = -value;
  CHECK(predictions(request_for("two_outputs", "minus"), 2) == minus);
  CHECK(contains(refusal(request_for("two_outputs")).message(), "has 2 outputs"));
  CHECK(refusal(request_for("two_outputs")).hint() == "name the one to use with 'output' in 'model'");
  CHECK(contains(refusal(request_for("dense", "z")).message(), "has no output 'z'"));
}

TEST_CASE("other floating types that a model outputs become float32 with a note") {
  if (skipped()) return;
  CHECK(predictions(request_for("double"), 2) == kDense);
  CHECK(notes_of(request_for("double")) ==
        std::vector<std::string>{"its outputs are float64, and are converted to float32"});
  const Floats half = predictions(request_for("half"), 2);
  for (std::size_t i = 0; i < half.size(); ++i) CHECK(half[i] == doctest::Approx(kDense[i]).epsilon(1e-3));
}

TEST_CASE("a model with int8 weights and activations computes what its scales say") {
  if (skipped()) return;
  const Floats rounded = predictions(request_for("int8"), 2);
  for (std::size_t i = 0; i < kDense.size(); ++i) CHECK(std::abs(rounded[i] - kDense[i]) < 0.2F);
}

TEST_CASE("a model takes images of several sizes if it is exported so") {
  if (skipped()) return;
  MemberRequest request = request_for("any_size");
  const std::unique_ptr<Model> model = kBackend.make(request);
  model->probe(images(1).data(), 1);
  model->expect_images({3, 4, 1});
  model->probe(images(1).data(), 1);
  CHECK(model->output() == Dims{3});
  const std::unique_ptr<Model> rigid = kBackend.make(request_for("dense"));
  const auto error = error_of([&] { rigid->expect_images({3, 4, 4}); });
  REQUIRE(error);
  CHECK(contains(error->message(), "does not take float32 [3x4x4]"));
}

TEST_CASE("outputs of a model that are no scores are refused") {
  if (skipped()) return;
  CHECK(contains(refusal(request_for("classes")).hint(), "not the numbers of classes"));
  CHECK(contains(refusal(request_for("flat")).hint(), "keep the axis of the samples as the first"));
  MemberRequest request = request_for("dense");
  request.output = request.over = OutputKind::probabilities;
  CHECK(contains(refusal(request).message(), "they do not sum to 1"));
}

TEST_CASE("a second softmax after that of a model is noted") {
  if (skipped()) return;
  MemberRequest request = request_for("softmax");
  request.over = OutputKind::probabilities;
  REQUIRE(notes_of(request).size() == 1);
  CHECK(contains(notes_of(request)[0], "get a second softmax"));
  request.output = OutputKind::probabilities;
  CHECK(notes_of(request).empty());
}

TEST_CASE("samples that a model does not take are refused with what it takes") {
  if (skipped()) return;
  MemberRequest request = request_for("dense");
  request.takes = {TakenTensor::unchanged({Dtype::float32, {3, 4, 4}})};
  CHECK(contains(refusal(request, 1).message(), "does not take float32 [3x4x4]"));
  CHECK(refusal(request, 1).detail() == "its input 'x' is float32 [?, 3, 2, 2]");
  CHECK(contains(refusal(request, 1).hint(), "set 'resize' and 'crop'"));
  request.takes = {TakenTensor::unchanged({Dtype::uint8, {3, 2, 2}})};
  CHECK(contains(refusal(request, 1).hint(), "give it samples of that type"));
  request = request_for("two_inputs");
  CHECK(contains(refusal(request, 1).message(), "needs its input 't'"));
  request = request_for("dense");
  request.takes.push_back(TakenTensor::unchanged(kImage, 1));
  CHECK(contains(refusal(request, 1).message(), "takes 1 input, and the member gives 2 tensors"));
}

TEST_CASE("files that cannot be models are named with what to do") {
  if (skipped()) return;
  CHECK(contains(refusal(request_for("nothing")).message(), "there is no file"));
  CHECK(contains(refusal(request_for("unknown_operator")).detail(), "NoSuchOperator"));
  CHECK(contains(refusal(request_for("external")).detail(), "external.weights"));
  CHECK(contains(refusal(request_for("external")).hint(), "belongs into the folder of the model"));
  const TemporaryFolder folder;
  const std::string path = (folder / "m.onnx").string();
  std::ofstream(path) << "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n";
  CHECK(contains(refusal(request_of(path)).what(), "Git LFS pointer"));
  std::filesystem::remove(path);
  std::filesystem::copy(file("dense"), path);
  std::filesystem::resize_file(path, 100);
  CHECK(contains(refusal(request_of(path)).message(), "cannot load"));
}

TEST_CASE("a member on CUDA is refused") {
  MemberRequest request = request_for("dense");
  request.cuda = true;
  const auto error = error_of([&] { kBackend.make(request); });
  REQUIRE(error);
  CHECK(error->hint() == "assign the member to cpu");
}

}  // namespace
}  // namespace tutti::test
