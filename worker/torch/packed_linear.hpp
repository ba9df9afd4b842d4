// A dense layer for answering: its weights lie as oneDNN's kernels read them, and what follows a layer (an activation,
// an addition) is computed inside the multiplication. On other devices, or without oneDNN, the same by plain operators.
// It does not learn.
#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

namespace tutti::worker {

enum class Activation : std::uint8_t { none, gelu, silu };

class PackedLinear {
 public:
  PackedLinear() = default;
  /// `weight` [out, in] and `bias` [out] (or undefined), float32. On the CPU the weight is repacked and let go.
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
