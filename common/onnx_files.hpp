// Which other files an ONNX model needs: its weights may be in files besides it ("external data"), under any name.
// Reads the few fields of the format that say so (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), and no
// weights.
#pragma once

#include <filesystem>
#include <vector>

namespace tutti {

/// The files with weights that the model names and that are there, sorted, each once. Names that lead out of the
/// model's folder are left out: libraries refuse them. Of a file that is damaged, or not an ONNX model, what is named
/// before that shows; the library that loads it reports it.
std::vector<std::filesystem::path> onnx_weight_files(const std::filesystem::path& model);

}  // namespace tutti
