// Says what a file is that was named as a model, for those that are something else: weights without a network, a
// pickle, a model of another library. It looks at the first bytes and at the names in an archive; it runs nothing.
#pragma once

#include <cstdint>
#include <filesystem>

namespace tutti::worker {

enum class ModelFileKind : std::uint8_t {
  unknown,      ///< an archive that is not recognised, or cannot be read: LibTorch's own message is the best there is
  torchscript,  ///< of torch.jit.save
  aoti,         ///< of torch._inductor.aoti_compile_and_package
  exported,     ///< of torch.export.save
  state_dict,   ///< of torch.save: tensors without a network
  module,       ///< of torch.save: a whole torch.nn.Module
  pickle,       ///< of pickle, joblib (scikit-learn), or of torch.save before PyTorch 1.6
  safetensors,
  onnx,
  hdf5,  ///< of Keras
  folder,
  empty,
  cut_off,  ///< an archive without an end
  other,    ///< none of these
};

/// A file that cannot be read is `unknown`.
ModelFileKind kind_of_file(const std::filesystem::path& file);

/// Throws Error(usage) if there is no such file, if it is a Git LFS pointer, or if it is recognised and not of this
/// kind: what it is, and which command makes a member of it.
void check_model_file(const std::filesystem::path& file, ModelFileKind wanted);

}  // namespace tutti::worker
