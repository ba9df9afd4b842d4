#include "worker/torch/weights.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include <tutti/error.hpp>

#include "common/nearest.hpp"

namespace tutti::worker {
namespace {

std::string shape_text(at::IntArrayRef shape) { return merge::shape_text({shape.data(), shape.size()}); }

merge::Dtype dtype_of(const at::Tensor& tensor) {
  assert(tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kLong);
  return tensor.scalar_type() == at::kLong ? merge::Dtype::i64 : merge::Dtype::f32;
}

// One line per difference between the file and the network.
std::vector<std::string> differences(const merge::Safetensors& file, const NamedTensors& targets) {
  std::vector<std::string> found;
  std::vector<std::string> known;
  for (const auto& [name, target] : targets) {
    known.push_back(name);
    if (!file.contains(name)) {
      found.push_back(fmt::format("{} is missing, expected {}", name, shape_text(target.sizes())));
      continue;
    }
    const merge::TensorView tensor = file.tensor(name);
    if (tensor.dtype != dtype_of(target))
      found.push_back(fmt::format("{} has type {}, expected {}", name, merge::dtype_name(tensor.dtype),
                                  merge::dtype_name(dtype_of(target))));
    if (target.sizes() != at::IntArrayRef(tensor.shape))
      found.push_back(
          fmt::format("{} has shape {}, expected {}", name, shape_text(tensor.shape), shape_text(target.sizes())));
  }
  for (const std::string& name : file.names()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string near = nearest(name, known);
    found.push_back(fmt::format("{} is unknown{}", name, near.empty() ? "" : fmt::format(", did you mean {}?", near)));
  }
  return found;
}

}  // namespace

void copy_tensors(const merge::Safetensors& source, std::string_view what, std::string_view network,
                  std::string_view hint, const NamedTensors& targets) {
  const std::vector<std::string> found = differences(source, targets);
  if (!found.empty())
    throw Error(ErrorKind::usage, fmt::format("{} do not fit {}", what, network),
                fmt::format("{}", fmt::join(found, "\n  ")), std::string(hint));
  const at::NoGradGuard without_gradients;
  for (const auto& [name, target] : targets) {
    const at::Tensor loaded = at::empty(target.sizes(), target.scalar_type());
    const std::span<const std::byte> bytes = source.tensor(name).bytes;
    std::memcpy(loaded.mutable_data_ptr(), bytes.data(), bytes.size());
    at::Tensor(target).copy_(loaded);
  }
}

void read_weights(const std::filesystem::path& file, std::string_view network, const NamedTensors& targets) {
  copy_tensors(merge::Safetensors::read(file), fmt::format("the weights in '{}'", file.string()), network,
               "name the file of a model with the same kind, layers and classes", targets);
}

LentTensors lent(const NamedTensors& tensors) {
  LentTensors result;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor& plain = result.held.emplace_back(tensor.detach().to(at::kCPU).contiguous());
    const auto* const bytes = static_cast<const std::byte*>(plain.const_data_ptr());
    result.views.push_back({name, dtype_of(plain), plain.sizes().vec(), {bytes, plain.nbytes()}});
  }
  return result;
}

void write_weights(const std::filesystem::path& file, const NamedTensors& tensors,
                   const std::map<std::string, std::string>& metadata) {
  merge::write_safetensors(file, lent(tensors).views, metadata);
}

}  // namespace tutti::worker
