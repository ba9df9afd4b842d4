#include "worker/torch/fused_network.hpp"

#include <ATen/Context.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/mkldnn_convolution.h>
#include <ATen/ops/mkldnn_reorder_conv2d_weight.h>
#include <ATen/ops/stack.h>

#include <array>

namespace tutti::worker {
namespace {

constexpr std::array<std::int64_t, 2> kNone{0, 0};  // padding
constexpr std::array<std::int64_t, 2> kOne{1, 1};   // stride, dilation

/// The same layer of all members.
struct Stacked {
  std::vector<at::Tensor> weights;
  std::vector<at::Tensor> biases;
};
template <class Layer>
Stacked layer_of(const std::vector<Network>& members, std::vector<Layer> Network::*layers, std::size_t index) {
  Stacked all;
  for (const Network& member : members) {
    all.weights.push_back((member.*layers)[index].weight.detach());
    all.biases.push_back((member.*layers)[index].bias.detach());
  }
  return all;
}

}  // namespace

FusedNetwork::FusedNetwork(const std::vector<Network>& members) : members_(std::ssize(members)) {
  for (std::size_t i = 0; i < members.front().convolutions.size(); ++i) {
    const Stacked all = layer_of(members, &Network::convolutions, i);
    convolutions_.push_back(
        {at::cat(all.weights), at::cat(all.biases), i == 0 ? 1 : members_, members.front().convolutions[i].pool});
  }
  for (std::size_t i = 0; i < members.front().dense.size(); ++i) {
    const Stacked all = layer_of(members, &Network::dense, i);
    if (i == 0 && convolutions_.empty())
      first_dense_.emplace(Dense{at::cat(all.weights), at::cat(all.biases)});
    else
      dense_.push_back({at::stack(all.weights).transpose(1, 2).contiguous(), at::stack(all.biases).unsqueeze(1)});
  }
}

void FusedNetwork::pack(const TensorLayout& seen, std::int64_t batch) {
  if (convolutions_.empty() || !at::globalContext().hasMKLDNN() || !convolutions_.front().weight.is_cpu()) return;
  auto height = static_cast<std::int64_t>(seen.dims.at(1));
  auto width = static_cast<std::int64_t>(seen.dims.at(2));
  for (Convolution& layer : convolutions_) {
    const std::vector<std::int64_t> input{batch, layer.weight.size(1) * layer.groups, height, width};
    layer.weight = at::mkldnn_reorder_conv2d_weight(layer.weight.to_mkldnn(), kNone, kOne, kOne, layer.groups,
                                                    at::OptionalIntArrayRef(input));
    layer.bias = layer.bias.to_mkldnn();
    height = (height - kKernel + 1) / (layer.pool ? 2 : 1);
    width = (width - kKernel + 1) / (layer.pool ? 2 : 1);
  }
}

at::Tensor FusedNetwork::operator()(const at::Tensor& images) const {
  const std::int64_t count = images.size(0);
  at::Tensor x = images;
  if (first_dense_) {
    x = at::linear(x.dim() > 1 ? x.flatten(1) : x.unsqueeze(1), first_dense_->weight, first_dense_->bias);
    if (!dense_.empty()) x.relu_();
  } else {
    const bool packed = convolutions_.front().weight.is_mkldnn();
    if (packed) x = x.to_mkldnn();
    for (const Convolution& layer : convolutions_) x = convolve(layer, x);
    if (packed) x = x.to_dense();
  }
  x = x.reshape({count, members_, -1}).transpose(0, 1);
  for (std::size_t i = 0; i < dense_.size(); ++i) {
    x = at::baddbmm(dense_[i].bias, x, dense_[i].weight);
    if (i + 1 < dense_.size()) x.relu_();
  }
  return x;
}

at::Tensor FusedNetwork::convolve(const Convolution& layer, const at::Tensor& x) {
  at::Tensor y = layer.weight.is_mkldnn()
                     ? at::mkldnn_convolution(x, layer.weight, layer.bias, kNone, kOne, kOne, layer.groups)
                     : at::conv2d(x, layer.weight, layer.bias, kOne, kNone, kOne, layer.groups);
  // Pooling before the ReLU gives the same values, and leaves fewer values for the ReLU.
  if (layer.pool) y = at::max_pool2d(y, {2, 2});
  y.relu_();
  return y;
}

}  // namespace tutti::worker
