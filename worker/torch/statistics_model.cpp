#include "worker/torch/statistics_model.hpp"

#include <fmt/format.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include "common/build_id.hpp"
#include "common/counted.hpp"
#include "worker/torch/entry.hpp"
#include "worker/torch/script_module.hpp"
#include "worker/torch/statistics_graph.hpp"
#include "worker/torch/torch_errors.hpp"
#include "worker/torch/torch_model.hpp"

namespace tutti::worker {
namespace {

class StatisticsModel final : public TorchModel, public Trainable {
 public:
  explicit StatisticsModel(const MemberRequest& request)
      : TorchModel(request),
        module_(load_script_module(request, device())),
        statistics_(module_, std::get<TorchScriptModel>(request.model).path) {
    for (const at::Tensor& tensor : module_.parameters()) parameters_ += static_cast<std::uint64_t>(tensor.numel());
  }

  std::uint64_t parameters() const override { return parameters_; }
  void expect_images(const ImageShape& shape) override { take_images(shape); }

  Trainable* trainable() override { return this; }

  void begin_training() override { statistics_.reset(); }

  TrainBatch train(const Samples& samples, std::span<const std::int64_t> /*labels*/,
                   std::span<const std::uint32_t> rows) override {
    if (rows.empty()) return {};
    explained(ErrorKind::failed, fmt::format("the model failed on a batch of {}", counted(rows.size(), "image")), "",
              [&] {
                const at::Tensor batch = pick(samples, rows);
                statistics_.add(request().copy_input ? batch.clone() : batch);
              });
    return {};
  }

  void save(const std::filesystem::path& file) override {
    const NamedTensors averages =
        explained(ErrorKind::failed, "could not average the statistics", "", [&] { return statistics_.averages(); });
    write_weights(file, averages, {{"format", "pt"}, {"tutti", version()}});
  }

  void lend_state(const std::function<void(std::span<const merge::TensorView>)>& use) override {
    const LentTensors state =
        explained(ErrorKind::failed, "could not make a checkpoint", "", [&] { return lent(statistics_.sums()); });
    use(state.views);
  }

  void take_state(const merge::Safetensors& state) override {
    explained(ErrorKind::failed, "could not load a checkpoint", "",
              [&] { copy_tensors(state, "its tensors", kind_name(request().model), "", statistics_.sums()); });
  }

 private:
  at::Tensor answer(std::span<const at::Tensor> batch) override {
    const torch::jit::GraphOptimizerEnabledGuard steady(false);
    return chosen_entries(module_.forward({batch.front()}), std::get<TorchScriptModel>(request().model).entries,
                          joined());
  }

  torch::jit::Module module_;
  StatisticsGraph statistics_;
  std::uint64_t parameters_ = 0;
};

}  // namespace

std::unique_ptr<Model> make_statistics_model(const MemberRequest& request) {
  return std::make_unique<StatisticsModel>(request);
}

}  // namespace tutti::worker
