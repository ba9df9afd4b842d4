// What a row of a shared segment gets from the kinds that LibTorch computes.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "tests/common/temporary_folder.hpp"
#include "tests/support/coalesced_rows.hpp"
#include "tests/support/places.hpp"
#include "tests/torch/script_files.hpp"

namespace {

using namespace tutti;

TEST_CASE("a row of a shared segment is that of a whole batch for the kinds that LibTorch computes") {
  const test::TemporaryFolder folder;
  test::save_script(folder / "dense.pt", test::kDenseScript);
  std::string model;
  std::string over = "logits";
  SUBCASE("small-cnn") { model = "{kind: small-cnn}"; }
  SUBCASE("mlp") { model = "{kind: mlp, layers: [32, 10]}"; }
  SUBCASE("mlp with one output") { model = "{kind: mlp, layers: [1]}"; }
  SUBCASE("torchscript") { model = fmt::format("{{kind: torchscript, path: {}}}", (folder / "dense.pt").string()); }
  SUBCASE("clip-vit") {
    model = fmt::format("{{kind: clip-vit, path: \"{}/bare\"}}", test::in_sources("tests/torch/data/clip").string());
    over = "features";
  }
  CAPTURE(model);
  test::check_rows_of_whole_batches(model, {3, 32, 32}, over);
}

}  // namespace
