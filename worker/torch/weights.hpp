// Reads and writes named tensors of a network as safetensors. The file format itself is in merge/safetensors.hpp.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "merge/checkpoint.hpp"
#include "merge/safetensors.hpp"

namespace tutti::worker {

/// Names as in a PyTorch state dict ("conv1.weight"), so that Python loads the file as it is.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// The type of safetensors for these values; nothing if there is none (complex and quantised numbers).
std::optional<merge::Dtype> dtype_of(at::ScalarType type);

/// Copies the file's tensors into `targets`. Throws Error(usage) naming the file and every tensor that is missing,
/// unknown, of another shape or not float32, or the first that holds NaN or infinity; `network` is what the file should
/// fit ("small-cnn"). The file may also have the tensors `others`, which are not read.
void read_weights(const std::filesystem::path& file, std::string_view network, const NamedTensors& targets,
                  const std::set<std::string>& others = {});

/// The same from a file that was read: `what` names its tensors in the error ("the weights in 'a.safetensors'"), and
/// `hint` is the error's hint. Targets may have any type that a file can have, and the file's must be the same.
void copy_tensors(const merge::Safetensors& source, std::string_view what, std::string_view network,
                  std::string_view hint, const NamedTensors& targets);

/// Throws Error(usage) if the tensor `name` of `file` holds NaN or infinity. The outputs would not show it: kernels of
/// oneDNN make numbers of NaN in a pooling or a ReLU.
void check_finite(const std::filesystem::path& file, const std::string& name, const at::Tensor& tensor);

/// Copies one tensor of a file that is known to have it, in this shape, into `target`, on any device; to the target's
/// type.
void read_tensor(const merge::Checkpoint& file, const std::string& name, at::Tensor target);

/// Tensors (of types that a file can have, on any device) as bytes on the CPU. Copies share the tensors.
struct LentTensors {
  std::vector<at::Tensor> held;  ///< own the bytes
  std::vector<merge::TensorView> views;
};
LentTensors lent(const NamedTensors& tensors);

/// Writes `tensors` atomically. Throws Error(failed) if the file cannot be written.
void write_weights(const std::filesystem::path& file, const NamedTensors& tensors,
                   const std::map<std::string, std::string>& metadata);

}  // namespace tutti::worker
