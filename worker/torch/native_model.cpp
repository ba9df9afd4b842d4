#include "worker/torch/native_model.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <optional>

#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "common/counted.hpp"
#include "worker/torch/adam.hpp"
#include "worker/torch/network.hpp"
#include "worker/torch/torch_errors.hpp"
#include "worker/torch/torch_model.hpp"

namespace tutti::worker {
namespace {

class NativeModel final : public TorchModel, public Trainable {
 public:
  explicit NativeModel(const MemberRequest& request)
      : TorchModel(request, Dims{facts_of(request.model).width}),
        network_(make_network(request)),
        batch_images_(request.batch_images) {
    const KindFacts facts = facts_of(request.model);
    if (request.output != facts.output->kind)
      throw Error(
          ErrorKind::usage,
          fmt::format("{} outputs {}, not {}", facts.name, to_name(facts.output->kind), to_name(request.output)), {},
          "remove 'output' from this member");
    network_ = moved(network_, device());
  }

  std::uint64_t parameters() const override {
    std::uint64_t sum = 0;
    for (const auto& [name, tensor] : named_tensors(network_)) sum += static_cast<std::uint64_t>(tensor.numel());
    return sum;
  }

  void expect_batches(std::uint32_t images) override {
    batch_images_ = images;
    packed_.reset();  // the layout of its weights depends on the batch size
  }

  Trainable* trainable() override { return this; }

  // There is nothing to draw: the order of the images comes from outside, and no layer is random.
  void begin_training() override { optimiser_.emplace(named_tensors(network_), request().learning_rate); }

  TrainBatch train(const Samples& samples, std::span<const std::int64_t> labels,
                   std::span<const std::uint32_t> rows) override {
    assert(optimiser_.has_value());
    if (rows.empty()) return {};
    const at::Tensor targets = pick_labels(labels, rows);
    return explained(ErrorKind::failed, fmt::format("training failed on a batch of {}", counted(rows.size(), "image")),
                     "", [&] { return step(pick(samples, rows), targets.to(device())); });
  }

  void save(const std::filesystem::path& file) override {
    // Python's loaders look for "format".
    write_weights(file, named_tensors(network_),
                  {{"format", "pt"}, {"kind", std::string(kind_name(request().model))}, {"tutti", version()}});
  }

  void lend_state(const std::function<void(std::span<const merge::TensorView>)>& use) override {
    assert(optimiser_.has_value());
    const LentTensors state =
        explained(ErrorKind::failed, "could not make a checkpoint", "", [&] { return lent(optimiser_->state()); });
    use(state.views);
  }

  void take_state(const merge::Safetensors& state) override {
    explained(ErrorKind::failed, "could not load a checkpoint", "", [&] {
      Adam optimiser(named_tensors(network_), request().learning_rate);
      copy_tensors(state, "its tensors", kind_name(request().model), "", optimiser.state());
      optimiser_.emplace(std::move(optimiser));
      packed_.reset();  // the weights have changed
    });
  }

 private:
  at::Tensor answer(std::span<const at::Tensor> batch) override {
    if (!packed_) packed_ = packed(network_, request().seen(), batch_images_);
    return forward(*packed_, batch.front());
  }

  std::uint32_t classes() const { return output().front(); }

  at::Tensor pick_labels(std::span<const std::int64_t> labels, std::span<const std::uint32_t> rows) const {
    at::Tensor picked = at::empty({static_cast<std::int64_t>(rows.size())}, at::kLong);
    std::transform(rows.begin(), rows.end(), picked.mutable_data_ptr<std::int64_t>(), [&](std::uint32_t row) {
      assert(row < labels.size());
      if (labels[row] < 0 || labels[row] >= classes())
        throw Error(ErrorKind::usage,
                    fmt::format("label {} is outside the model's {}", labels[row], counted(classes(), "class")),
                    fmt::format("image {} of the segment", row), "give the model as many classes as the images have");
      return labels[row];
    });
    return picked;
  }

  TrainBatch step(const at::Tensor& images, const at::Tensor& targets) {
    const at::AutoGradMode with_gradients(true);
    packed_.reset();  // the weights change
    optimiser_->forget_gradients();
    // oneDNN's convolutions and their gradients take about two thirds of the time when channels lie innermost. cuDNN's
    // do not: without TF32 they would be brought back into the usual order first.
    const bool innermost = device().is_cpu() && !network_.convolutions.empty();
    const at::Tensor logits = forward(network_, innermost ? images.contiguous(at::MemoryFormat::ChannelsLast) : images);
    const at::Tensor loss = at::cross_entropy_loss(logits, targets);
    loss.backward();
    optimiser_->step();
    const double mean = loss.item<float>();
    return {mean * static_cast<double>(targets.size(0)),
            static_cast<std::uint64_t>(logits.argmax(1).eq(targets).sum().item<std::int64_t>())};
  }

  Network network_;
  std::uint32_t batch_images_;     // expected per batch
  std::optional<Network> packed_;  // for predictions; empty after a change of the weights or of the batch
  std::optional<Adam> optimiser_;
};

}  // namespace

std::unique_ptr<Model> make_native_model(const MemberRequest& request) {
  return std::make_unique<NativeModel>(request);
}

}  // namespace tutti::worker
