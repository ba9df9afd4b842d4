#include "worker/torch/packed_linear.hpp"

#include <ATen/Context.h>
#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>

#include <string_view>
#include <utility>

namespace tutti::worker {
namespace {

// LibTorch has no C++ functions for these operators, with which its Python compiler (Inductor) packs and fuses.
using Reorder = at::Tensor(const at::Tensor& weight, std::optional<c10::SymInt> batch);
using Pointwise = at::Tensor(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                             std::string_view activation, c10::List<std::optional<at::Scalar>> scalars,
                             std::optional<std::string_view> algorithm);
using Binary = at::Tensor(const at::Tensor& x, const at::Tensor& other, const at::Tensor& weight,
                          const std::optional<at::Tensor>& bias, std::string_view operation);

template <class Signature>
auto find_operator(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Signature>();
}

at::Tensor reordered(const at::Tensor& weight) {
  static const auto call = find_operator<Reorder>("mkldnn::_reorder_linear_weight", "");
  // Not for a particular batch size, so that the layout and the bits are the same for all.
  return call.call(weight, std::nullopt);
}

std::string_view name_of(Activation activation) {
  switch (activation) {
    case Activation::none:
      return "none";
    case Activation::gelu:
      return "gelu";
    case Activation::silu:
      return "swish";
  }
  return "none";
}

}  // namespace

PackedLinear::PackedLinear(at::Tensor weight, at::Tensor bias)
    : packed_(weight.is_cpu() && at::globalContext().hasMKLDNN() && at::globalContext().userEnabledMkldnn()),
      weight_(packed_ ? reordered(weight) : std::move(weight)) {
  if (bias.defined()) bias_ = std::move(bias);
}

at::Tensor PackedLinear::operator()(const at::Tensor& x, Activation activation) const {
  if (packed_) {
    static const auto call = find_operator<Pointwise>("mkldnn::_linear_pointwise", "");
    const bool is_gelu = activation == Activation::gelu;
    return call.call(x, weight_, bias_, name_of(activation), c10::List<std::optional<at::Scalar>>(),
                     is_gelu ? std::optional<std::string_view>("none") : std::optional<std::string_view>(""));
  }
  at::Tensor y = at::linear(x, weight_, bias_);
  if (activation == Activation::gelu) return at::gelu(y);
  if (activation == Activation::silu) at::silu_(y);
  return y;
}

at::Tensor PackedLinear::plus(const at::Tensor& x, const at::Tensor& addend) const {
  if (packed_) {
    static const auto call = find_operator<Binary>("mkldnn::_linear_pointwise", "binary");
    return call.call(x, addend, weight_, bias_, "add");
  }
  return at::linear(x, weight_, bias_).add_(addend);
}

}  // namespace tutti::worker
