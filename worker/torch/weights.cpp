#include "worker/torch/weights.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include <tutti/error.hpp>

#include "worker/failure.hpp"
#include "worker/tensor_differences.hpp"

namespace tutti::worker {
namespace {

struct Type {
  at::ScalarType tensor;
  merge::Dtype file;
};
constexpr std::array<Type, 13> kTypes{{{at::kDouble, merge::Dtype::f64},
                                       {at::kFloat, merge::Dtype::f32},
                                       {at::kHalf, merge::Dtype::f16},
                                       {at::kBFloat16, merge::Dtype::bf16},
                                       {at::kLong, merge::Dtype::i64},
                                       {at::kInt, merge::Dtype::i32},
                                       {at::kShort, merge::Dtype::i16},
                                       {at::kChar, merge::Dtype::i8},
                                       {at::kByte, merge::Dtype::u8},
                                       {at::kBool, merge::Dtype::boolean},
                                       {at::ScalarType::UInt64, merge::Dtype::u64},
                                       {at::ScalarType::UInt32, merge::Dtype::u32},
                                       {at::ScalarType::UInt16, merge::Dtype::u16}}};

at::ScalarType scalar_type_of(merge::Dtype dtype) {
  const auto found = std::ranges::find(kTypes, dtype, &Type::file);
  assert(found != kTypes.end());
  return found->tensor;
}

/// Throws Error(usage) if the tensors of a file are not the targets; `what` names them.
void check_forms(const TensorForms& forms, std::string_view what, std::string_view network, std::string_view hint,
                 const NamedTensors& targets) {
  std::vector<WantedTensor> all;
  for (const auto& [name, target] : targets)
    all.push_back({name, target.sizes().vec(), {dtype_of(target.scalar_type()).value()}});
  std::vector<std::string> found = tensor_differences(forms, all);
  if (!found.empty())
    throw Error(ErrorKind::usage, fmt::format("{} do not fit {}", what, network), listed(std::move(found)),
                std::string(hint));
}

}  // namespace

std::optional<merge::Dtype> dtype_of(at::ScalarType type) {
  const auto found = std::ranges::find(kTypes, type, &Type::tensor);
  return found == kTypes.end() ? std::nullopt : std::optional(found->file);
}

void copy_tensors(const merge::Safetensors& source, std::string_view what, std::string_view network,
                  std::string_view hint, const NamedTensors& targets) {
  TensorForms forms;
  for (const std::string& name : source.names()) {
    const merge::TensorView tensor = source.tensor(name);
    forms[name] = {tensor.dtype, tensor.shape, tensor.bytes.size()};
  }
  check_forms(forms, what, network, hint, targets);
  const at::NoGradGuard without_gradients;
  for (const auto& [name, target] : targets) {
    const at::Tensor loaded = at::empty(target.sizes(), target.scalar_type());
    const std::span<const std::byte> bytes = source.tensor(name).bytes;
    std::memcpy(loaded.mutable_data_ptr(), bytes.data(), bytes.size());
    at::Tensor(target).copy_(loaded);
  }
}

void read_weights(const std::filesystem::path& file, std::string_view network, const NamedTensors& targets,
                  const std::set<std::string>& others) {
  const auto source = merge::Checkpoint::open(file);
  TensorForms forms;
  for (const std::string& name : source.names())
    if (!others.contains(name)) forms[name] = source.form(name);
  check_forms(forms, fmt::format("the weights in '{}'", file.string()), network,
              "name the file of a model with the same kind, layers and classes", targets);
  for (const auto& [name, target] : targets) {
    read_tensor(source, name, target);
    check_finite(file, name, target);
  }
}

// A sum needs one pass and no memory; it is infinite for some tensors that are not.
void check_finite(const std::filesystem::path& file, const std::string& name, const at::Tensor& tensor) {
  if (!at::isFloatingType(tensor.scalar_type()) || tensor.numel() == 0) return;
  const at::NoGradGuard without_gradients;
  if (tensor.sum().isfinite().item<bool>() || tensor.isfinite().all().item<bool>()) return;
  throw not_finite(file.string(), name);
}

void read_tensor(const merge::Checkpoint& file, const std::string& name, at::Tensor target) {
  const at::NoGradGuard without_gradients;
  const at::ScalarType type = scalar_type_of(file.form(name).dtype);
  const bool direct = type == target.scalar_type() && target.is_cpu() && target.is_contiguous();
  const at::Tensor loaded = direct ? target : at::empty(target.sizes(), type);
  file.read(name, 0, {static_cast<std::byte*>(loaded.mutable_data_ptr()), loaded.nbytes()});
  if (!direct) target.copy_(loaded);
}

LentTensors lent(const NamedTensors& tensors) {
  LentTensors result;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor& plain = result.held.emplace_back(tensor.detach().to(at::kCPU).contiguous());
    const auto* const bytes = static_cast<const std::byte*>(plain.const_data_ptr());
    result.views.push_back({name, dtype_of(plain.scalar_type()).value(), plain.sizes().vec(), {bytes, plain.nbytes()}});
  }
  return result;
}

void write_weights(const std::filesystem::path& file, const NamedTensors& tensors,
                   const std::map<std::string, std::string>& metadata) {
  merge::write_safetensors(file, lent(tensors).views, metadata);
}

}  // namespace tutti::worker
