// Outputs of any shape: masks, labels of which several may be right, numbers; and outputs that are not what they are
// said to be.
#include <cmath>

#include <fmt/format.h>

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
using test::save_script;
using test::script_request;
using test::some_images;
using test::TemporaryFolder;

/// 4 values for each of 30x30 places.
constexpr const char* kMask = "return torch.conv2d(x, self.kernel)";
constexpr const char* kNumber = "return x.sum([1, 2, 3])";
constexpr const char* kOneLogit = "return x.mean([1, 2, 3]).unsqueeze(1) - 0.5";

/// The outputs for 4 images, and their sizes.
struct Probed {
  std::vector<float> values;
  Dims output;
};

Probed probed(
    const std::string& forward, const std::function<void(MemberRequest&)>& change = [](MemberRequest&) {}) {
  const TemporaryFolder folder;
  save_script(folder / "m.pt", forward);
  MemberRequest request = script_request(folder / "m.pt");
  change(request);
  const auto model = make_torch_model(request);
  const std::vector<float> images = some_images(4);
  const auto values = model->probe(images.data(), 4);
  return {{values.begin(), values.end()}, model->output()};
}

std::optional<Error> refusal(const std::string& forward, const std::function<void(MemberRequest&)>& change) {
  return error_of([&] { probed(forward, change); });
}

void as_probabilities(MemberRequest& request) { request.over = OutputKind::probabilities; }
void as_labels(MemberRequest& request) {
  request.over = OutputKind::probabilities;
  request.activation = Activation::sigmoid;
}
void as_values(MemberRequest& request) { request.output = request.over = OutputKind::values; }

TEST_CASE("a mask is a softmax of its logits at each place along the axis of the classes") {
  const Probed logits = probed(kMask);
  CHECK(logits.output == Dims{4, 30, 30});
  const Probed mask = probed(kMask, as_probabilities);
  const Probed last = probed(kMask, [](MemberRequest& request) {
    as_probabilities(request);
    request.axis = -1;
  });
  const auto at = [](std::size_t image, std::size_t c, std::size_t y, std::size_t x) {
    return ((image * 4 + c) * 30 + y) * 30 + x;
  };
  for (const auto& [image, y, x] : {std::array{0, 0, 0}, std::array{3, 29, 17}}) {
    double sum = 0;
    for (int c = 0; c < 4; ++c) sum += std::exp(static_cast<double>(logits.values[at(image, c, y, x)]));
    for (int c = 0; c < 4; ++c)
      CHECK(mask.values[at(image, c, y, x)] ==
            doctest::Approx(std::exp(static_cast<double>(logits.values[at(image, c, y, x)])) / sum).epsilon(1e-5));
    double row = 0;
    for (int place = 0; place < 30; ++place) row += static_cast<double>(last.values[at(image, 1, y, place)]);
    CHECK(row == doctest::Approx(1).epsilon(1e-5));
  }
}

TEST_CASE("labels of which several may be right are a sigmoid of their logits each") {
  const Probed logits = probed(test::kDenseScript);
  const Probed labels = probed(test::kDenseScript, as_labels);
  REQUIRE(labels.values.size() == 40);
  for (std::size_t i = 0; i < labels.values.size(); ++i)
    CHECK(labels.values[i] ==
          doctest::Approx(1 / (1 + std::exp(-static_cast<double>(logits.values[i])))).epsilon(1e-5));
  CHECK(probed(kOneLogit, as_labels).output == Dims{1});
}

TEST_CASE("a model may output one number for each sample") {
  const Probed number = probed(kNumber, as_values);
  CHECK(number.output.empty());
  CHECK(number.values.size() == 4);
}

TEST_CASE("probabilities that do not sum to 1 are refused with what they may be") {
  const auto error = refusal("return torch.sigmoid(torch.linear(torch.flatten(x, 1), self.weight, self.bias))",
                             [](MemberRequest& request) {
                               as_probabilities(request);
                               request.output = OutputKind::probabilities;
                             });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the model's outputs are no probabilities of classes: they do not sum to 1");
  CHECK(contains(error->detail(), "along axis 1 they sum to"));
  CHECK(contains(error->hint(), "'activation: sigmoid'"));
  CHECK_FALSE(refusal("return torch.softmax(torch.linear(torch.flatten(x, 1), self.weight, self.bias), 1)",
                      [](MemberRequest& request) {
                        as_probabilities(request);
                        request.output = OutputKind::probabilities;
                      }));
}

TEST_CASE("logits that are probabilities already are noted once") {
  const TemporaryFolder folder;
  const auto notes = [&](const std::string& forward, Activation activation) {
    save_script(folder / "m.pt", forward);
    MemberRequest request = script_request(folder / "m.pt");
    as_probabilities(request);
    request.activation = activation;
    const auto model = make_torch_model(request);
    const std::vector<float> images = some_images(4);
    for (int batch = 0; batch < 2; ++batch) model->probe(images.data(), 4);
    return model->notes();
  };
  const std::string logits = "torch.linear(torch.flatten(x, 1), self.weight, self.bias)";
  CHECK(notes("return torch.softmax(" + logits + ", 1)", Activation::softmax) ==
        std::vector<std::string>{
            "its outputs look like probabilities already, and get a second softmax: set 'output: probabilities'"});
  CHECK(notes("return " + logits, Activation::softmax).empty());
  CHECK(notes("return torch.softmax(" + logits + ", 1) - 0.25", Activation::softmax).empty());
  CHECK(notes("return torch.softmax(" + logits + ", 1)", Activation::sigmoid).empty());
}

TEST_CASE("the softmax of a single value is refused with the activation that makes sense of it") {
  const auto error = refusal(kOneLogit, as_probabilities);
  REQUIRE(error);
  CHECK(contains(error->detail(), "two classes or more, for the softmax of a single value is always 1"));
  CHECK(contains(error->hint(), "'activation: sigmoid'"));
}

TEST_CASE("an output without the axis of the classes or of the samples is refused") {
  auto error = refusal(kNumber, as_probabilities);
  REQUIRE(error);
  CHECK(contains(error->message(), "shape [4]"));
  CHECK(contains(error->detail(), "classes along axis 1"));
  error = refusal("return x.flatten()", as_values);
  REQUIRE(error);
  CHECK(contains(error->detail(), "shape [4, ...], the prediction of one sample after the other"));
  CHECK(contains(error->hint(), "x.flatten(1)"));
  error = refusal("return x.reshape([4, 1, 1, 1, 3, 32, 32])", as_values);
  REQUIRE(error);
  CHECK(contains(error->detail(), "at most 5 axes besides that of the samples"));
}

TEST_CASE("a script predicts images of one size after the other and small-cnn only those of its size") {
  const TemporaryFolder folder;
  save_script(folder / "m.pt", kMask);
  const auto model = make_torch_model(script_request(folder / "m.pt"));
  const auto probe = [&](const ImageShape& shape) {
    const auto images = some_images(2, shape);
    const auto values = model->probe(images.data(), 2);
    return std::vector<float>(values.begin(), values.end());
  };
  const auto whole = probe({3, 32, 32});
  CHECK(model->output() == Dims{4, 30, 30});
  model->expect_images({3, 16, 20});
  CHECK(probe({3, 16, 20}).size() == 2 * 4 * 14 * 18);
  CHECK(model->output() == Dims{4, 14, 18});
  model->expect_images({3, 32, 32});
  CHECK(model->output() == Dims{4, 30, 30});
  CHECK(probe({3, 32, 32}) == whole);

  const auto cnn = make_torch_model(test::request_for(SmallCnnModel{}));
  const auto error = error_of([&] { cnn->expect_images({3, 40, 40}); });
  REQUIRE(error);
  CHECK(error->message() == "the model takes images of one size, and its views have several");
}

}  // namespace
}  // namespace tutti::worker
