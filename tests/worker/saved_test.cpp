// The member whose predictions are in a file: which rows it gives for which samples, and as what.
#include "worker/saved.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include <tutti/error.hpp>

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/images/array_files.hpp"
#include "tests/worker/requests.hpp"
#include "worker/activation.hpp"

namespace tutti::test {
namespace {

/// Seven rows of two values, 0 to 13, of the samples from `first` on.
struct SavedFile {
  explicit SavedFile(std::uint64_t first = 0) {
    std::vector<float> values;
    for (int i = 0; i < 14; ++i) values.push_back(static_cast<float>(i));
    write_array(file, "<f4", "(7, 2)", values);
    request = fake_request();
    request.model = SavedModel{file.string()};
    request.output = OutputKind::values;
    request.over = OutputKind::values;
    request.saved = SavedRows{.shape = {2}, .rows = 7, .first = first};
    request.saved->file_bytes = std::filesystem::file_size(file);
    request.saved->offset = request.saved->file_bytes - 14 * sizeof(float);
    request.saved->changed_ns = changed_ns_of(file);
  }
  TemporaryFolder folder;
  std::filesystem::path file = folder / "x.npy";
  MemberRequest request;
};

std::vector<float> predict(worker::Model& model, const std::vector<std::uint64_t>& numbers) {
  std::vector<float> output(numbers.size() * 2);
  model.predict(worker::Samples(nullptr).numbered(numbers), static_cast<std::uint32_t>(numbers.size()), output);
  return output;
}

TEST_CASE("samples get the rows of their numbers in any order") {
  const SavedFile saved;
  const auto model = worker::make_saved_model(saved.request);
  CHECK(model->output() == Dims{2});
  CHECK(model->parameters() == 0);
  CHECK(model->trainable() == nullptr);
  CHECK(predict(*model, {0, 1, 2}) == std::vector<float>{0, 1, 2, 3, 4, 5});
  CHECK(predict(*model, {6}) == std::vector<float>{12, 13});
  CHECK(predict(*model, {5, 6, 0, 1, 1, 3}) == std::vector<float>{10, 11, 12, 13, 0, 1, 2, 3, 2, 3, 6, 7});
}

TEST_CASE("rows of a part of the samples begin at the number of the first") {
  const SavedFile saved(100);
  const auto model = worker::make_saved_model(saved.request);
  CHECK(predict(*model, {100, 101, 106}) == std::vector<float>{0, 1, 2, 3, 12, 13});
  for (const std::vector<std::uint64_t>& numbers :
       {std::vector<std::uint64_t>{99}, std::vector<std::uint64_t>{106, 107}}) {
    const auto error = error_of([&] { predict(*model, numbers); });
    REQUIRE(error);
    CHECK(error->message() == "there are no saved predictions for sample " + std::to_string(numbers.back()));
    CHECK(error->detail() == "the file has 7 rows, the first of sample 100");
  }
}

TEST_CASE("a probe gives the first rows and zeros where there are none") {
  SavedFile saved(100);
  saved.request.saved->rows = 1;
  const auto model = worker::make_saved_model(saved.request);
  const auto probed = model->probe(worker::Samples(nullptr), 2);
  CHECK(std::vector<float>(probed.begin(), probed.end()) == std::vector<float>{0, 1, 0, 0});
}

TEST_CASE("logits become probabilities if those are combined") {
  SavedFile saved;
  saved.request.output = OutputKind::logits;
  saved.request.over = OutputKind::probabilities;
  const float share = 1 / (1 + std::exp(1.0F));
  for (const float value : predict(*worker::make_saved_model(saved.request), {2}))
    CHECK((value == doctest::Approx(share) || value == doctest::Approx(1 - share)));
  saved.request.activation = Activation::sigmoid;
  CHECK(predict(*worker::make_saved_model(saved.request), {0}) == std::vector<float>{0.5F, 1 / (1 + std::exp(-1.0F))});
}

TEST_CASE("a file that the coordinator did not find is named") {
  SavedFile saved;
  saved.request.saved.reset();
  const auto error = error_of([&] { worker::make_saved_model(saved.request); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "there is no readable file '" + saved.file.string() + "'");
  CHECK(error->detail() == "named by 'predictions'; relative paths start at the current folder");
}

TEST_CASE("the softmax is over the classes at each place by itself") {
  // Two predictions of 2 x 3 x 2.
  std::vector<float> values;
  for (int i = 0; i < 24; ++i) values.push_back(static_cast<float>(i % 5) / 3);
  const std::vector<float> logits = values;
  const auto check = [&](std::int32_t axis, std::size_t classes, std::size_t inner) {
    values = logits;
    worker::activate(Activation::softmax, {2, 3, 2}, axis, values);
    for (std::size_t i = 0; i < 24; ++i) {
      const std::size_t first = i / (classes * inner) * classes * inner + i % inner;
      float sum = 0;
      for (std::size_t c = 0; c < classes; ++c) sum += std::exp(logits[first + c * inner]);
      CHECK(values[i] == doctest::Approx(std::exp(logits[i]) / sum));
    }
  };
  check(1, 2, 6);
  check(2, 3, 2);
  check(-1, 2, 1);
  values = logits;
  worker::activate(Activation::none, {24}, 1, values);
  CHECK(values == logits);
  const auto error = error_of([&] { worker::activate(Activation::softmax, {24}, 2, values); });
  REQUIRE(error);
  CHECK(error->message() == "there is no axis 2 with classes");
  CHECK(error->detail() == "the predictions are 24");
}

}  // namespace
}  // namespace tutti::test
