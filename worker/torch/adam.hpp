// Adam, in LibTorch's fused kernel: one pass over all parameters instead of ten operations for each of them
// (torch::optim has no fused form in C++). It learns what torch.optim.Adam(fused=True) learns with its defaults.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/torch/weights.hpp"

namespace tutti::worker {

/// D. P. Kingma, J. Ba: "Adam: A Method for Stochastic Optimization", ICLR 2015; beta 0.9 and 0.999, epsilon 1e-8. One
/// thread at a time.
class Adam {
 public:
  /// Learns `parameters`, which are the network's own tensors, on one device; they require gradients from then on.
  Adam(NamedTensors parameters, double learning_rate);

  /// Forgets the gradients of the step before.
  void forget_gradients();
  void step();

  /// All that learning goes on from, as tensors that share its memory: "params/<name>", "exp_avg/<name>",
  /// "exp_avg_sq/<name>", and "step", float32 without dimensions: the number of steps.
  NamedTensors state() const;

 private:
  NamedTensors parameters_;
  double learning_rate_;
  std::vector<at::Tensor> weights_;
  std::vector<at::Tensor> means_;      // of the gradients
  std::vector<at::Tensor> variances_;  // of the gradients, uncentred
  at::Tensor steps_;                   // one for all parameters: none is ever left out of a step
};

}  // namespace tutti::worker
