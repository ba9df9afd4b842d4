// A dense layer for predictions: its weights are in the layout of oneDNN's kernels, and the operation after a layer (an
// activation, an addition) is fused into the multiplication. On other devices, or without oneDNN, it uses plain
// operators. It cannot be trained.
#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

namespace tutti::worker {

enum class Activation : std::uint8_t { none, gelu, silu };

class PackedLinear {
 public:
  PackedLinear() = default;
  /// `weight` [out, in] and `bias` [out] (or undefined), float32. On the CPU the weight is repacked and released.
  PackedLinear(at::Tensor weight, at::Tensor bias);

  /// activation(x * weight^T + bias); x is [..., in].
  at::Tensor operator()(const at::Tensor& x, Activation activation = Activation::none) const;
  /// addend + x * weight^T + bias.
  at::Tensor plus(const at::Tensor& x, const at::Tensor& addend) const;

 private:
  bool packed_ = false;
  at::Tensor weight_;
  std::optional<at::Tensor> bias_;
};

}  // namespace tutti::worker
