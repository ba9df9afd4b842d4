// Writes a small ONNX model as the bytes of its file (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): the few
// messages and fields that a network of Tutti needs, and not a general writer of protocol buffers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tutti::worker {

/// A model of float32 with one input and one output whose first axis is free. Nodes are computed in the order in which
/// they were added.
class OnnxWriter {
 public:
  /// An attribute of an operator: a whole number, a real one, or a list of whole ones.
  using Attribute = std::pair<std::string_view, std::variant<std::int64_t, float, std::vector<std::int64_t>>>;

  /// A constant of float32 whose values are not in the model: who loads it hands them to the library (ONNX calls them
  /// external data). So a model may have more weights than the 2 GiB that a file in this format can hold.
  void constant(std::string_view name, std::span<const std::int64_t> sizes);
  /// Small constants, in the model: a list of whole numbers, one of them or one real number without an axis.
  void wholes(std::string_view name, std::span<const std::int64_t> values);
  void number(std::string_view name, std::int64_t value);
  void number(std::string_view name, float value);
  /// An operator of opset 17 with its attributes.
  void node(std::string_view operation, std::span<const std::string> inputs, std::string_view output,
            std::span<const Attribute> attributes = {});

  /// The whole model. Sizes are those after the free axis.
  std::string model(std::string_view input, std::span<const std::uint32_t> input_sizes, std::string_view output,
                    std::span<const std::uint32_t> output_sizes) const;

 private:
  std::string nodes_;
  std::string constants_;
};

}  // namespace tutti::worker
