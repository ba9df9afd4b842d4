// Tests of checkpoints with some tensors replaced.
#include "merge/replacing.hpp"

#include "common/atomic_file.hpp"
#include "tests/merge/merges.hpp"

namespace tutti::merge::test {
namespace {

using tutti::test::error_of;

constexpr std::int64_t kMany = 300'001;  // more than one piece

struct Place {
  TemporaryFolder folder;
  std::vector<float> weights = random_values(kMany, 1);

  Place() {
    write(folder / "a.safetensors",
          {f32("w", {kMany}, weights), f32("bn.running_mean", {2}, {1, 2}), i64("bn.num_batches_tracked", {}, {5}),
           tensor_of<std::uint16_t>("bn.running_var", Dtype::bf16, {2}, {0, 0})});
  }
  Checkpoint checkpoint() const { return Checkpoint::open(folder / "a.safetensors"); }
  Safetensors replacements(const std::vector<Tensor>& tensors) const {
    write(folder / "r.safetensors", tensors);
    return Safetensors::read(folder / "r.safetensors");
  }
  /// The file that it makes, and how many pieces it came in.
  Safetensors replaced(const std::vector<Tensor>& tensors, const std::map<std::string, std::string>& metadata = {}) {
    AtomicFile out(folder / "out.safetensors");
    write_replaced(
        checkpoint(), replacements(tensors),
        [&](std::span<const std::byte> bytes) {
          ++pieces;
          out.write(bytes);
        },
        metadata);
    out.commit();
    return Safetensors::read(folder / "out.safetensors");
  }
  int pieces = 0;
};

TEST_CASE("replaced tensors are those given in the type of the checkpoint and others are copied") {
  Place place;
  const Safetensors made =
      place.replaced({f32("bn.running_mean", {2}, {3, 4}), f32("bn.running_var", {2}, {0.5F, 1.00390625F}),
                      i64("bn.num_batches_tracked", {}, {9})},
                     {{"format", "pt"}});
  CHECK(place.pieces == 1 + 3 + 2);  // the header, three tensors, and a large one in two pieces
  CHECK(made.metadata() == std::map<std::string, std::string>{{"format", "pt"}});
  CHECK(made.names() == place.checkpoint().names());
  CHECK(values(made, "w") == place.weights);
  CHECK(values(made, "bn.running_mean") == std::vector<float>{3, 4});
  CHECK(made.tensor("bn.running_var").dtype == Dtype::bf16);
  CHECK(values(made, "bn.running_var") == std::vector<float>{0.5F, 1});  // halfway: to even
  CHECK(values<std::int64_t>(made.tensor("bn.num_batches_tracked").bytes) == std::vector<std::int64_t>{9});
}

TEST_CASE("what the checkpoint does not have is rejected before the first byte") {
  Place place;
  const auto refused = [&](const Tensor& tensor) {
    const auto error = error_of([&] { place.replaced({tensor}); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->message() == "cannot replace tensor " + tensor.name);
    CHECK(place.pieces == 0);
    return error->detail();
  };
  CHECK(refused(f32("bn.running_men", {2}, {1, 2})) ==
        "F32 [2] was computed, and the checkpoint has none of this name");
  CHECK(refused(f32("bn.running_mean", {3}, {1, 2, 3})) == "F32 [3] was computed, and the checkpoint has F32 [2]");
  CHECK(refused(f32("bn.num_batches_tracked", {}, {1})) == "F32 [] was computed, and the checkpoint has I64 []");
}

}  // namespace
}  // namespace tutti::merge::test
