// Tests of checkpoints of small-cnn and mlp: a new model that continues from one trains and predicts with the same
// bytes.
#include "worker/checkpoint.hpp"

#include <numeric>

#include "common/nameless_file.hpp"
#include "merge/safetensors.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/script_files.hpp"
#include "tests/torch/torch_doctest.hpp"
#include "worker/torch/models.hpp"

namespace tutti::worker {
namespace {

using test::answers;
using test::bytes_of;
using test::contains;
using test::error_of;
using test::request_for;
using test::some_images;
using test::TemporaryFolder;

constexpr std::uint32_t kCheckpointImages = 24;

/// One step on all images, in an order and with labels that depend on its number.
void learn(Model& model, std::uint32_t step) {
  static const std::vector<float> images = some_images(kCheckpointImages);
  std::vector<std::int64_t> labels(kCheckpointImages);
  std::vector<std::uint32_t> rows(kCheckpointImages);
  for (std::uint32_t i = 0; i < kCheckpointImages; ++i) {
    labels[i] = (i + step) % 4;
    rows[i] = (i * 7 + step) % kCheckpointImages;
  }
  model.trainable()->train(images.data(), labels, rows);
}

/// Both kinds, from the seed and from saved weights.
std::vector<MemberRequest> members(const TemporaryFolder& folder) {
  std::vector<MemberRequest> requests;
  for (const ModelKind& kind : {ModelKind(SmallCnnModel{4}), ModelKind(MlpModel{{16, 4}})}) {
    requests.push_back(request_for(kind));
    make_torch_model(request_for(kind, 99))->trainable()->save(folder / kind_name(kind));
    requests.push_back(request_for(kind));
    requests.back().weights = folder / kind_name(kind);
  }
  return requests;
}

TEST_CASE("a fresh model that continues from a checkpoint saves the bytes of an undisturbed one") {
  const TemporaryFolder folder;
  for (const MemberRequest& request : members(folder)) {
    CAPTURE(std::string(kind_name(request.model)));
    CAPTURE(request.weights);
    const UniqueFd checkpoint = memory_file("checkpoint");
    const auto undisturbed = make_torch_model(request);
    undisturbed->trainable()->begin_training();
    for (std::uint32_t step = 0; step < 3; ++step) learn(*undisturbed, step);
    write_checkpoint(checkpoint.get(), request, *undisturbed->trainable(), 2);
    undisturbed->trainable()->save(folder / "at the checkpoint");
    for (std::uint32_t step = 3; step < 6; ++step) learn(*undisturbed, step);
    undisturbed->trainable()->save(folder / "undisturbed");

    const auto restored = make_torch_model(request);
    answers(*restored, some_images(8), 8, 8);  // its weights are packed now, as after a warm-up
    CHECK(read_checkpoint(checkpoint.get(), request, *restored->trainable()) == 2);
    restored->trainable()->save(folder / "restored");
    CHECK(bytes_of(folder / "restored") == bytes_of(folder / "at the checkpoint"));
    for (std::uint32_t step = 3; step < 6; ++step) learn(*restored, step);
    restored->trainable()->save(folder / "restored");
    CHECK(bytes_of(folder / "restored") == bytes_of(folder / "undisturbed"));

    // With a new optimiser the steps after the checkpoint differ, so the test would notice.
    const auto forgetful = make_torch_model(request);
    read_checkpoint(checkpoint.get(), request, *forgetful->trainable());
    forgetful->trainable()->begin_training();
    for (std::uint32_t step = 3; step < 6; ++step) learn(*forgetful, step);
    forgetful->trainable()->save(folder / "forgetful");
    CHECK(bytes_of(folder / "forgetful") != bytes_of(folder / "undisturbed"));
  }
}

TEST_CASE("a restored model gives the same bits without further training") {
  const TemporaryFolder folder;
  const std::vector<float> images = some_images(kCheckpointImages);
  for (const MemberRequest& request : members(folder)) {
    const UniqueFd checkpoint = memory_file("checkpoint");
    const auto model = make_torch_model(request);
    model->trainable()->begin_training();
    learn(*model, 0);
    write_checkpoint(checkpoint.get(), request, *model->trainable(), 0);
    const auto restored = make_torch_model(request);
    const std::vector<float> before = answers(*restored, images, kCheckpointImages, 8);
    read_checkpoint(checkpoint.get(), request, *restored->trainable());
    const std::vector<float> after = answers(*restored, images, kCheckpointImages, 8);
    CHECK(after != before);
    CHECK(after == answers(*model, images, kCheckpointImages, 8));
  }
}

TEST_CASE("a checkpoint before the first step is that of a member that has just started") {
  const TemporaryFolder folder;
  for (const MemberRequest& request : members(folder)) {
    const UniqueFd checkpoint = memory_file("checkpoint");
    const auto undisturbed = make_torch_model(request);
    undisturbed->trainable()->begin_training();
    const auto witness = make_torch_model(request);  // of a training without checkpoints
    witness->trainable()->begin_training();
    write_checkpoint(checkpoint.get(), request, *undisturbed->trainable(), 0);
    const auto restored = make_torch_model(request);
    read_checkpoint(checkpoint.get(), request, *restored->trainable());
    for (Model* const model : {undisturbed.get(), restored.get(), witness.get()})
      for (std::uint32_t step = 0; step < 2; ++step) learn(*model, step);
    undisturbed->trainable()->save(folder / "undisturbed");
    restored->trainable()->save(folder / "restored");
    witness->trainable()->save(folder / "witness");
    CHECK(bytes_of(folder / "restored") == bytes_of(folder / "undisturbed"));
    CHECK(bytes_of(folder / "witness") == bytes_of(folder / "undisturbed"));
  }
}

TEST_CASE("a checkpoint holds weights and moments and steps by name") {
  const UniqueFd checkpoint = memory_file("checkpoint");
  const MemberRequest request = request_for(MlpModel{{4}});
  const auto model = make_torch_model(request);
  model->trainable()->begin_training();
  learn(*model, 0);
  learn(*model, 1);
  write_checkpoint(checkpoint.get(), request, *model->trainable(), 1);
  const auto state = merge::Safetensors::read(checkpoint.get(), "the file");
  CHECK(state.names() == std::vector<std::string>{"exp_avg/fc1.bias", "exp_avg/fc1.weight", "exp_avg_sq/fc1.bias",
                                                  "exp_avg_sq/fc1.weight", "params/fc1.bias", "params/fc1.weight",
                                                  "step"});
  float step = 0;
  std::memcpy(&step, state.tensor("step").bytes.data(), sizeof step);
  CHECK(step == 2);
}

TEST_CASE("a checkpoint of other layers is rejected with what differs and the model does not change") {
  const TemporaryFolder folder;
  const UniqueFd checkpoint = memory_file("checkpoint");
  const MemberRequest wide = request_for(MlpModel{{8, 4}});
  const auto model = make_torch_model(wide);
  model->trainable()->begin_training();
  learn(*model, 0);
  write_checkpoint(checkpoint.get(), wide, *model->trainable(), 0);
  const MemberRequest narrow = request_for(MlpModel{{6, 4}});
  const auto other = make_torch_model(narrow);
  other->trainable()->begin_training();
  learn(*other, 0);
  other->trainable()->save(folder / "before");
  const auto error = error_of([&] { read_checkpoint(checkpoint.get(), narrow, *other->trainable()); });
  REQUIRE(error);
  CHECK(error->message() == "cannot continue from a checkpoint of 'member'");
  CHECK(error->detail().starts_with("its tensors do not fit mlp: "));
  CHECK(contains(error->detail(), "exp_avg/fc1.weight has shape [8, 3072], expected [6, 3072]"));
  other->trainable()->save(folder / "after");
  CHECK(bytes_of(folder / "before") == bytes_of(folder / "after"));
  // Its optimiser too: a twin that was never offered that checkpoint learns the same.
  const auto twin = make_torch_model(narrow);
  twin->trainable()->begin_training();
  for (std::uint32_t step = 0; step < 3; ++step) learn(*twin, step);
  for (std::uint32_t step = 1; step < 3; ++step) learn(*other, step);
  twin->trainable()->save(folder / "before");
  other->trainable()->save(folder / "after");
  CHECK(bytes_of(folder / "before") == bytes_of(folder / "after"));
}

TEST_CASE("a torchscript member has no checkpoints") {
  const TemporaryFolder folder;
  test::save_script(folder / "dense.pt", test::kDenseScript);
  const MemberRequest request = request_for(TorchScriptModel{(folder / "dense.pt").string(), false});
  const auto model = make_torch_model(request);
  CHECK(model->trainable() == nullptr);
  const auto error = error_of([&] { trainable_part(*model, request, "trained"); });
  REQUIRE(error);
  CHECK(error->message() == "a torchscript member cannot be trained");
}

}  // namespace
}  // namespace tutti::worker
