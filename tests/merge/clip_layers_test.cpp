// Which layer of a CLIP tower a tensor goes with.
#include "merge/clip_layers.hpp"

#include <doctest/doctest.h>

#include "tests/common/temporary_folder.hpp"
#include "tests/merge/tensors.hpp"

namespace tutti::merge {
namespace {

TEST_CASE("each tensor of a tower goes with one layer, with the prefix or without") {
  for (const std::string prefix : {"", "vision_model."}) {
    CHECK(tower_layer(prefix + "embeddings.class_embedding", 12) == 0);
    CHECK(tower_layer(prefix + "pre_layrnorm.bias", 12) == 0);
    CHECK(tower_layer(prefix + "encoder.layers.0.mlp.fc1.weight", 12) == 0);
    CHECK(tower_layer(prefix + "encoder.layers.11.mlp.fc1.weight", 12) == 11);
    CHECK(tower_layer(prefix + "post_layernorm.weight", 12) == 11);
    CHECK_FALSE(tower_layer(prefix + "encoder.layers.12.mlp.fc1.weight", 12));
    CHECK_FALSE(tower_layer(prefix + "encoder.layers.x.mlp.fc1.weight", 12));
    CHECK_FALSE(tower_layer(prefix + "encoder.layers.1", 12));
    CHECK_FALSE(tower_layer(prefix + "embeddings.position_ids", 12));
  }
  CHECK(tower_layer("visual_projection.weight", 12) == 11);
  CHECK_FALSE(tower_layer("text_model.encoder.layers.0.mlp.fc1.weight", 12));
  CHECK_FALSE(tower_layer("logit_scale", 12));
}

TEST_CASE("the bytes of a layer are those of its tensors as float32") {
  const tutti::test::TemporaryFolder folder;
  const std::vector<std::uint16_t> halves(10);
  test::write(folder / "model.safetensors",
              {test::f32("embeddings.class_embedding", {3}, {1, 2, 3}),
               test::f32("encoder.layers.0.layer_norm1.bias", {2}, {1, 2}),
               test::tensor_of("encoder.layers.1.layer_norm1.bias", Dtype::f16, {10}, halves),
               test::f32("text_model.x", {2}, {1, 2}), test::f32("visual_projection.weight", {1, 4}, {1, 2, 3, 4})});
  const auto checkpoint = Checkpoint::open(folder / "model.safetensors");
  using Bytes = std::vector<std::uint64_t>;
  CHECK(tower_layer_bytes(checkpoint, 2, false) == Bytes{20, 40});
  CHECK(tower_layer_bytes(checkpoint, 2, true) == Bytes{20, 56});
}

}  // namespace
}  // namespace tutti::merge
