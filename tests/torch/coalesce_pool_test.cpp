// Of which kinds that LibTorch computes a row's bytes do not depend on what else is in its batch, with the fixed
// batches of `coalesce`.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "tests/common/temporary_folder.hpp"
#include "tests/support/row_bytes.hpp"
#include "tests/torch/script_files.hpp"

namespace {

using namespace tutti;

TEST_CASE("the bytes of a row do not depend on its neighbours for the kinds that LibTorch computes") {
  const test::TemporaryFolder folder;
  test::save_script(folder / "dense.pt", test::kDenseScript);
  std::string model;
  std::string over = "logits";
  SUBCASE("small-cnn") { model = "{kind: small-cnn}"; }
  SUBCASE("mlp") { model = "{kind: mlp, layers: [32, 10]}"; }
  SUBCASE("torchscript") { model = fmt::format("{{kind: torchscript, path: {}}}", (folder / "dense.pt").string()); }
  SUBCASE("clip-vit") {
    model = fmt::format("{{kind: clip-vit, path: \"{}/bare\"}}", TUTTI_CLIP_TOWERS);
    over = "features";
  }
  CAPTURE(model);
  CHECK(test::bytes_of_row(model, {3, 32, 32}, over).size() == 1);
}

}  // namespace
