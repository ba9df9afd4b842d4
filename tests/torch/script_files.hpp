// Writes small TorchScript files for tests, without Python. No LibTorch in this header. For tests only.
#pragma once

#include <filesystem>
#include <string>

namespace tutti::test {

/// Bodies of `forward(self, x)`. The module has: kernel [4, 3, 3, 3], weight [10, 3072] and bias [10] (drawn with a
/// fixed seed), and `training`, which is true when it is saved.
inline const std::string kDenseScript = "return torch.linear(torch.flatten(x, 1), self.weight, self.bias)";
inline const std::string kConvolutionScript =
    "return torch.flatten(torch.max_pool2d(torch.relu(torch.conv2d(x, self.kernel)), [10, 10]), 1)";
/// Changes the images that it was lent.
inline const std::string kWritingScript =
    "x.sub_(0.5)\n    return torch.linear(torch.flatten(x, 1), self.weight, self.bias)";

/// Saves such a module. `frozen`: as torch.jit.freeze leaves it, without attributes. `arguments` are those of
/// `forward`.
void save_script(const std::filesystem::path& file, const std::string& forward, bool frozen = false,
                 const std::string& arguments = "x");

/// How the BatchNorm layers of a network pass on their buffers: as torch.jit.trace writes it, with the mode as a
/// constant; or as torch.jit.script does, which asks `training`.
enum class BatchNormForm { traced, scripted };

/// Saves a convolution "conv" (weight [4, 3, 3, 3]), a BatchNorm "bn1" over its 4 channels, a dropout, a dense layer
/// "fc" (weight [10, 16], bias [10]) and a BatchNorm "bn2" over its 10 values: the state dict of such a network in
/// Python. For images of 3x32x32.
void save_batch_norm_script(const std::filesystem::path& file, BatchNormForm form);

/// The state dict of a saved module as safetensors.
void save_state(const std::filesystem::path& script, const std::filesystem::path& file);

}  // namespace tutti::test
