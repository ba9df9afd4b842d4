// Adam, in LibTorch's fused kernel: one pass over all parameters instead of ten operations for each of them
// (torch::optim has no fused form in C++). It computes what torch.optim.Adam(fused=True) computes with its defaults.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/torch/weights.hpp"

namespace tutti::worker {

/// D. P. Kingma, J. Ba: "Adam: A Method for Stochastic Optimization", ICLR 2015; beta 0.9 and 0.999, epsilon 1e-8. One
/// thread at a time.
class Adam {
 public:
  /// Trains `parameters`, which share the network's memory, on one device; they require gradients from then on.
  Adam(NamedTensors parameters, double learning_rate);

  /// Clears the gradients of the previous step.
  void forget_gradients();
  void step();

  /// The state that training continues from, as tensors that share its memory: "params/<name>", "exp_avg/<name>",
  /// "exp_avg_sq/<name>", and "step", a float32 scalar: the number of steps.
  NamedTensors state() const;

 private:
  NamedTensors parameters_;
  double learning_rate_;
  std::vector<at::Tensor> weights_;
  std::vector<at::Tensor> means_;      // of the gradients
  std::vector<at::Tensor> variances_;  // of the gradients, uncentred
  at::Tensor steps_;                   // one for all parameters, since every step updates all of them
};

}  // namespace tutti::worker
