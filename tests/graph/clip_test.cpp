// CLIP's vision tower computed by the library under test, compared with transformers (tests/torch/data).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>

#include "merge/head.hpp"
#include "merge/safetensors.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/graph/graph_backend.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;

const fs::path kTowers = test::in_sources("tests/torch/data/clip");
/// Sums of some hundred float32 terms in another order, on values of about 1 to 5; as for LibTorch's members.
constexpr double kTolerance = 2e-5;
constexpr std::uint32_t kImages = 5;

MemberRequest tower_request(const fs::path& folder, ClipOutput output = ClipOutput::pooled) {
  MemberRequest request;
  request.name = "m0";
  request.model = ClipVitModel{folder.string(), output, "", kBackend.by};
  request.takes = {TakenTensor::unchanged(ImageShape{3, 32, 32}.layout())};
  request.batch_images = kImages;
  request.output = request.over = kind_of(output);
  return request;
}

Floats reference(const std::string& name) {
  const merge::Safetensors file = merge::Safetensors::read(kTowers / "answers.safetensors");
  const auto bytes = file.tensor(name).bytes;
  Floats values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Floats predicted(const MemberRequest& request, std::uint32_t count = kImages) {
  return predictions(request, reference("images").data(), count);
}

double largest_difference(const Floats& a, const Floats& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::isfinite(a[i]) ? std::abs(double{a[i]} - double{b[i]}) : HUGE_VAL);
  return largest;
}

/// A head of 3 classes with all parts, and the features that it takes.
std::string write_head(const TemporaryFolder& folder, std::int64_t features) {
  Floats projection(static_cast<std::size_t>(4 * features));
  for (std::size_t i = 0; i < projection.size(); ++i) projection[i] = static_cast<float>(i % 7) / 4 - 0.7F;
  const Floats weight{0.5F, -1, 0.25F, 2, 1, 0, -0.5F, 1, -2, 1, 1, 0.75F};
  const Floats bias{0.25F, 0, -1};
  const Floats scale{3};
  const auto view = [](const char* name, std::vector<std::int64_t> sizes, const Floats& values) {
    return merge::TensorView{name, merge::Dtype::f32, std::move(sizes), std::as_bytes(std::span(values))};
  };
  const std::vector<merge::TensorView> tensors{view("weight", {3, 4}, weight), view("bias", {3}, bias),
                                               view("projection", {4, features}, projection), view("scale", {}, scale)};
  const fs::path file = folder / "head.safetensors";
  merge::write_safetensors(file, tensors, {{"normalize", "true"}});
  return file.string();
}

TEST_CASE("a tower without the prefix gives the features of transformers in any batch") {
  if (skipped()) return;
  const Floats pooled = reference("pooled");
  for (const std::uint32_t count : {5U, 2U, 1U}) {
    const Floats found = predicted(tower_request(kTowers / "bare"), count);
    CHECK(largest_difference(found, Floats(pooled.begin(), pooled.begin() + count * 32)) < kTolerance);
  }
}

TEST_CASE("a tower with another activation takes the weights of another file") {
  if (skipped()) return;
  MemberRequest request = tower_request(kTowers / "gelu");
  request.weights = (kTowers / "bare/model.safetensors").string();
  const Floats found = predicted(request);
  CHECK(largest_difference(found, reference("pooled_gelu")) < kTolerance);
  CHECK(largest_difference(found, reference("pooled")) > 1e-3);
}

TEST_CASE("a tower with the prefix outputs its projected features") {
  if (skipped()) return;
  const MemberRequest request = tower_request(kTowers / "projection", ClipOutput::projected);
  CHECK(largest_difference(predicted(request), reference("projected")) < kTolerance);
  CHECK(kBackend.make(request)->parameters() ==
        kBackend.make(tower_request(kTowers / "projection"))->parameters() + 16 * 32);
}

TEST_CASE("a whole CLIP model in shards of bfloat16 gives the features of its vision tower") {
  if (skipped()) return;
  const MemberRequest request = tower_request(kTowers / "sharded");
  CHECK(largest_difference(predicted(request), reference("pooled_whole")) < kTolerance);
  const std::uint64_t layer = 4 * (32 * 32 + 32) + 2 * 32 * 48 + 48 + 32 + 4 * 32;
  CHECK(kBackend.make(request)->parameters() == 32 + 32 * 3 * 64 + 17 * 32 + 4 * 32 + 2 * layer);
}

TEST_CASE("the logits of a tower are those of its head, with all that a head may have") {
  if (skipped()) return;
  const TemporaryFolder folder;
  MemberRequest request = tower_request(kTowers / "bare", ClipOutput::logits);
  std::get<ClipVitModel>(request.model).head = write_head(folder, 32);
  Floats expected(kImages * 3);
  merge::Head::read(folder / "head.safetensors").apply(reference("pooled"), kImages, expected);
  CHECK(largest_difference(predicted(request), expected) < kTolerance);
  request.over = OutputKind::probabilities;
  const Floats probabilities = predicted(request);
  for (std::size_t i = 0; i < probabilities.size(); i += 3)
    CHECK(probabilities[i] + probabilities[i + 1] + probabilities[i + 2] == doctest::Approx(1));
}

TEST_CASE("a tower predicts the same bits again") {
  if (skipped()) return;
  const auto model = kBackend.make(tower_request(kTowers / "bare"));
  const Floats images = reference("images");
  model->probe(images.data(), kImages);
  Floats first(3 * 32);
  model->predict(images.data(), 3, first);
  Floats other(kImages * 32);
  model->predict(images.data(), kImages, other);
  Floats again(3 * 32);
  model->predict(images.data(), 3, again);
  CHECK(again == first);
}

TEST_CASE("a tower is refused for the reasons for which LibTorch's members refuse it") {
  if (skipped()) return;
  const TemporaryFolder folder;
  MemberRequest other_size = tower_request(kTowers / "bare");
  other_size.takes = {TakenTensor::unchanged(ImageShape{3, 64, 32}.layout())};
  CHECK(contains(refusal(other_size).message(), "takes images of 3x32x32, not 3x64x32"));
  CHECK(refusal(tower_request(kTowers / "bare", ClipOutput::projected)).detail() ==
        "visual_projection.weight is missing, which 'output: projected' needs");
  MemberRequest other_head = tower_request(kTowers / "bare", ClipOutput::logits);
  std::get<ClipVitModel>(other_head.model).head = write_head(folder, 16);
  CHECK(contains(refusal(other_head).message(), "takes 16 features, but the tower in"));
  MemberRequest output = tower_request(kTowers / "bare");
  output.output = output.over = OutputKind::logits;
  CHECK(refusal(output).message() == "a clip-vit with 'output: pooled' outputs features, not logits");
  MemberRequest cuda = tower_request(kTowers / "bare");
  cuda.cuda = true;
  CHECK(contains(refusal(cuda).message(), "run on the CPU only"));
}

TEST_CASE("a tower whose weights hold NaN is refused with the tensor, whatever their type") {
  if (skipped()) return;
  const TemporaryFolder folder;
  fs::create_directories(folder / "a");
  fs::copy_file(kTowers / "bare/config.json", folder / "a/config.json");
  const merge::Safetensors whole = merge::Safetensors::read(kTowers / "bare/model.safetensors");
  const std::string name = "encoder.layers.1.mlp.fc1.weight";
  const Floats floats(std::size_t{48} * 32, std::numeric_limits<float>::quiet_NaN());
  const std::vector<std::uint16_t> halves(floats.size(), 0x7e00);
  for (const merge::Dtype type : {merge::Dtype::f32, merge::Dtype::f16}) {
    std::vector<merge::TensorView> tensors;
    for (const std::string& one : whole.names()) {
      tensors.push_back(whole.tensor(one));
      if (one != name) continue;
      tensors.back().dtype = type;
      tensors.back().bytes =
          type == merge::Dtype::f32 ? std::as_bytes(std::span(floats)) : std::as_bytes(std::span(halves));
    }
    merge::write_safetensors(folder / "a/model.safetensors", tensors);
    const Error error = refusal(tower_request(folder / "a"));
    CHECK(contains(error.message(), "a' holds NaN or infinity"));
    CHECK(error.detail() == "first in '" + name + "'");
  }
}

}  // namespace
}  // namespace tutti::test
