#include "worker/graph/network_graph.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/tensor_text.hpp"
#include "merge/safetensors.hpp"
#include "worker/failure.hpp"
#include "worker/graph/onnx_writer.hpp"
#include "worker/tensor_differences.hpp"

namespace tutti::worker {
namespace {

struct Values {
  std::string name;
  std::vector<std::int64_t> sizes;
  std::vector<float> values;
};

/// A layer with weights, and what follows it.
struct Layer {
  Values weight;
  Values bias;
  bool convolution = false;
  bool pool = false;
  bool relu = true;
};

/// The numbers that at::Tensor::uniform_() draws from a generator of this seed: ATen, "core/TransformationHelper.h".
class Uniform {
 public:
  explicit Uniform(std::uint64_t seed) : generator_(static_cast<std::uint32_t>(seed)) {}

  void draw(double bound, std::span<float> values) {
    constexpr std::uint32_t kMask = (1U << 24) - 1;
    const auto from = static_cast<float>(-bound);
    const float width = static_cast<float>(bound) - from;
    for (float& value : values) {
      const double part = static_cast<double>(generator_() & kMask) * (1.0 / (1U << 24));
      value = static_cast<float>(part * static_cast<double>(width) + static_cast<double>(from));
    }
  }

 private:
  std::mt19937 generator_;
};

/// Layers with the values of the seed, in LibTorch's order and names.
class Layers {
 public:
  explicit Layers(std::uint64_t seed) : uniform_(seed) {}

  void convolution(std::int64_t in, std::int64_t out, bool pool) {
    constexpr std::int64_t kKernel = 3;
    Layer layer = made(fmt::format("conv{}", ++convolutions_), {out, in, kKernel, kKernel}, in * kKernel * kKernel);
    layer.convolution = true;
    layer.pool = pool;
    layers_.push_back(std::move(layer));
  }
  void dense(std::int64_t in, std::int64_t out) {
    layers_.push_back(made(fmt::format("fc{}", ++dense_), {out, in}, in));
  }
  std::vector<Layer> take() {
    layers_.back().relu = false;
    return std::move(layers_);
  }

 private:
  /// Both bounds are 1 / sqrt(fan_in), rounded as in worker/torch/network.cpp.
  Layer made(const std::string& name, std::vector<std::int64_t> sizes, std::int64_t fan_in) {
    const double root = std::sqrt(static_cast<double>(fan_in));
    const std::int64_t out = sizes.front();
    Layer layer;
    layer.weight = drawn(name + ".weight", std::move(sizes), std::sqrt(3.0) * (std::sqrt(2.0 / (1.0 + 5.0)) / root));
    layer.bias = drawn(name + ".bias", {out}, 1.0 / root);
    return layer;
  }
  Values drawn(std::string name, std::vector<std::int64_t> sizes, double bound) {
    std::size_t count = 1;
    for (const std::int64_t size : sizes) count *= static_cast<std::size_t>(size);
    Values values{std::move(name), std::move(sizes), std::vector<float>(count)};
    uniform_.draw(bound, values.values);
    return values;
  }

  Uniform uniform_;
  std::vector<Layer> layers_;
  int convolutions_ = 0;
  int dense_ = 0;
};

std::vector<Layer> layers_of(const SmallCnnModel& model, const MemberRequest& request) {
  const Dims& dims = request.seen().dims;
  if (request.seen() != ImageShape{3, 32, 32}.layout())
    throw Error(ErrorKind::usage, "small-cnn needs images of 3x32x32", fmt::format("these are {}", dims_text(dims)),
                "use an mlp or a torchscript member for other shapes");
  Layers layers(request.seed);
  layers.convolution(3, 32, true);
  layers.convolution(32, 64, true);
  layers.convolution(64, 64, false);
  layers.dense(std::int64_t{64} * 4 * 4, 64);
  layers.dense(64, model.classes);
  return layers.take();
}

std::vector<Layer> layers_of(const MlpModel& model, const MemberRequest& request) {
  if (request.seen().dtype != Dtype::float32)
    throw Error(ErrorKind::usage, "an mlp needs float32", fmt::format("it would get {}", to_name(request.seen().dtype)),
                "save the array as float32");
  Layers layers(request.seed);
  auto in = static_cast<std::int64_t>(request.seen().elements());
  for (const std::uint32_t out : model.layers) {
    layers.dense(in, out);
    in = out;
  }
  return layers.take();
}

void read_values(const MemberRequest& request, std::vector<Layer>& layers) {
  const merge::Safetensors file = merge::Safetensors::read(request.weights);
  std::vector<Values*> all;
  for (Layer& layer : layers) all.insert(all.end(), {&layer.weight, &layer.bias});
  std::vector<WantedTensor> wanted;
  for (const Values* const values : all) wanted.push_back({values->name, values->sizes, {merge::Dtype::f32}});
  TensorForms forms;
  for (const std::string& name : file.names()) {
    const merge::TensorView tensor = file.tensor(name);
    forms[name] = {tensor.dtype, tensor.shape, tensor.bytes.size()};
  }
  if (std::vector<std::string> found = tensor_differences(forms, wanted); !found.empty())
    throw Error(ErrorKind::usage,
                fmt::format("the weights in '{}' do not fit {}", request.weights, kind_name(request.model)),
                listed(std::move(found)), "name the file of a model with the same kind, layers and classes");
  for (Values* const values : all) {
    const std::span<const std::byte> bytes = file.tensor(values->name).bytes;
    std::memcpy(values->values.data(), bytes.data(), bytes.size());
    if (!std::ranges::all_of(values->values, [](float value) { return std::isfinite(value); }))
      throw not_finite(request.weights, values->name);
  }
}

/// The nodes of a network, each of which takes the output of the one before it. The ReLU comes before the pooling,
/// where libraries fuse it with the convolution; the values are the same either way.
void add_nodes(const std::vector<Layer>& layers, std::string_view input, std::string_view output, OnnxWriter& writer) {
  using Names = std::vector<std::string>;
  std::string last(input);
  int number = 0;
  const auto next = [&] { return fmt::format("x{}", ++number); };
  const auto add = [&](std::string_view operation, const Names& more, const std::string& to,
                       const std::vector<OnnxWriter::Wholes>& lists = {},
                       const std::vector<OnnxWriter::Whole>& numbers = {}) {
    Names inputs{last};
    inputs.insert(inputs.end(), more.begin(), more.end());
    writer.node(operation, inputs, to, lists, numbers);
    last = to;
  };
  bool flat = false;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    writer.constant(layer.weight.name, layer.weight.sizes, layer.weight.values);
    writer.constant(layer.bias.name, layer.bias.sizes, layer.bias.values);
    const Names weights{layer.weight.name, layer.bias.name};
    if (layer.convolution) {
      add("Conv", weights, next());
    } else {
      if (!std::exchange(flat, true)) add("Flatten", {}, next(), {}, {{"axis", 1}});
      add("Gemm", weights, i + 1 == layers.size() ? std::string(output) : next(), {}, {{"transB", 1}});
    }
    if (layer.relu) add("Relu", {}, next());
    if (layer.pool) add("MaxPool", {}, next(), {{"kernel_shape", {2, 2}}, {"strides", {2, 2}}});
  }
}

}  // namespace

NetworkGraph network_graph(const MemberRequest& request) {
  constexpr std::string_view kInput = "samples";
  constexpr std::string_view kOutput = "logits";
  const auto* const cnn = std::get_if<SmallCnnModel>(&request.model);
  std::vector<Layer> layers =
      cnn != nullptr ? layers_of(*cnn, request) : layers_of(std::get<MlpModel>(request.model), request);
  if (!request.weights.empty()) read_values(request, layers);
  OnnxWriter writer;
  add_nodes(layers, kInput, kOutput, writer);
  NetworkGraph graph;
  for (const Layer& layer : layers) graph.parameters += layer.weight.values.size() + layer.bias.values.size();
  const std::array classes{facts_of(request.model).width};
  graph.onnx = writer.model(kInput, request.seen().dims, kOutput, classes);
  return graph;
}

}  // namespace tutti::worker
