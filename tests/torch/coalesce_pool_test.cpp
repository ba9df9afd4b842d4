// With the fixed batches of `coalesce`, what a row gets is what the library computes for the whole batch. The last bits
// may depend on the row's place in it: that is up to the library and to the processor. For one of these dense layers it
// is so with AVX2, and not with AVX-512.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/script_files.hpp"

namespace {

using namespace tutti;

constexpr ImageShape kCoalescedShape{3, 32, 32};
constexpr std::uint32_t kBatchOfRows = 6;

Ensemble coalescing(const std::string& model) {
  return Ensemble(parse_spec(fmt::format(R"(
members: [{{name: a, model: {}}}]
assignment: cpu
threads: 1
combine: {{rule: mean, over: logits}}
input: {{shape: [3, 32, 32]}}
segment_images: {}
batch_images: {}
coalesce: {{max_delay_us: 100}}
)",
                                         model, kBatchOfRows, kBatchOfRows)));
}

/// `row` at a place of a batch of others, which are different ones for each place.
std::vector<float> batch_with(const std::vector<float>& row, std::size_t place) {
  const std::size_t values = kBatchOfRows * row.size();
  const std::vector<float> others = test::some_images((place + 2) * kBatchOfRows, kCoalescedShape);
  std::vector<float> batch(others.end() - static_cast<std::ptrdiff_t>(values), others.end());
  std::ranges::copy(row, batch.begin() + static_cast<std::ptrdiff_t>(place * row.size()));
  return batch;
}

std::vector<float> row_of(const Predictions& predictions, std::size_t place) {
  const auto first = predictions.values.begin() + static_cast<std::ptrdiff_t>(place * predictions.width);
  return {first, first + predictions.width};
}

void check_close(const std::vector<float>& found, const std::vector<float>& expected) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-5));
}

TEST_CASE("a row of a shared segment is that of a whole batch for small-cnn and mlp and torchscript") {
  const test::TemporaryFolder folder;
  test::save_script(folder / "dense.pt", test::kDenseScript);
  std::string model;
  SUBCASE("small-cnn") { model = "{kind: small-cnn}"; }
  SUBCASE("mlp") { model = "{kind: mlp, layers: [32, 10]}"; }
  SUBCASE("mlp with one output") { model = "{kind: mlp, layers: [1]}"; }
  SUBCASE("torchscript") { model = fmt::format("{{kind: torchscript, path: {}}}", (folder / "dense.pt").string()); }
  CAPTURE(model);
  Ensemble ensemble = coalescing(model);
  const std::vector<float> row = test::some_images(1, kCoalescedShape);
  const std::vector<float> alone = row_of(ensemble.submit(Images(row, kCoalescedShape)).get(), 0);

  std::vector<float> copies;
  for (std::uint32_t i = 0; i < kBatchOfRows; ++i) copies.insert(copies.end(), row.begin(), row.end());
  CHECK(alone == row_of(ensemble.predict(Images(copies, kCoalescedShape)), 0));

  for (std::size_t place = 0; place < kBatchOfRows; ++place) {
    const std::vector<float> batch = batch_with(row, place);
    const Predictions submitted = ensemble.submit(Images(batch, kCoalescedShape)).get();
    CHECK(submitted.values == ensemble.predict(Images(batch, kCoalescedShape)).values);
    check_close(row_of(submitted, place), alone);
  }
}

}  // namespace
