#include "worker/onnx/network_onnx.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "worker/onnx/onnx_writer.hpp"

namespace tutti::worker {
namespace {

/// Writes a step as one operator or several.
class Steps {
 public:
  explicit Steps(const NetworkGraph& graph) : graph_(graph) {
    for (const NetworkTensor& tensor : graph_.weights) writer_.constant(tensor.name, tensor.sizes);
    for (std::size_t i = 0; i < graph_.steps.size(); ++i) {
      const bool last = i + 1 == graph_.steps.size();
      outputs_.push_back(last ? std::string(graph_.output) : fmt::format("x{}", i));
      write(graph_.steps[i], outputs_.back());
    }
  }

  std::string model() const {
    return writer_.model(graph_.input, graph_.sample, graph_.output, std::array{graph_.width});
  }

 private:
  using Attributes = std::vector<OnnxWriter::Attribute>;
  using Names = std::vector<std::string>;
  using Sizes = std::vector<std::int64_t>;

  void add(std::string_view operation, const Names& inputs, const std::string& to, const Attributes& attributes = {}) {
    writer_.node(operation, inputs, to, attributes);
  }
  /// The same with a name for its output, which it returns.
  std::string made(std::string_view operation, const Names& inputs, const Attributes& attributes = {}) {
    std::string name = fmt::format("part{}", ++parts_);
    add(operation, inputs, name, attributes);
    return name;
  }
  /// The name of a constant, which is there once.
  std::string constant(const Sizes& values) { return once(fmt::format("wholes {}", fmt::join(values, " ")), values); }
  std::string constant(float value) { return once(fmt::format("number {}", value), value); }
  std::string constant(std::int64_t value) { return once(fmt::format("whole {}", value), value); }
  template <class Value>
  std::string once(std::string name, const Value& value) {
    for (const std::string& known : constants_)
      if (known == name) return name;
    if constexpr (std::is_same_v<Value, Sizes>)
      writer_.wholes(name, value);
    else
      writer_.number(name, value);
    constants_.push_back(name);
    return name;
  }

  /// What the step takes: outputs of others, then its weights.
  Names taken_by(const NetworkStep& step) const {
    Names names;
    for (const std::size_t from : step.from) names.push_back(from == 0 ? std::string(graph_.input) : outputs_[from]);
    for (const std::size_t weight : step.weights) names.push_back(graph_.weights[weight].name);
    return names;
  }

  void write(const NetworkStep& step, const std::string& to) {
    const Names taken = taken_by(step);
    switch (step.does) {
      case Operation::input:
        return;
      case Operation::convolution:
        return add("Conv", taken, to, {{"strides", Sizes(2, step.sizes[0])}});
      case Operation::dense:
        return add("Gemm", taken, to, {{"transB", std::int64_t{1}}});
      case Operation::relu:
        return add("Relu", taken, to);
      case Operation::silu:
        return add("Mul", {taken[0], made("Sigmoid", taken)}, to);
      case Operation::gelu:
        return gelu(taken[0], to);
      case Operation::pool:
        return add("MaxPool", taken, to, {{"kernel_shape", Sizes{2, 2}}, {"strides", Sizes{2, 2}}});
      case Operation::reshape:
        return add("Reshape", {taken[0], constant(step.sizes)}, to);
      case Operation::transpose:
        return add("Transpose", taken, to, {{"perm", step.sizes}});
      case Operation::zero_row:
        return add("Pad", {taken[0], constant(Sizes{0, 1, 0, 0, 0, 0})}, to);
      case Operation::plus:
      case Operation::add:
        return add("Add", taken, to);
      case Operation::norm:
        return add("LayerNormalization", taken, to, {{"epsilon", static_cast<float>(step.epsilon)}});
      case Operation::first_row:
        return add("Gather", {taken[0], constant(std::int64_t{0})}, to, {{"axis", std::int64_t{1}}});
      case Operation::attention:
        return attend(taken, step, to);
      case Operation::unit:
        return add("Div", {taken[0], made("ReduceL2", taken, {{"axes", Sizes{-1}}})}, to);
    }
  }

  /// In the form that ONNX Runtime knows and computes as one.
  void gelu(const std::string& x, const std::string& to) {
    const std::string erf = made("Erf", {made("Div", {x, constant(std::sqrt(2.0F))})});
    add("Mul", {made("Mul", {x, made("Add", {erf, constant(1.0F)})}), constant(0.5F)}, to);
  }

  /// softmax(q k^T / sqrt(width of a head)) v, for each head.
  void attend(const Names& taken, const NetworkStep& step, const std::string& to) {
    const std::int64_t heads = step.sizes[0];
    const std::int64_t width = step.sizes[1];
    const auto by_head = [&](const std::string& rows, std::int64_t tokens, const Sizes& order) {
      const Sizes sizes{-1, tokens, heads, width};
      return made("Transpose", {made("Reshape", {rows, constant(sizes)})}, {{"perm", order}});
    };
    const std::string scale = constant(1 / std::sqrt(static_cast<float>(width)));
    const std::string queries = by_head(made("Mul", {taken[0], scale}), step.sizes[2], {0, 2, 1, 3});
    const std::string keys = by_head(taken[1], step.sizes[3], {0, 2, 3, 1});
    const std::string values = by_head(taken[2], step.sizes[3], {0, 2, 1, 3});
    const std::string weights =
        made("Softmax", {made("MatMul", {queries, keys})}, {{"axis", std::int64_t{-1}}});
    const std::string attended =
        made("Transpose", {made("MatMul", {weights, values})}, {{"perm", Sizes{0, 2, 1, 3}}});
    add("Reshape", {attended, constant(Sizes{-1, heads * width})}, to);
  }

  const NetworkGraph& graph_;
  OnnxWriter writer_;
  std::vector<std::string> outputs_;  ///< by step
  Names constants_;
  int parts_ = 0;
};

}  // namespace

std::string onnx_of(const NetworkGraph& graph) { return Steps(graph).model(); }

}  // namespace tutti::worker
