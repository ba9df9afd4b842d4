// Writes a small ONNX model as the bytes of its file (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): the few
// messages and fields that a network of Tutti needs, and not a general writer of protocol buffers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tutti::worker {

/// A model of float32 with one input and one output whose first axis is free. Nodes are computed in the order in which
/// they were added.
class OnnxWriter {
 public:
  using Whole = std::pair<std::string_view, std::int64_t>;
  using Wholes = std::pair<std::string_view, std::vector<std::int64_t>>;

  /// A constant whose values are not in the model: who loads it hands them to the library (ONNX calls them external
  /// data). So a model may have more weights than the 2 GiB that a file in this format can hold.
  void constant(std::string_view name, std::span<const std::int64_t> sizes);
  /// An operator of opset 13 with its attributes.
  void node(std::string_view operation, std::span<const std::string> inputs, std::string_view output,
            std::span<const Wholes> lists = {}, std::span<const Whole> numbers = {});

  /// The whole model. Sizes are those after the free axis.
  std::string model(std::string_view input, std::span<const std::uint32_t> input_sizes, std::string_view output,
                    std::span<const std::uint32_t> output_sizes) const;

 private:
  std::string nodes_;
  std::string constants_;
};

}  // namespace tutti::worker
