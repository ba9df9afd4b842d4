#include "worker/torch/weights.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include <tutti/error.hpp>

#include "common/nearest.hpp"
#include "merge/safetensors.hpp"

namespace tutti::worker {
namespace {

std::string shape_text(at::IntArrayRef shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

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
    if (tensor.dtype != merge::Dtype::f32)
      found.push_back(fmt::format("{} has type {}, expected F32", name, merge::dtype_name(tensor.dtype)));
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

void read_weights(const std::filesystem::path& file, std::string_view network, const NamedTensors& targets) {
  const auto source = merge::Safetensors::read(file);
  const std::vector<std::string> found = differences(source, targets);
  if (!found.empty())
    throw Error(ErrorKind::usage, fmt::format("the weights in '{}' do not fit {}", file.string(), network),
                fmt::format("{}", fmt::join(found, "\n  ")),
                "name the file of a model with the same kind, layers and classes");
  const at::NoGradGuard without_gradients;
  for (const auto& [name, target] : targets) {
    const at::Tensor loaded = at::empty(target.sizes(), at::kFloat);
    const std::span<const std::byte> bytes = source.tensor(name).bytes;
    std::memcpy(loaded.mutable_data_ptr<float>(), bytes.data(), bytes.size());
    at::Tensor(target).copy_(loaded);
  }
}

void write_weights(const std::filesystem::path& file, const NamedTensors& tensors,
                   const std::map<std::string, std::string>& metadata) {
  std::vector<at::Tensor> held;  // own the bytes until they are written
  std::vector<merge::TensorView> views;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor& plain = held.emplace_back(tensor.detach().to(at::kCPU).contiguous());
    const std::span<const float> values(plain.const_data_ptr<float>(), static_cast<std::size_t>(plain.numel()));
    views.push_back({name, merge::Dtype::f32, plain.sizes().vec(), std::as_bytes(values)});
  }
  merge::write_safetensors(file, views, metadata);
}

}  // namespace tutti::worker
