// Of which kinds a row's bytes do not depend on what else is in its batch, with the fixed batches of `coalesce`. The
// place of a row in its batch depends on who else submits, so it must not matter either.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstring>
#include <set>
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

/// The bytes of the same row at each place of a batch, among three sets of other rows, and by itself.
std::vector<std::string> bytes_of_row(const std::string& model) {
  Ensemble ensemble(parse_spec(fmt::format(R"(
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
  const std::size_t row = kCoalescedShape.elements();
  const std::vector<float> pixels = test::some_images(3 * kBatchOfRows * kBatchOfRows + 1, kCoalescedShape);
  std::vector<std::string> found;
  const auto note = [&](const Predictions& p, std::size_t place) {
    const float* const values = p.values.data() + place * p.width;
    found.emplace_back(reinterpret_cast<const char*>(values), p.width * sizeof(float));
  };
  for (std::size_t place = 0; place < kBatchOfRows; ++place)
    for (std::size_t draw = 0; draw < 3; ++draw) {
      const auto first = pixels.begin() + static_cast<std::ptrdiff_t>((1 + (place * 3 + draw) * kBatchOfRows) * row);
      std::vector<float> batch(first, first + static_cast<std::ptrdiff_t>(kBatchOfRows * row));
      std::copy_n(pixels.begin(), row, batch.begin() + static_cast<std::ptrdiff_t>(place * row));
      note(ensemble.submit(Images(batch, kCoalescedShape)).get(), place);
    }
  note(ensemble.submit(Images(std::span(pixels).first(row), kCoalescedShape)).get(), 0);
  return found;
}

TEST_CASE("the bytes of a row do not depend on its neighbours for small-cnn and mlp and torchscript") {
  const test::TemporaryFolder folder;
  test::save_script(folder / "dense.pt", test::kDenseScript);
  std::string model;
  SUBCASE("small-cnn") { model = "{kind: small-cnn}"; }
  SUBCASE("mlp") { model = "{kind: mlp, layers: [32, 10]}"; }
  SUBCASE("torchscript") { model = fmt::format("{{kind: torchscript, path: {}}}", (folder / "dense.pt").string()); }
  CAPTURE(model);
  const std::vector<std::string> found = bytes_of_row(model);
  CHECK(std::set<std::string>(found.begin(), found.end()).size() == 1);
}

}  // namespace
