#include "worker/openvino/network_ir.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tutti::worker {
namespace {

/// Writes layers, which are numbered in this order. Each has at most one output.
class IrWriter {
 public:
  /// Returns the number of the layer. `type`: with the opset that has it, if that is not the first: "Gelu-opset7".
  /// `attributes`: those of its <data>. `precision` of its output; empty: it has none.
  std::size_t add(std::string_view type, const std::string& name, const std::string& attributes,
                  const std::vector<std::size_t>& inputs, std::string_view precision = "FP32") {
    const std::size_t number = outputs_.size();
    const std::size_t end = type.find('-');
    layers_ += fmt::format(R"(<layer id="{}" name="{}" type="{}" version="{}">)", number, name, type.substr(0, end),
                           end == type.npos ? "opset1" : type.substr(end + 1));
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

constexpr const char* kBroadcast = R"(auto_broadcast="numpy")";

/// Writes a step as one layer or several.
class Layers {
 public:
  explicit Layers(NetworkGraph graph) : graph_(std::move(graph)) {
    for (const NetworkStep& step : graph_.steps) {
      ++number_;
      made_.push_back(written(step));
    }
    writer_.add("Result", std::string(graph_.output), {}, {made_.back()}, {});
  }

  NetworkIr take() { return {writer_.net(), std::move(graph_.values)}; }

 private:
  using Sizes = std::vector<std::int64_t>;
  using Numbers = std::vector<std::size_t>;

  /// A layer of the current step.
  std::size_t add(std::string_view type, const std::string& attributes, const Numbers& inputs) {
    return writer_.add(type, fmt::format("{}.{}", number_, ++parts_), attributes, inputs);
  }
  std::size_t constant(std::string_view type, const std::string& name, const Sizes& sizes, std::size_t offset,
                       std::size_t bytes) {
    return writer_.add("Const", name,
                       fmt::format(R"(element_type="{}" shape="{}" offset="{}" size="{}")", type,
                                   fmt::join(sizes, ", "), offset, bytes),
                       {}, type == "i64" ? "I64" : "FP32");
  }
  std::size_t weight(std::size_t number, const Sizes& sizes) {
    const NetworkTensor& tensor = graph_.weights[number];
    return constant("f32", tensor.name, sizes, tensor.first * sizeof(float), tensor.count * sizeof(float));
  }
  std::size_t weight(std::size_t number) { return weight(number, graph_.weights[number].sizes); }

  /// A list of whole numbers, or one of them without an axis; it is there once, and its values follow the weights.
  std::size_t wholes(const Sizes& list, const Sizes& sizes) {
    const auto [place, added] = wholes_.try_emplace({list, sizes}, 0);
    if (!added) return place->second;
    const std::size_t bytes = list.size() * sizeof(std::int64_t);
    constexpr std::size_t kFloats = sizeof(std::int64_t) / sizeof(float);
    const std::size_t first = (graph_.values.size() + kFloats - 1) / kFloats * kFloats;
    graph_.values.resize(first + list.size() * kFloats);
    std::memcpy(&graph_.values[first], list.data(), bytes);
    const std::string name = fmt::format("wholes {} {}", fmt::join(list, " "), sizes.size());
    return place->second = constant("i64", name, sizes, first * sizeof(float), bytes);
  }
  std::size_t list(const Sizes& list) { return wholes(list, {static_cast<std::int64_t>(list.size())}); }
  std::size_t whole(std::int64_t value) { return wholes({value}, {}); }

  /// Adds the bias, if there is one: of channels, which other axes follow.
  std::size_t with_bias(const NetworkStep& step, std::size_t product, std::size_t axes_after) {
    if (step.weights.size() < 2) return product;
    Sizes along{1, graph_.weights[step.weights[1]].sizes.front()};
    along.insert(along.end(), axes_after, 1);
    return add("Add", kBroadcast, {product, weight(step.weights[1], along)});
  }

  std::size_t reshaped(std::size_t x, const Sizes& sizes) {
    return add("Reshape", R"(special_zero="true")", {x, list(sizes)});
  }
  std::size_t turned(std::size_t x, const Sizes& order) { return add("Transpose", {}, {x, list(order)}); }

  std::size_t written(const NetworkStep& step) {
    Numbers taken;
    for (const std::size_t from : step.from) taken.push_back(made_[from]);
    switch (step.does) {
      case Operation::input:
        return input();
      case Operation::convolution:
        return convolution(step, taken[0]);
      case Operation::dense:
        return with_bias(step,
                         add("MatMul", R"(transpose_a="false" transpose_b="true")", {taken[0], weight(step.weights[0])}),
                         0);
      case Operation::relu:
        return add("ReLU", {}, taken);
      case Operation::silu:
        return add("Swish-opset4", {}, taken);
      case Operation::gelu:
        return add("Gelu-opset7", R"(approximation_mode="ERF")", taken);
      case Operation::pool:
        return add("MaxPool",
                   R"(strides="2, 2" kernel="2, 2" pads_begin="0, 0" pads_end="0, 0" rounding_type="floor" )"
                   R"(auto_pad="explicit")",
                   taken);
      case Operation::reshape:
        return reshaped(taken[0], step.sizes);
      case Operation::transpose:
        return turned(taken[0], step.sizes);
      case Operation::zero_row:
        return add("Pad", R"(pad_mode="constant")", {taken[0], list({0, 1, 0}), list({0, 0, 0})});
      case Operation::plus:
        return add("Add", kBroadcast, {taken[0], weight(step.weights[0])});
      case Operation::add:
        return add("Add", kBroadcast, taken);
      case Operation::norm:
        return norm(step, taken[0]);
      case Operation::first_row:
        return add("Gather-opset8", R"(batch_dims="0")", {taken[0], whole(0), whole(1)});
      case Operation::attention:
        return attention(step, taken);
      case Operation::unit:
        return add("Divide", kBroadcast,
                   {taken[0], add("ReduceL2-opset4", R"(keep_dims="true")", {taken[0], list({-1})})});
    }
    return 0;
  }

  std::size_t input() {
    std::vector<std::string> sizes{"?"};
    for (const std::uint32_t size : graph_.sample) sizes.push_back(std::to_string(size));
    return writer_.add("Parameter", std::string(graph_.input),
                       fmt::format(R"(element_type="f32" shape="{}")", fmt::join(sizes, ",")), {});
  }

  std::size_t convolution(const NetworkStep& step, std::size_t x) {
    const std::string attributes =
        fmt::format(R"(strides="{0}, {0}" dilations="1, 1" pads_begin="0, 0" pads_end="0, 0" auto_pad="explicit")",
                    step.sizes[0]);
    return with_bias(step, add("Convolution", attributes, {x, weight(step.weights[0])}), 2);
  }

  std::size_t norm(const NetworkStep& step, std::size_t x) {
    const std::size_t normed =
        add("MVN-opset6",
            fmt::format(R"(eps="{}" normalize_variance="true" eps_mode="INSIDE_SQRT")", step.epsilon),
            {x, list({-1})});
    const std::size_t scaled = add("Multiply", kBroadcast, {normed, weight(step.weights[0])});
    return add("Add", kBroadcast, {scaled, weight(step.weights[1])});
  }

  std::size_t attention(const NetworkStep& step, const Numbers& taken) {
    const auto by_head = [&](std::size_t rows, std::int64_t tokens) {
      return turned(reshaped(rows, {-1, tokens, step.sizes[0], step.sizes[1]}), {0, 2, 1, 3});
    };
    const std::size_t queries = by_head(taken[0], step.sizes[2]);
    const std::size_t keys = by_head(taken[1], step.sizes[3]);
    const std::size_t values = by_head(taken[2], step.sizes[3]);
    const std::size_t attended =
        add("ScaledDotProductAttention-opset13", R"(causal="false")", {queries, keys, values});
    return reshaped(turned(attended, {0, 2, 1, 3}), {-1, step.sizes[0] * step.sizes[1]});
  }

  NetworkGraph graph_;
  IrWriter writer_;
  Numbers made_;  ///< by step, the layer with its output
  std::map<std::pair<Sizes, Sizes>, std::size_t> wholes_;
  int number_ = 0;
  int parts_ = 0;
};

}  // namespace

NetworkIr ir_of(NetworkGraph graph) { return Layers(std::move(graph)).take(); }

}  // namespace tutti::worker
