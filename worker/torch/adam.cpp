#include "worker/torch/adam.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cassert>
#include <utility>

namespace tutti::worker {

Adam::Adam(NamedTensors parameters, double learning_rate)
    : parameters_(std::move(parameters)), learning_rate_(learning_rate) {
  assert(!parameters_.empty());
  const at::NoGradGuard guard;
  for (auto& [name, parameter] : parameters_) {
    parameter.requires_grad_(true);
    weights_.push_back(parameter);
    means_.push_back(at::zeros_like(parameter));
    variances_.push_back(at::zeros_like(parameter));
  }
  steps_ = at::zeros({}, parameters_.front().second.options().requires_grad(false));
}

void Adam::forget_gradients() {
  for (at::Tensor& weight : weights_) weight.mutable_grad().reset();
}

void Adam::step() {
  const at::NoGradGuard guard;
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& weight : weights_) gradients.push_back(weight.grad());
  steps_ += 1;  // exact in float32 up to 2^24 steps, where it stops; the bias correction is 1 by then
  at::_fused_adam_(weights_, gradients, means_, variances_, {}, std::vector<at::Tensor>(weights_.size(), steps_),
                   learning_rate_, /*beta1=*/0.9, /*beta2=*/0.999, /*weight_decay=*/0, /*eps=*/1e-8,
                   /*amsgrad=*/false, /*maximize=*/false);
}

NamedTensors Adam::state() const {
  NamedTensors state;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const std::string& name = parameters_[i].first;
    state.emplace_back("params/" + name, weights_[i]);
    state.emplace_back("exp_avg/" + name, means_[i]);
    state.emplace_back("exp_avg_sq/" + name, variances_[i]);
  }
  state.emplace_back("step", steps_);
  return state;
}

}  // namespace tutti::worker
