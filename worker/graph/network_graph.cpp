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
#include "worker/tensor_differences.hpp"

namespace tutti::worker {
namespace {

/// Values that a library's format may need besides the weights, in the same memory.
constexpr std::size_t kRoom = 8;

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

/// Layers in LibTorch's order and names, whose values have places and are not there yet.
class Layers {
 public:
  void convolution(std::int64_t in, std::int64_t out, bool pool) {
    constexpr std::int64_t kKernel = 3;
    add(fmt::format("conv{}", ++convolutions_), {out, in, kKernel, kKernel});
    layers_.back().convolution = true;
    layers_.back().pool = pool;
  }
  void dense(std::int64_t in, std::int64_t out) { add(fmt::format("fc{}", ++dense_), {out, in}); }
  std::vector<NetworkLayer> take() {
    layers_.back().relu = false;
    return std::move(layers_);
  }

 private:
  void add(const std::string& name, std::vector<std::int64_t> sizes) {
    const std::int64_t out = sizes.front();
    NetworkLayer layer;
    layer.weight = placed(name + ".weight", std::move(sizes));
    layer.bias = placed(name + ".bias", {out});
    layers_.push_back(std::move(layer));
  }
  NetworkTensor placed(std::string name, std::vector<std::int64_t> sizes) {
    NetworkTensor tensor{std::move(name), std::move(sizes), end_, 1};
    for (const std::int64_t size : tensor.sizes) tensor.count *= static_cast<std::size_t>(size);
    end_ += tensor.count;
    return tensor;
  }

  std::vector<NetworkLayer> layers_;
  std::size_t end_ = 0;
  int convolutions_ = 0;
  int dense_ = 0;
};

std::vector<NetworkLayer> layers_of(const SmallCnnModel& model, const MemberRequest& request) {
  const Dims& dims = request.seen().dims;
  if (request.seen() != ImageShape{3, 32, 32}.layout())
    throw Error(ErrorKind::usage, "small-cnn needs images of 3x32x32", fmt::format("these are {}", dims_text(dims)),
                "use an mlp or a torchscript member for other shapes");
  Layers layers;
  layers.convolution(3, 32, true);
  layers.convolution(32, 64, true);
  layers.convolution(64, 64, false);
  layers.dense(std::int64_t{64} * 4 * 4, 64);
  layers.dense(64, model.classes);
  return layers.take();
}

std::vector<NetworkLayer> layers_of(const MlpModel& model, const MemberRequest& request) {
  if (request.seen().dtype != Dtype::float32)
    throw Error(ErrorKind::usage, "an mlp needs float32", fmt::format("it would get {}", to_name(request.seen().dtype)),
                "save the array as float32");
  Layers layers;
  auto in = static_cast<std::int64_t>(request.seen().elements());
  for (const std::uint32_t out : model.layers) {
    layers.dense(in, out);
    in = out;
  }
  return layers.take();
}

std::span<float> place_of(const NetworkTensor& tensor, NetworkGraph& graph) {
  return std::span(graph.values).subspan(tensor.first, tensor.count);
}

/// Both bounds are 1 / sqrt(fan_in), rounded as in worker/torch/network.cpp.
void draw_values(std::uint64_t seed, NetworkGraph& graph) {
  Uniform uniform(seed);
  for (const NetworkLayer& layer : graph.layers) {
    const std::size_t fan_in = layer.weight.count / layer.bias.count;
    const double root = std::sqrt(static_cast<double>(fan_in));
    uniform.draw(std::sqrt(3.0) * (std::sqrt(2.0 / (1.0 + 5.0)) / root), place_of(layer.weight, graph));
    uniform.draw(1.0 / root, place_of(layer.bias, graph));
  }
}

void read_values(const MemberRequest& request, NetworkGraph& graph) {
  const merge::Checkpoint file = merge::Checkpoint::open(request.weights);
  std::vector<const NetworkTensor*> all;
  for (const NetworkLayer& layer : graph.layers) all.insert(all.end(), {&layer.weight, &layer.bias});
  std::vector<WantedTensor> wanted;
  for (const NetworkTensor* const tensor : all) wanted.push_back({tensor->name, tensor->sizes, {merge::Dtype::f32}});
  TensorForms forms;
  for (const std::string& name : file.names()) forms[name] = file.form(name);
  if (std::vector<std::string> found = tensor_differences(forms, wanted); !found.empty())
    throw Error(ErrorKind::usage,
                fmt::format("the weights in '{}' do not fit {}", request.weights, kind_name(request.model)),
                listed(std::move(found)), "name the file of a model with the same kind, layers and classes");
  for (const NetworkTensor* const tensor : all) {
    const std::span<float> values = place_of(*tensor, graph);
    file.read(tensor->name, 0, std::as_writable_bytes(values));
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); }))
      throw not_finite(request.weights, tensor->name);
  }
}

}  // namespace

NetworkGraph network_graph(const MemberRequest& request) {
  const auto* const cnn = std::get_if<SmallCnnModel>(&request.model);
  NetworkGraph graph;
  graph.sample = request.seen().dims;
  graph.classes = facts_of(request.model).width;
  graph.layers = cnn != nullptr ? layers_of(*cnn, request) : layers_of(std::get<MlpModel>(request.model), request);
  const NetworkTensor& last = graph.layers.back().bias;
  graph.values.reserve(last.first + last.count + kRoom);
  graph.values.resize(last.first + last.count);
  if (request.weights.empty())
    draw_values(request.seed, graph);
  else
    read_values(request, graph);
  return graph;
}

}  // namespace tutti::worker
