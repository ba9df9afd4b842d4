// Whole pools over members that join several outputs of a model.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

#include "common/random.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/script_files.hpp"

namespace {

using namespace tutti;

constexpr std::size_t kJoinedImages = 7;
constexpr ImageShape kJoinedShape{3, 32, 32};

/// Two members over one module with the outputs `boxes` (2x4), `flat` (8), `price` (a number) and `rest` (9).
Spec joined(const test::TemporaryFolder& folder, const std::string& a, const std::string& b,
            const std::string& rule = "mean") {
  test::save_script(folder / "m.pt",
                    "flat = torch.flatten(x, 1)[:, 0:8]\n    return {'boxes': flat.reshape(-1, 2, 4), 'flat': flat, "
                    "'price': x[:, 0, 0, 0], 'rest': torch.flatten(x, 1)[:, 0:9]}");
  return parse_spec(fmt::format(R"(
members:
  - {{name: a, model: {{kind: torchscript, path: {0}, output: {1}}}, output: values}}
  - {{name: b, model: {{kind: torchscript, path: {0}, output: {2}}}, output: values}}
assignment: cpu
threads: 1
combine: {{rule: {3}, over: values}}
input: {{shape: [3, 32, 32]}}
segment_images: 4
batch_images: 2
)",
                                (folder / "m.pt").string(), a, b, rule));
}

TEST_CASE("members that join the same outputs are combined and say where each begins") {
  const test::TemporaryFolder folder;
  std::vector<float> pixels(kJoinedImages * kJoinedShape.elements());
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = unit_float(random_at(98, i));
  Ensemble ensemble(joined(folder, "[boxes, price]", "[boxes, price]"));
  const Predictions predictions = ensemble.predict(Images(pixels, kJoinedShape));
  CHECK(predictions.shape == Dims{9});
  CHECK(predictions.predicted.empty());
  for (std::size_t image = 0; image < kJoinedImages; ++image)
    for (std::size_t i = 0; i < 9; ++i)
      CHECK(predictions.values[image * 9 + i] == pixels[image * kJoinedShape.elements() + i % 8]);
  CHECK(ensemble.status().members[1].parts ==
        std::vector<NamedLayout>{{"boxes", {Dtype::float32, {2, 4}}}, {"price", {Dtype::float32, {}}}});
}

TEST_CASE("members that join outputs of other shapes are not combined although their rows are as long") {
  const test::TemporaryFolder folder;
  const auto error = test::error_of([&] { Ensemble(joined(folder, "[boxes, price]", "[flat, price]")); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() ==
        "the members cannot be combined: a joins boxes (2x4 of float32) and price (a number of float32), but b joins "
        "flat (8 of float32) and price (a number of float32)");
  CHECK(error->hint() == "name outputs of the same shapes, in the same order, in 'output' of each 'model'");
  Ensemble same(joined(folder, "[boxes, price]", "[boxes, price]"));
  MemberSpec other = joined(folder, "[boxes, price]", "[flat, price]", "none").checked().members[1];
  other.name = "c";
  const auto refused = test::error_of([&] { same.add_member(other); });
  REQUIRE(refused);
  CHECK(refused->message() ==
        "c cannot join the ensemble: it joins flat (8 of float32) and price (a number of float32), and the members of "
        "the ensemble boxes (2x4 of float32) and price (a number of float32)");
  const auto replaced =
      test::error_of([&] { same.replace_member("b", joined(folder, "[boxes, price]", "[flat, price]")); });
  REQUIRE(replaced);
  CHECK(replaced->kind() == ErrorKind::usage);
  CHECK(replaced->message() ==
        "the new version of b cannot take over: it joins flat (8 of float32) and price (a number of float32), and the "
        "version before it joins boxes (2x4 of float32) and price (a number of float32)");
  CHECK(replaced->hint() == "name outputs of the same shapes, in the same order, in its 'output'");
  const auto nothing = test::error_of([&] { same.replace_member("b", joined(folder, "[boxes, price]", "rest")); });
  REQUIRE(nothing);
  CHECK(test::contains(nothing->message(), "it joins nothing, and the version before it joins boxes (2x4 of float32)"));
  CHECK(same.status().faults.deaths == 0);
  const Ensemble apart(joined(folder, "[boxes, price]", "[flat, price]", "none"));
  CHECK(apart.status().members[1].parts.size() == 2);
}

}  // namespace
