#include "worker/openvino/network_ir.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tutti::worker {
namespace {

/// Writes layers, which are numbered in this order. Each has at most one output.
class IrWriter {
 public:
  /// Returns the number of the layer. `attributes`: those of its <data>.
  std::size_t add(std::string_view type, std::string_view name, const std::string& attributes,
                  const std::vector<std::size_t>& inputs, std::string_view precision = "FP32") {
    const std::size_t number = outputs_.size();
    layers_ += fmt::format(R"(<layer id="{}" name="{}" type="{}" version="opset1">)", number, name, type);
    if (!attributes.empty()) layers_ += fmt::format("<data {}/>", attributes);
    if (!inputs.empty()) layers_ += "<input>";
    for (std::size_t port = 0; port < inputs.size(); ++port) {
      layers_ += fmt::format(R"(<port id="{}"/>)", port);
      edges_ += fmt::format(R"(<edge from-layer="{}" from-port="{}" to-layer="{}" to-port="{}"/>)", inputs[port],
                            outputs_[inputs[port]], number, port);
    }
    if (!inputs.empty()) layers_ += "</input>";
    if (!precision.empty())
      layers_ +=
          fmt::format(R"(<output><port id="{}" precision="{}" names="{}"/></output>)", inputs.size(), precision, name);
    layers_ += "</layer>";
    outputs_.push_back(inputs.size());
    return number;
  }

  std::string net() const {
    return fmt::format(
        R"(<?xml version="1.0"?><net name="tutti" version="11"><layers>{}</layers><edges>{}</edges></net>)", layers_,
        edges_);
  }

 private:
  std::string layers_;
  std::string edges_;
  std::vector<std::size_t> outputs_;  ///< the number of each layer's output among its ports
};

std::size_t add_constant(IrWriter& writer, const NetworkTensor& tensor, const std::vector<std::int64_t>& sizes) {
  return writer.add("Const", tensor.name,
                    fmt::format(R"(element_type="f32" shape="{}" offset="{}" size="{}")", fmt::join(sizes, ", "),
                                tensor.first * sizeof(float), tensor.count * sizeof(float)),
                    {});
}

std::size_t add_layer(IrWriter& writer, const NetworkLayer& layer, std::size_t input) {
  const std::size_t weight = add_constant(writer, layer.weight, layer.weight.sizes);
  std::vector<std::int64_t> along{1, layer.bias.sizes.front()};  // of the axis of channels
  if (layer.convolution) along.insert(along.end(), {1, 1});
  const std::size_t bias = add_constant(writer, layer.bias, along);
  const auto name = [&](std::string_view what) { return fmt::format("{}.{}", layer.weight.name, what); };
  const std::size_t product =
      layer.convolution
          ? writer.add("Convolution", name("convolution"),
                       R"(strides="1, 1" dilations="1, 1" pads_begin="0, 0" pads_end="0, 0" auto_pad="explicit")",
                       {input, weight})
          : writer.add("MatMul", name("product"), R"(transpose_a="false" transpose_b="true")", {input, weight});
  std::size_t last = writer.add("Add", name("sum"), R"(auto_broadcast="numpy")", {product, bias});
  if (layer.relu) last = writer.add("ReLU", name("relu"), {}, {last});
  if (layer.pool)
    last = writer.add("MaxPool", name("pool"),
                      R"(strides="2, 2" kernel="2, 2" pads_begin="0, 0" pads_end="0, 0" rounding_type="floor" )"
                      R"(auto_pad="explicit")",
                      {last});
  return last;
}

/// Sizes that a reshaping to rows takes: the first is that of its input, the second what is left. Their offset.
std::size_t append_row_sizes(std::vector<float>& constants) {
  constexpr std::array<std::int64_t, 2> kRows{0, -1};
  constexpr std::size_t kFloats = sizeof(std::int64_t) / sizeof(float);
  constants.resize((constants.size() + kFloats - 1) / kFloats * kFloats + kRows.size() * kFloats);
  const std::size_t first = constants.size() - kRows.size() * kFloats;
  std::memcpy(&constants[first], kRows.data(), sizeof(kRows));
  return first * sizeof(float);
}

}  // namespace

NetworkIr ir_of(NetworkGraph graph) {
  IrWriter writer;
  std::vector<std::string> sizes{"?"};
  for (const std::uint32_t size : graph.sample) sizes.push_back(std::to_string(size));
  std::size_t last =
      writer.add("Parameter", graph.input, fmt::format(R"(element_type="f32" shape="{}")", fmt::join(sizes, ",")), {});
  bool flat = false;
  for (const NetworkLayer& layer : graph.layers) {
    if (!layer.convolution && !std::exchange(flat, true)) {
      const std::size_t rows = writer.add(
          "Const", "rows",
          fmt::format(R"(element_type="i64" shape="2" offset="{}" size="16")", append_row_sizes(graph.values)), {},
          "I64");
      last = writer.add("Reshape", "flat", R"(special_zero="true")", {last, rows});
    }
    last = add_layer(writer, layer, last);
  }
  writer.add("Result", graph.output, {}, {last}, {});
  return {writer.net(), std::move(graph.values)};
}

}  // namespace tutti::worker
