// Models of several arguments, by place and by name, of any type and rank; and an mlp over a table.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/script_files.hpp"
#include "tests/torch/torch_doctest.hpp"
#include "worker/torch/models.hpp"

namespace tutti::worker {
namespace {

using test::contains;
using test::error_of;
using test::request_for;
using test::save_script;
using test::script_request;
using test::TemporaryFolder;

constexpr std::uint32_t kCount = 4;

/// A member that takes an image of two rows, five words, a number and whether it counts, each as `names` call them.
struct ManyArguments {
  explicit ManyArguments(const std::string& forward, const std::string& arguments = "image, ids, number, truth",
                         const std::vector<std::string>& names = {"", "", "", ""}) {
    save_script(folder / "m.pt", forward, false, arguments);
    request = script_request(folder / "m.pt");
    const std::array<TensorLayout, 4> layouts{
        TensorLayout{Dtype::float32, {1, 2, 2, 1}}, {Dtype::int64, {5}}, {Dtype::float32, {}}, {Dtype::boolean, {1}}};
    request.takes.clear();
    for (std::uint32_t t = 0; t < 4; ++t) {
      request.takes.push_back(TakenTensor::unchanged(layouts[t], t));
      request.takes.back().as = names[t];
    }
    for (std::uint32_t i = 0; i < kCount; ++i) {
      for (int value = 0; value < 4; ++value)
        image.push_back(static_cast<float>(i) + 0.25F * static_cast<float>(value));
      for (int value = 0; value < 5; ++value) ids.push_back((std::int64_t{1} << 30) * (value == 2 ? 4 : 0) + i);
      number.push_back(static_cast<float>(i) - 0.5F);
      truth.push_back(i % 2);
    }
  }

  std::vector<float> probed() const {
    const std::array begins{
        reinterpret_cast<const std::byte*>(image.data()), reinterpret_cast<const std::byte*>(ids.data()),
        reinterpret_cast<const std::byte*>(number.data()), reinterpret_cast<const std::byte*>(truth.data())};
    const auto model = make_torch_model(request);
    const auto values = model->probe(Samples(begins), kCount);
    return {values.begin(), values.end()};
  }

  TemporaryFolder folder;
  MemberRequest request;
  std::vector<float> image;
  std::vector<std::int64_t> ids;
  std::vector<float> number;
  std::vector<std::uint8_t> truth;
};

TEST_CASE("tensors of ranks 4 and 1 and 0 reach a model in their shapes and types and with their values") {
  // The large id is only exact as an int64.
  const ManyArguments all(
      "return torch.stack([image[:, 0, 1, 1, 0], (ids[:, 2] - 4294967296).float(), number, truth[:, 0].float()], 1)");
  std::vector<float> expected;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const auto place = static_cast<float>(i);
    for (const float value : {place + 0.75F, place, place - 0.5F, static_cast<float>(i % 2)}) expected.push_back(value);
  }
  CHECK(all.probed() == expected);
  ManyArguments sizes(
      "return (torch.ones([4, 2]) * (image.dim() * 1000 + ids.dim() * 100 + number.dim() * 10 + truth.dim()))");
  CHECK(sizes.probed() == std::vector<float>(8, 5212));
  sizes.request.copy_input = true;
  CHECK(sizes.probed() == std::vector<float>(8, 5212));
}

TEST_CASE("tensors reach the arguments whose names they have whatever their order") {
  const std::string forward = "return torch.stack([image[:, 0, 1, 1, 0], ids[:, 0].float() * number], 1)";
  const std::vector<float> expected = ManyArguments(forward).probed();
  CHECK(ManyArguments(forward, "truth, ids, image, number", {"image", "ids", "number", "truth"}).probed() == expected);
  CHECK(ManyArguments(forward, "image, number, truth, ids", {"image", "ids", "number", "truth"}).probed() == expected);
}

TEST_CASE("arguments that a model does not have or that it lacks are an error with all that it has") {
  const auto refusal = [](const std::string& arguments, const std::vector<std::string>& names) {
    const ManyArguments wrong("return image.flatten(1)", arguments, names);
    const auto error = error_of([&] { make_torch_model(wrong.request); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    return error->message().substr(error->message().find("m.pt'")) + "; " + error->detail() + "; " + error->hint();
  };
  CHECK(refusal("image, ids, number, truth", {"image", "idz", "number", "truth"}) ==
        "m.pt' has no argument 'idz'; the model is forward(image, ids, number, truth); did you mean 'ids'?");
  CHECK(refusal("image, ids, number, truth", {"image", "words", "number", "truth"}) ==
        "m.pt' has no argument 'words'; the model is forward(image, ids, number, truth); name its arguments in "
        "'takes'");
  CHECK(refusal("image", {"", "", "", ""}) ==
        "m.pt' has 1 argument, and the member gives it 4 tensors; the model is forward(image); name those that the "
        "model takes in 'takes'");
  CHECK(refusal("image, a, b, c, d, e : int = 3", {"", "", "", ""}) ==
        "m.pt' needs the argument 'd', which the member does not give it; the model is forward(image, a, b, c, d, "
        "e=...); name a tensor for it in 'takes'");
  const ManyArguments more("return image.flatten(1) * e", "image, a, b, c, e : int = 3");
  CHECK(more.probed().back() == 3 * more.image.back());
}

TEST_CASE("tokens are looked up in an embedding") {
  const TemporaryFolder folder;
  save_script(folder / "m.pt", "return torch.embedding(self.weight, ids)[:, :, 0]", false, "ids");
  MemberRequest request = script_request(folder / "m.pt");
  request.takes = {TakenTensor::unchanged({Dtype::int64, {3}})};
  const std::vector<std::int64_t> ids{0, 9, 1, 1, 1, 0};
  const std::array begins{reinterpret_cast<const std::byte*>(ids.data())};
  const auto model = make_torch_model(request);
  const auto found = model->probe(Samples(begins), 2);
  REQUIRE(found.size() == 6);
  CHECK(found[0] == found[5]);
  CHECK(found[2] == found[3]);
  CHECK(found[0] != found[1]);
  CHECK(model->output() == Dims{3});
}

TEST_CASE("an mlp takes a table of any width and a number but no whole numbers") {
  for (const Dims& dims : {Dims{7}, Dims{}, Dims{2, 1, 3, 1, 2}}) {
    MemberRequest request = request_for(MlpModel{{5, 3}});
    request.over = OutputKind::logits;
    request.takes = {TakenTensor::unchanged({Dtype::float32, dims})};
    const auto model = make_torch_model(request);
    const std::vector<float> rows(2 * elements_of(dims), 0.5F);
    CHECK(model->probe(rows.data(), 2).size() == 6);
    CHECK(model->parameters() == (elements_of(dims) + 1) * 5 + 6 * 3);
  }
  MemberRequest whole = request_for(MlpModel{{5, 3}});
  whole.takes = {TakenTensor::unchanged({Dtype::int64, {7}})};
  const auto error = error_of([&] { make_torch_model(whole); });
  REQUIRE(error);
  CHECK(error->message() == "an mlp needs float32");
}

TEST_CASE("a model of images refuses other tensors") {
  MemberRequest request = request_for(SmallCnnModel{});
  request.takes = {TakenTensor::unchanged({Dtype::float32, {7}})};
  const auto error = error_of([&] { make_torch_model(request); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
}

}  // namespace
}  // namespace tutti::worker
