// The forward pass of a TorchScript module in which only the BatchNorm layers compute as in training: each batch is
// normalised by its own mean and variance, which are summed up. Like torch.optim.swa_utils.update_bn, but without
// dropout, and with sums in float64. The module itself does not change.
#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/interpreter.h>

#include <map>
#include <memory>
#include <string>

#include "worker/torch/weights.hpp"

namespace tutti::worker {

class StatisticsGraph {
 public:
  /// `module` is in evaluation mode. Throws Error(usage), with `name` for the module, if none of its layers keeps
  /// running statistics, or if the graph does not show which layer they belong to.
  StatisticsGraph(const torch::jit::Module& module, const std::string& name);

  /// Starts again without any batch.
  void reset();
  /// Adds one batch, which is on the module's device.
  void add(const at::Tensor& batch);

  /// The sums so far, to read or to replace.
  NamedTensors sums() const;
  /// The averages over the batches, under the names of the state dict: running_mean, running_var (unbiased) and, if
  /// the module has it, num_batches_tracked. A layer counts as often as the forward pass calls it; one that it never
  /// called is left out. Throws Error(failed) if values are not finite.
  NamedTensors averages() const;

 private:
  /// The buffers of one layer, and their sums.
  struct Layer {
    at::Tensor mean;  ///< of the batch; in the module's type
    at::Tensor var;
    at::Tensor mean_sum;  ///< float64
    at::Tensor var_sum;
    at::Tensor calls;  ///< int64, a scalar
  };

  void observe(torch::jit::Node* node);
  Layer& layer_of(const torch::jit::Node* node);

  std::string name_;
  torch::jit::Module module_;
  std::map<std::string, at::Tensor> state_;  ///< of the module
  std::shared_ptr<torch::jit::Graph> graph_;
  std::map<std::string, Layer> layers_;  ///< by the prefix of "running_mean"
  torch::jit::Code code_;
};

}  // namespace tutti::worker
