#include "worker/graph/network_graph.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/tensor_text.hpp"
#include "merge/checkpoint.hpp"
#include "worker/failure.hpp"
#include "worker/graph/clip_graph.hpp"
#include "worker/tensor_differences.hpp"

namespace tutti::worker {
namespace {

/// Values that a library's format may need besides the weights, in the same memory.
constexpr std::size_t kRoom = 256;

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

/// Adds layers in LibTorch's order and with its names, each with a ReLU behind it but the last. The ReLU comes before the
/// pooling, where libraries fuse it with the convolution; the values are the same either way.
class Layers {
 public:
  explicit Layers(NetworkGraph& graph) : graph_(graph), last_(graph.add({Operation::input, {}})) {}

  void convolution(std::int64_t in, std::int64_t out, bool pool) {
    constexpr std::int64_t kKernel = 3;
    add({Operation::convolution, {last_}, weights(fmt::format("conv{}", ++convolutions_), {out, in, kKernel, kKernel}),
         {1}});
    add({Operation::relu, {last_}});
    if (pool) add({Operation::pool, {last_}});
  }
  void dense(std::int64_t in, std::int64_t out) {
    add(dense_ == 0 ? NetworkStep{Operation::reshape, {last_}, {}, {0, -1}} : NetworkStep{Operation::relu, {last_}});
    add({Operation::dense, {last_}, weights(fmt::format("fc{}", ++dense_), {out, in})});
  }

 private:
  void add(NetworkStep step) { last_ = graph_.add(std::move(step)); }
  std::vector<std::size_t> weights(const std::string& name, std::vector<std::int64_t> sizes) {
    const std::int64_t out = sizes.front();
    const std::size_t weight = graph_.add_weight(name + ".weight", std::move(sizes));
    return {weight, graph_.add_weight(name + ".bias", {out})};
  }

  NetworkGraph& graph_;
  std::size_t last_;
  int convolutions_ = 0;
  int dense_ = 0;
};

void add_layers(const SmallCnnModel& model, const MemberRequest& request, NetworkGraph& graph) {
  const Dims& dims = request.seen().dims;
  if (request.seen() != ImageShape{3, 32, 32}.layout())
    throw Error(ErrorKind::usage, "small-cnn needs images of 3x32x32", fmt::format("these are {}", dims_text(dims)),
                "use an mlp or a torchscript member for other shapes");
  Layers layers(graph);
  layers.convolution(3, 32, true);
  layers.convolution(32, 64, true);
  layers.convolution(64, 64, false);
  layers.dense(std::int64_t{64} * 4 * 4, 64);
  layers.dense(64, model.classes);
}

void add_layers(const MlpModel& model, const MemberRequest& request, NetworkGraph& graph) {
  if (request.seen().dtype != Dtype::float32)
    throw Error(ErrorKind::usage, "an mlp needs float32", fmt::format("it would get {}", to_name(request.seen().dtype)),
                "save the array as float32");
  Layers layers(graph);
  auto in = static_cast<std::int64_t>(request.seen().elements());
  for (const std::uint32_t out : model.layers) {
    layers.dense(in, out);
    in = out;
  }
}

/// Both bounds are 1 / sqrt(fan_in), rounded as in worker/torch/network.cpp.
void draw_values(std::uint64_t seed, NetworkGraph& graph) {
  Uniform uniform(seed);
  for (std::size_t i = 0; i < graph.weights.size(); i += 2) {
    const NetworkTensor& weight = graph.weights[i];
    const NetworkTensor& bias = graph.weights[i + 1];
    const std::size_t fan_in = weight.count / bias.count;
    const double root = std::sqrt(static_cast<double>(fan_in));
    uniform.draw(std::sqrt(3.0) * (std::sqrt(2.0 / (1.0 + 5.0)) / root), graph.place_of(weight));
    uniform.draw(1.0 / root, graph.place_of(bias));
  }
}

void read_values(const MemberRequest& request, NetworkGraph& graph) {
  const merge::Checkpoint file = merge::Checkpoint::open(request.weights);
  std::vector<WantedTensor> wanted;
  for (const NetworkTensor& tensor : graph.weights) wanted.push_back({tensor.name, tensor.sizes, {merge::Dtype::f32}});
  TensorForms forms;
  for (const std::string& name : file.names()) forms[name] = file.form(name);
  if (std::vector<std::string> found = tensor_differences(forms, wanted); !found.empty())
    throw Error(ErrorKind::usage,
                fmt::format("the weights in '{}' do not fit {}", request.weights, kind_name(request.model)),
                listed(std::move(found)), "name the file of a model with the same kind, layers and classes");
  for (const NetworkTensor& tensor : graph.weights) {
    const std::span<float> values = graph.place_of(tensor);
    file.read(tensor.name, 0, std::as_writable_bytes(values));
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); }))
      throw not_finite(request.weights, tensor.name);
  }
}

}  // namespace

std::size_t NetworkGraph::add(NetworkStep step) {
  steps.push_back(std::move(step));
  return steps.size() - 1;
}

std::size_t NetworkGraph::add_weight(std::string name, std::vector<std::int64_t> sizes) {
  const std::size_t first = weights.empty() ? 0 : weights.back().first + weights.back().count;
  NetworkTensor tensor{std::move(name), std::move(sizes), first, 1};
  for (const std::int64_t size : tensor.sizes) tensor.count *= static_cast<std::size_t>(size);
  weights.push_back(std::move(tensor));
  return weights.size() - 1;
}

void NetworkGraph::make_places() {
  const std::size_t count = weights.back().first + weights.back().count;
  values.reserve(count + kRoom);
  values.resize(count);
}

NetworkGraph network_graph(const MemberRequest& request) {
  if (std::holds_alternative<ClipVitModel>(request.model)) return clip_graph(request);
  NetworkGraph graph;
  graph.sample = request.seen().dims;
  graph.width = facts_of(request.model).width;
  if (const auto* const cnn = std::get_if<SmallCnnModel>(&request.model))
    add_layers(*cnn, request, graph);
  else
    add_layers(std::get<MlpModel>(request.model), request, graph);
  graph.make_places();
  graph.parameters = graph.values.size();
  if (request.weights.empty())
    draw_values(request.seed, graph);
  else
    read_values(request, graph);
  return graph;
}

}  // namespace tutti::worker
