// Parts of networks: one after the other they compute the bits of the whole, and each reads and holds its own weights.
#include <unistd.h>
#include <algorithm>
#include <fstream>
#include <functional>

#include <fmt/format.h>

#include "tests/torch/torch_doctest.hpp"

#include "common/process_memory.hpp"
#include "merge/safetensors.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/made_tower.hpp"
#include "tests/torch/requests.hpp"
#include "worker/torch/models.hpp"

namespace tutti::worker {
namespace {

using test::answers;
using test::contains;
using test::error_of;
using test::some_images;
using test::TemporaryFolder;

using Cuts = std::vector<std::uint32_t>;

constexpr std::uint32_t kShardImages = 11;

/// What the whole network outputs, without an activation.
MemberRequest plain_request(const ModelKind& kind, const ImageShape& shape) {
  MemberRequest request = test::request_for(kind, 21);
  request.takes = {TakenTensor::unchanged(shape.layout())};
  request.output = request.over = facts_of(kind).output->kind;
  return request;
}

/// The outputs of the parts of a network, each for those of the one before it.
std::vector<float> in_parts(const MemberRequest& whole, const Cuts& cuts, const std::vector<float>& images,
                            std::uint32_t batch) {
  std::vector<float> values = images;
  TensorLayout layout = whole.seen();
  for (std::size_t part = 0; part <= cuts.size(); ++part) {
    MemberRequest request = whole;
    *part_of(request.model) = {part == 0 ? 0 : cuts[part - 1], part < cuts.size() ? cuts[part] : 0,
                               whole.seen().elements()};
    request.output = request.over = facts_of(request.model).output->kind;
    request.takes = {TakenTensor::unchanged(layout)};
    const auto model = make_torch_model(request);
    values = answers(*model, values, kShardImages, batch);
    layout = {Dtype::float32, model->output()};
  }
  return values;
}

/// Every way to cut a network of so many layers.
std::vector<Cuts> all_cuts(std::uint32_t layers) {
  std::vector<Cuts> all;
  for (std::uint32_t bits = 1; bits < 1U << (layers - 1); ++bits) {
    Cuts& cuts = all.emplace_back();
    for (std::uint32_t layer = 1; layer < layers; ++layer)
      if ((bits >> (layer - 1) & 1) != 0) cuts.push_back(layer);
  }
  return all;
}

/// Threads and images of a batch.
constexpr std::array<std::pair<std::uint32_t, std::uint32_t>, 3> kWays{{{1, 11}, {2, 4}, {1, 1}}};

TEST_CASE("the parts of an mlp compute the bits of the whole, from its seed and from a file of weights") {
  const TemporaryFolder folder;
  const ImageShape shape{1, 5, 7};
  MemberRequest whole = plain_request(MlpModel{{33, 16, 9, 4}}, shape);
  make_torch_model(plain_request(MlpModel{{33, 16, 9, 4}}, shape))->trainable()->save(folder / "w.safetensors");
  const std::vector<float> images = some_images(kShardImages, shape);
  for (const bool from_file : {false, true}) {
    if (from_file) whole.weights = folder / "w.safetensors";
    if (from_file) whole.seed = 1;
    for (const auto& [threads, batch] : kWays) {
      whole.threads = threads;
      const std::vector<float> expected = answers(*make_torch_model(whole), images, kShardImages, batch);
      for (const Cuts& cuts : all_cuts(4)) {
        CAPTURE(cuts.size());
        CAPTURE(cuts.front());
        CHECK(in_parts(whole, cuts, images, batch) == expected);
      }
    }
  }
}

TEST_CASE("the parts of a tower compute the bits of the whole, whatever it outputs") {
  const TemporaryFolder folder;
  test::write_tower(folder.path(), {.layers = 4, .projected = true});
  const std::vector<float> images = some_images(kShardImages);
  for (const ClipOutput output : {ClipOutput::pooled, ClipOutput::projected}) {
    MemberRequest whole = plain_request(ClipVitModel{folder.path().string(), output, ""}, {3, 32, 32});
    for (const auto& [threads, batch] : kWays) {
      whole.threads = threads;
      const auto model = make_torch_model(whole);
      const std::vector<float> expected = answers(*model, images, kShardImages, batch);
      CHECK(model->output() == Dims{output == ClipOutput::pooled ? 16U : 6U});
      for (const Cuts& cuts : all_cuts(4)) {
        CAPTURE(cuts.size());
        CAPTURE(cuts.front());
        CHECK(in_parts(whole, cuts, images, batch) == expected);
      }
    }
  }
}

TEST_CASE("the weights of the parts are together those of the whole") {
  const TemporaryFolder folder;
  test::write_tower(folder.path(), {.layers = 3, .projected = true});
  for (const ModelKind& kind :
       {ModelKind(MlpModel{{33, 16, 4}}), ModelKind(ClipVitModel{folder.path().string(), ClipOutput::projected, ""})}) {
    const MemberRequest whole = plain_request(kind, {3, 32, 32});
    std::uint64_t parameters = 0;
    TensorLayout layout = whole.seen();
    for (const LayerRange& part : {LayerRange{0, 1, 3072}, LayerRange{1, 2, 3072}, LayerRange{2, 0, 3072}}) {
      MemberRequest request = whole;
      *part_of(request.model) = part;
      request.output = request.over = facts_of(request.model).output->kind;
      request.takes = {TakenTensor::unchanged(layout)};
      const auto model = make_torch_model(request);
      answers(*model, std::vector<float>(layout.elements()), 1, 1);
      layout = {Dtype::float32, model->output()};
      parameters += model->parameters();
    }
    CHECK(parameters == make_torch_model(whole)->parameters());
  }
}

/// Bytes that this process has read so far, from files and from memory of the system; nothing where that is not told.
std::optional<std::uint64_t> bytes_read() {
  std::ifstream io("/proc/self/io");
  std::string key;
  std::uint64_t value = 0;
  while (io >> key >> value)
    if (key == "rchar:") return value;
  return std::nullopt;
}

/// Loads a part whose weights are `share` bytes, and checks what it reads and holds.
void check_share(const MemberRequest& request, std::uint64_t share) {
  constexpr std::uint64_t kRoom = 1U << 20;  // headers, and what libraries set up
  const std::uint64_t held = anonymous_bytes(::getpid()).value();
  const auto read = bytes_read();
  const auto model = make_torch_model(request);
  const std::uint64_t grown = anonymous_bytes(::getpid()).value() - held;
  CHECK(model->parameters() * sizeof(float) == share);
  CHECK(grown <= share + share / 10 + kRoom);
  if (const auto now = bytes_read(); read && now) CHECK(*now - *read <= share + share / 100 + kRoom);
}

/// The first model of a process also loads what all of them share.
void load_small_models(const std::filesystem::path& folder) {
  test::write_tower(folder, {.layers = 1});
  make_torch_model(plain_request(ClipVitModel{folder.string(), ClipOutput::pooled, ""}, {3, 32, 32}));
  make_torch_model(plain_request(MlpModel{{4}}, {1, 2, 3}));
}

TEST_CASE("a part of an mlp reads and holds its own weights") {
  const TemporaryFolder folder;
  constexpr std::int64_t kWidth = 1024;
  {
    const std::vector<float> weight(kWidth * kWidth, 0.25F);
    std::vector<merge::TensorView> tensors;
    for (int layer = 1; layer <= 6; ++layer) {
      const auto bytes = std::as_bytes(std::span(weight));
      tensors.push_back({fmt::format("fc{}.weight", layer), merge::Dtype::f32, {kWidth, kWidth}, bytes});
      tensors.push_back({fmt::format("fc{}.bias", layer), merge::Dtype::f32, {kWidth}, bytes.first(4 * kWidth)});
    }
    merge::write_safetensors(folder / "w.safetensors", tensors, {});
  }
  load_small_models(folder / "small");
  MlpModel part{std::vector<std::uint32_t>(6, kWidth)};
  part.part = {2, 4};
  MemberRequest request = plain_request(part, {1, 1, kWidth});
  request.weights = folder / "w.safetensors";
  check_share(request, 2 * 4 * (kWidth * kWidth + kWidth));
}

TEST_CASE("a part of a tower reads and holds its own weights") {
  const TemporaryFolder folder;
  const test::MadeTower tower{.layers = 8, .hidden = 256, .between = 1024};
  test::write_tower(folder / "tower", tower);
  load_small_models(folder / "small");
  MemberRequest request = plain_request(ClipVitModel{(folder / "tower").string(), ClipOutput::pooled, ""}, {1, 5, 256});
  *part_of(request.model) = {3, 6};
  request.output = request.over = OutputKind::values;
  const std::uint64_t layer = 4 * (256 * 256 + 256) + 2 * 256 * 1024 + 1024 + 256 + 4 * 256;
  check_share(request, 3 * 4 * layer);
}

TEST_CASE("a part that does not fit its file or what it takes says so") {
  const TemporaryFolder folder;
  test::write_tower(folder / "tower", {.layers = 3});
  const auto refused = [&](const ModelKind& kind, const ImageShape& shape, const std::string& weights = {}) {
    MemberRequest request = plain_request(kind, shape);
    request.weights = weights;
    const auto error = error_of([&] { make_torch_model(request); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    return std::string(error->what());
  };
  MlpModel mlp{{8, 6, 4}};
  mlp.part = {1, 2};
  CHECK(contains(refused(mlp, {1, 2, 4}), "a part of an mlp that begins behind its first layer needs 'weights'"));
  make_torch_model(plain_request(MlpModel{{8, 6, 4}}, {1, 2, 3}))->trainable()->save(folder / "w.safetensors");
  CHECK(contains(refused(mlp, {1, 2, 3}, folder / "w.safetensors"), "fc2.weight has shape [6, 8], expected [6, 6]"));
  make_torch_model(plain_request(MlpModel{{8, 6, 4, 2}}, {1, 2, 3}))->trainable()->save(folder / "w.safetensors");
  CHECK(contains(refused(mlp, {1, 2, 4}, folder / "w.safetensors"), "fc4.bias is unknown"));

  ClipVitModel tower{(folder / "tower").string(), ClipOutput::pooled, ""};
  tower.part = {1, 2};
  CHECK(contains(refused(tower, {3, 32, 32}), "from layer 1 on takes 80 values of float32 for each image, not"));
  tower.part = {1, 3};
  CHECK(contains(refused(tower, {1, 5, 16}), "'part' is cut at layer 3, outside the tower in"));
  tower.part = {0, 4};
  CHECK(contains(refused(tower, {3, 32, 32}), "it has 3 layers"));
}

}  // namespace
}  // namespace tutti::worker
