#include "worker/onnx/network_onnx.hpp"

#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "worker/onnx/onnx_writer.hpp"

namespace tutti::worker {

std::string onnx_of(const NetworkGraph& graph) {
  OnnxWriter writer;
  std::string last(graph.input);
  int number = 0;
  const auto next = [&] { return fmt::format("x{}", ++number); };
  const auto add = [&](std::string_view operation, const std::vector<std::string>& more, const std::string& to,
                       const std::vector<OnnxWriter::Wholes>& lists = {},
                       const std::vector<OnnxWriter::Whole>& numbers = {}) {
    std::vector<std::string> inputs{last};
    inputs.insert(inputs.end(), more.begin(), more.end());
    writer.node(operation, inputs, to, lists, numbers);
    last = to;
  };
  bool flat = false;
  for (const NetworkLayer& layer : graph.layers) {
    for (const NetworkTensor* const tensor : {&layer.weight, &layer.bias}) writer.constant(tensor->name, tensor->sizes);
    const std::vector<std::string> weights{layer.weight.name, layer.bias.name};
    if (layer.convolution) {
      add("Conv", weights, next());
    } else {
      if (!std::exchange(flat, true)) add("Flatten", {}, next(), {}, {{"axis", 1}});
      add("Gemm", weights, &layer == &graph.layers.back() ? std::string(graph.output) : next(), {}, {{"transB", 1}});
    }
    if (layer.relu) add("Relu", {}, next());
    if (layer.pool) add("MaxPool", {}, next(), {{"kernel_shape", {2, 2}}, {"strides", {2, 2}}});
  }
  return writer.model(graph.input, graph.sample, graph.output, std::array{graph.classes});
}

}  // namespace tutti::worker
