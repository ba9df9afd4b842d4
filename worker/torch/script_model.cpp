#include "worker/torch/script_model.hpp"

#include <ATen/Context.h>
#include <ATen/ops/allclose.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <tutti/error.hpp>

#include "common/clock.hpp"
#include "common/random.hpp"
#include "worker/failure.hpp"
#include "worker/torch/entry.hpp"
#include "worker/torch/script_module.hpp"
#include "worker/torch/statistics_model.hpp"
#include "worker/torch/torch_errors.hpp"
#include "worker/torch/torch_model.hpp"
#include "worker/torch/training_operators.hpp"

namespace tutti::worker {
namespace {

// How much folding and blocked layouts may change: a few last bits, which deep networks amplify.
constexpr double kRelativeTolerance = 1e-3;
constexpr double kAbsoluteTolerance = 1e-4;
constexpr std::string_view kOptimizeOff = "set 'optimize: false' for this member";
/// From so many seconds on the user hears what optimising took.
constexpr double kLongOptimising = 1;

bool same_bits(const at::Tensor& one, const at::Tensor& other) {
  const at::Tensor a = one.to(at::kCPU).contiguous();
  const at::Tensor b = other.to(at::kCPU).contiguous();
  return a.nbytes() == b.nbytes() && std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

std::vector<at::Tensor> clones(std::span<const at::Tensor> tensors) {
  std::vector<at::Tensor> copies;
  for (const at::Tensor& tensor : tensors) copies.push_back(tensor.clone());
  return copies;
}

class ScriptModel final : public TorchModel {
 public:
  explicit ScriptModel(const MemberRequest& request)
      : TorchModel(request),
        path_(std::get<TorchScriptModel>(request.model).path),
        entries_(std::get<TorchScriptModel>(request.model).entries),
        random_(std::get<TorchScriptModel>(request.model).random),
        module_(load_script_module(request, device())) {
    for (const at::Tensor& tensor : module_.parameters()) parameters_ += static_cast<std::uint64_t>(tensor.numel());
    if (random_) return;  // the optimised module might draw its random numbers in another order
    why_unsteady_ = training_operators(module_);
    if (std::get<TorchScriptModel>(request.model).optimize) optimise();
  }

  std::uint64_t parameters() const override { return parameters_; }
  void expect_images(const ImageShape& shape) override { take_images(shape); }
  std::string why_unsteady() const override { return why_unsteady_; }
  void begin_segment(std::uint64_t first_image) override {
    if (random_) at::manual_seed(random_at(request().seed, first_image));
  }

 private:
  void optimise() {
    const auto begin = std::chrono::steady_clock::now();
    explained(ErrorKind::usage, fmt::format("cannot optimise '{}'", path_), kOptimizeOff, [&] {
      plain_ = module_;
      // Frozen explicitly: optimize_for_inference treats a module without the attribute `training` as frozen.
      torch::jit::Module frozen = torch::jit::freeze(module_);
      module_ = torch::jit::optimize_for_inference(frozen);
    });
    if (std::string note = note_on_optimising(seconds_since(begin)); !note.empty()) add_note(std::move(note));
  }

  at::Tensor answer(std::span<const at::Tensor> batch) override {
    return plain_ ? compared(batch) : run(module_, batch);
  }

  // The profiling executor would choose other kernels after some calls, so the last bits of a prediction would depend
  // on earlier batches.
  at::Tensor run(torch::jit::Module& module, std::span<const at::Tensor> batch) {
    const torch::jit::GraphOptimizerEnabledGuard steady(false);
    std::vector<at::IValue> by_place;
    std::unordered_map<std::string, at::IValue> by_name;
    for (std::size_t t = 0; t < batch.size(); ++t)
      if (const std::string& name = request().takes[t].as; name.empty())
        by_place.emplace_back(batch[t]);
      else
        by_name.emplace(name, batch[t]);
    return chosen_entries(module.forward(std::move(by_place), by_name), entries_, joined());
  }

  // Runs once, on the first batch. The plain module gets a copy: a model may write to its input.
  at::Tensor compared(std::span<const at::Tensor> batch) {
    const std::vector<at::Tensor> kept = clones(batch);
    const at::Tensor expected = run(*plain_, clones(kept));
    const at::Tensor found = run(module_, batch);
    const std::string difference = difference_between(expected, found);
    if (!difference.empty()) refuse(kept, expected, difference);
    plain_.reset();
    return found;
  }

  /// Optimising changed nothing if the plain module differs from itself.
  [[noreturn]] void refuse(std::span<const at::Tensor> batch, const at::Tensor& expected,
                           const std::string& difference) {
    if (!expected.isfinite().all().item<bool>())
      throw Error(ErrorKind::usage, fmt::format("'{}' outputs NaN or infinity", path_),
                  "its kernels may make numbers of them once it is optimised",
                  fmt::format("check its weights; if such values are meant, {}", kOptimizeOff));
    if (!same_bits(run(*plain_, clones(batch)), expected))
      throw unsteady("the model gives other outputs when it predicts the same images again", why_unsteady_,
                     facts_of(request().model));
    throw Error(ErrorKind::usage, fmt::format("'{}' gives other outputs when it is optimised", path_), difference,
                std::string(kOptimizeOff));
  }

  static std::string difference_between(const at::Tensor& expected, const at::Tensor& found) {
    if (expected.sizes() != found.sizes() || expected.scalar_type() != found.scalar_type())
      return "the shape or the type of the output changes";
    if (at::allclose(found, expected, kRelativeTolerance, kAbsoluteTolerance, /*equal_nan=*/true)) return {};
    return fmt::format("largest difference {:.3g}, on values of up to {:.3g}",
                       found.sub(expected).abs().max().item().toDouble(), expected.abs().max().item().toDouble());
  }

  std::string path_;
  std::vector<std::string> entries_;
  bool random_;
  torch::jit::Module module_;
  std::string why_unsteady_;
  std::uint64_t parameters_ = 0;
  std::optional<torch::jit::Module> plain_;  // until the first batch, if module_ is optimised
};

}  // namespace

std::string note_on_optimising(double seconds) {
  if (seconds < kLongOptimising) return {};
  return fmt::format("optimising it took {:.1f} s, which 'optimize: false' saves; its batches may then take longer",
                     seconds);
}

std::unique_ptr<Model> make_script_model(const MemberRequest& request) {
  if (request.learns == Learns::statistics) return make_statistics_model(request);
  return std::make_unique<ScriptModel>(request);
}

}  // namespace tutti::worker
