// New weights in the file that a member has: they count once the member is replaced.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <vector>

#include <tutti/ensemble.hpp>

#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/script_files.hpp"

namespace {

using namespace tutti;

TEST_CASE("a member that is replaced by its like has the weights that its file has now") {
  const test::TemporaryFolder folder;
  test::save_script(folder / "m.pt", test::kDenseScript);
  const Spec spec = parse_spec(fmt::format(R"(
members: [{{name: a, model: {{kind: torchscript, path: {}}}}}]
assignment: cpu
combine: {{rule: mean, over: logits}}
input: {{shape: [3, 32, 32]}}
segment_images: 4
)",
                                           (folder / "m.pt").string()));
  const std::vector<float> pixels = test::some_images(3, {3, 32, 32});
  const auto predicted = [&](Ensemble& ensemble) { return ensemble.predict(Images(pixels, {3, 32, 32})).values; };
  Ensemble ensemble(spec);
  const std::vector<float> before = predicted(ensemble);
  test::save_script(folder / "m.pt", test::kDenseScript + " + 1");
  CHECK(predicted(ensemble) == before);
  ensemble.replace_member("a", spec);
  const std::vector<float> after = predicted(ensemble);
  CHECK(after != before);
  Ensemble fresh(spec);
  CHECK(after == predicted(fresh));
}

}  // namespace
