#include "worker/torch/script_model.hpp"

#include <ATen/ops/allclose.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <optional>

#include <tutti/error.hpp>

#include "worker/torch/entry.hpp"
#include "worker/torch/script_module.hpp"
#include "worker/torch/statistics_model.hpp"
#include "worker/torch/torch_errors.hpp"
#include "worker/torch/torch_model.hpp"

namespace tutti::worker {
namespace {

// How much folding and blocked layouts may change: a few last bits, which deep networks amplify.
constexpr double kRelativeTolerance = 1e-3;
constexpr double kAbsoluteTolerance = 1e-4;
constexpr std::string_view kOptimizeOff = "set 'optimize: off' for this member";

class ScriptModel final : public TorchModel {
 public:
  explicit ScriptModel(const MemberRequest& request)
      : TorchModel(request, 0),
        path_(std::get<TorchScriptModel>(request.model).path),
        entry_(std::get<TorchScriptModel>(request.model).entry),
        module_(load_script_module(request, device())) {
    for (const at::Tensor& tensor : module_.parameters()) parameters_ += static_cast<std::uint64_t>(tensor.numel());
    if (std::get<TorchScriptModel>(request.model).optimize) optimise();
  }

  std::uint64_t parameters() const override { return parameters_; }

 private:
  void optimise() {
    explained(ErrorKind::usage, fmt::format("cannot optimise '{}'", path_), kOptimizeOff, [&] {
      plain_ = module_;
      // Frozen explicitly: optimize_for_inference treats a module without the attribute `training` as frozen.
      torch::jit::Module frozen = torch::jit::freeze(module_);
      module_ = torch::jit::optimize_for_inference(frozen);
    });
  }

  at::Tensor answer(const at::Tensor& batch) override {
    if (plain_) compare(batch.clone(), batch.clone());
    return run(module_, batch);
  }

  // The profiling executor would choose other kernels after some calls, so the last bits of a prediction would depend
  // on earlier batches.
  at::Tensor run(torch::jit::Module& module, const at::Tensor& batch) const {
    const torch::jit::GraphOptimizerEnabledGuard steady(false);
    return chosen_entry(module.forward({batch}), entry_);
  }

  // Runs once, on the first batch. Each of the two modules gets a copy: a model may write to its input.
  void compare(const at::Tensor& for_plain, const at::Tensor& for_optimised) {
    const at::Tensor expected = run(*plain_, for_plain);
    const at::Tensor found = run(module_, for_optimised);
    const auto fail = [&](const std::string& detail) {
      throw Error(ErrorKind::usage, fmt::format("'{}' gives other outputs when it is optimised", path_), detail,
                  std::string(kOptimizeOff));
    };
    if (expected.sizes() != found.sizes() || expected.scalar_type() != found.scalar_type())
      fail("the shape or the type of the output changes");
    if (!at::allclose(found, expected, kRelativeTolerance, kAbsoluteTolerance, /*equal_nan=*/true))
      fail(fmt::format("largest difference {:.3g}, on values of up to {:.3g}",
                       found.sub(expected).abs().max().item().toDouble(), expected.abs().max().item().toDouble()));
    plain_.reset();
  }

  std::string path_;
  std::string entry_;
  torch::jit::Module module_;
  std::uint64_t parameters_ = 0;
  std::optional<torch::jit::Module> plain_;  // until the first batch, if module_ is optimised
};

}  // namespace

std::unique_ptr<Model> make_script_model(const MemberRequest& request) {
  if (request.learns == Learns::statistics) return make_statistics_model(request);
  return std::make_unique<ScriptModel>(request);
}

}  // namespace tutti::worker
