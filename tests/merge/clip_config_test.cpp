// Tests of the comparison of towers. What read_clip_config() takes is tested with the towers themselves.
#include "merge/clip_config.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/common/error_of.hpp"
#include "tests/common/lfs_pointer_text.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::merge {
namespace {

using tutti::test::contains;
using tutti::test::error_of;

TEST_CASE("towers that compute the same may be merged") {
  CHECK_FALSE(error_of([] { check_same_towers({}); }));
  const std::vector<NamedTower> towers{{"a", {}}, {"b", {}}, {"base", {}}};
  CHECK_FALSE(error_of([&] { check_same_towers(towers); }));
}

TEST_CASE("towers of the same shapes that compute differently are rejected with every difference") {
  std::vector<NamedTower> towers{{"a", {}}, {"b", {}}, {"c", {}}};
  towers[1].config.activation = ClipActivation::gelu;
  towers[1].config.epsilon = 1e-6;
  towers[2].config.heads = 16;
  towers[2].config.image = 225;
  towers[2].config.patch = 16;
  const auto error = error_of([&] { check_same_towers(towers); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "cannot merge the checkpoints: their models compute differently");
  CHECK(error->detail() ==
        "b has hidden_act gelu instead of quick_gelu\n"
        "b has layer_norm_eps 1e-06 instead of 1e-05\n"
        "c has num_attention_heads 16 instead of 12\n"
        "c has image_size 225 instead of 224\n"
        "c has patch_size 16 instead of 32");
  CHECK(contains(error->hint(), "fine-tuned from the same base"));
}

TEST_CASE("a configuration that is a Git LFS pointer is reported as one") {
  const tutti::test::TemporaryFolder folder;
  std::ofstream(folder / "config.json") << tutti::test::kLfsPointer;
  const auto error = error_of([&] { read_clip_config(folder.path()); });
  REQUIRE(error);
  CHECK(contains(error->message(), "config.json is a Git LFS pointer"));
}

}  // namespace
}  // namespace tutti::merge
