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

/// Saves such a module. `frozen`: as torch.jit.freeze leaves it, without attributes.
void save_script(const std::filesystem::path& file, const std::string& forward, bool frozen = false);

}  // namespace tutti::test
