#include "worker/torch/script_module.hpp"

#include <fmt/format.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>

#include <tutti/error.hpp>

#include "worker/torch/arguments.hpp"
#include "worker/torch/model_file.hpp"
#include "worker/tensor_differences.hpp"
#include "worker/torch/torch_errors.hpp"

namespace tutti::worker {
namespace {

torch::jit::Module load(const std::string& path, at::Device device) {
  check_model_file(path, ModelFileKind::torchscript);
  return explained(ErrorKind::usage, fmt::format("cannot load '{}' as TorchScript", path),
                   "save it with torch.jit.script(model).save(...) or torch.jit.trace, not with torch.save", [&] {
                     torch::jit::Module module = torch::jit::load(path, device);
                     module.eval();
                     return module;
                   });
}

/// The file's types whose values all fit `type`: nothing is rounded unless the user asks for it.
std::vector<merge::Dtype> types_within(at::ScalarType type) {
  using enum merge::Dtype;
  if (type == at::kFloat) return {f32, f16, bf16};
  if (type == at::kDouble) return {f64, f32, f16, bf16};
  const auto own = dtype_of(type);
  return own ? std::vector{*own} : std::vector<merge::Dtype>{};
}

/// Whether the file has the values under another name: tensors of the module that share memory have the same.
bool is_tied(const NamedTensors::value_type& row, const NamedTensors& state, const merge::Checkpoint& file) {
  const auto shares = [&](const NamedTensors::value_type& other) {
    return other.first != row.first && other.second.is_alias_of(row.second) &&
           other.second.sizes() == row.second.sizes() && other.second.strides() == row.second.strides() &&
           other.second.storage_offset() == row.second.storage_offset() && file.contains(other.first);
  };
  return std::any_of(state.begin(), state.end(), shares);
}

void fill(const NamedTensors& state, const std::string& path, const std::filesystem::path& weights) {
  const auto file = merge::Checkpoint::open(weights);
  TensorForms found;
  for (const std::string& name : file.names()) found[name] = file.form(name);
  std::vector<WantedTensor> wanted;
  NamedTensors read;
  for (const auto& row : state) {
    const auto& [name, tensor] = row;
    if (!file.contains(name) && is_tied(row, state, file)) continue;
    wanted.push_back({name, tensor.sizes().vec(), types_within(tensor.scalar_type())});
    read.push_back(row);
  }
  std::vector<std::string> differences = tensor_differences(found, wanted);
  if (!differences.empty())
    throw Error(ErrorKind::usage, fmt::format("the weights in '{}' do not fit '{}'", weights.string(), path),
                listed(std::move(differences)),
                "they are all parameters and buffers of the module: torch.jit.load(path).state_dict()");
  for (const auto& [name, tensor] : read) read_tensor(file, name, tensor);
}

}  // namespace

NamedTensors state_of(const torch::jit::Module& module) {
  NamedTensors state;
  for (const auto& parameter : module.named_parameters()) state.emplace_back(parameter.name, parameter.value);
  for (const auto& buffer : module.named_buffers()) state.emplace_back(buffer.name, buffer.value);
  return state;
}

torch::jit::Module load_script_module(const MemberRequest& request, at::Device device) {
  const std::string& path = std::get<TorchScriptModel>(request.model).path;
  torch::jit::Module module = load(path, device);
  check_arguments(module, path, request.takes);
  if (request.weights.empty()) return module;
  const NamedTensors state = state_of(module);
  if (state.empty())
    throw Error(ErrorKind::usage, fmt::format("'{}' has no parameters for 'weights' to fill", path),
                "it was frozen when it was saved, so its weights are constants",
                "export it again without torch.jit.freeze: python -m tutti.export model --weights FILE");
  explained(ErrorKind::failed, fmt::format("could not load the weights in '{}' into '{}'", request.weights, path), "",
            [&] {
              fill(state, path, request.weights);
              // Infinity in a buffer may be meant: a mask of attention.
              for (const auto& parameter : module.named_parameters())
                check_finite(request.weights, parameter.name, parameter.value);
            });
  return module;
}

}  // namespace tutti::worker
