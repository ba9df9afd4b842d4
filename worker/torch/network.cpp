#include "worker/torch/network.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/mkldnn_convolution.h>
#include <ATen/ops/mkldnn_reorder_conv2d_weight.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <tutti/error.hpp>

#include "worker/torch/torch_errors.hpp"

namespace tutti::worker {
namespace {

// Draws numbers in PyTorch's order from a separate generator, so that other random numbers of the process do not
// matter.
class Initialiser {
 public:
  explicit Initialiser(std::uint64_t seed) : generator_(at::make_generator<at::CPUGeneratorImpl>(seed)) {}

  Convolution convolution(std::int64_t in, std::int64_t out, bool pool) {
    const std::int64_t fan_in = in * kKernel * kKernel;
    at::Tensor weight = draw({out, in, kKernel, kKernel}, weight_bound(fan_in));
    return {weight, draw({out}, bias_bound(fan_in)), pool};
  }
  Dense dense(std::int64_t in, std::int64_t out) {
    at::Tensor weight = draw({out, in}, weight_bound(in));
    return {weight, draw({out}, bias_bound(in))};
  }
  /// Passes over the numbers of a dense layer, without memory for all of them.
  void skip_dense(std::uint64_t in, std::uint64_t out) {
    constexpr std::uint64_t kAtOnce = 1U << 16;
    for (std::uint64_t left = out * (in + 1); left > 0; left -= std::min(left, kAtOnce))
      draw({static_cast<std::int64_t>(std::min(left, kAtOnce))}, 1.0);
  }

 private:
  // Both are 1 / sqrt(fan_in); the first is rounded as in torch::nn::init::kaiming_uniform_ with a = sqrt(5).
  static double weight_bound(std::int64_t fan_in) {
    const double gain = std::sqrt(2.0 / (1.0 + 5.0));
    return std::sqrt(3.0) * (gain / std::sqrt(static_cast<double>(fan_in)));
  }
  static double bias_bound(std::int64_t fan_in) { return 1.0 / std::sqrt(static_cast<double>(fan_in)); }

  at::Tensor draw(at::IntArrayRef shape, double bound) {
    return at::empty(shape, at::kFloat).uniform_(-bound, bound, generator_);
  }

  at::Generator generator_;
};

at::Tensor convolve(const Convolution& layer, const at::Tensor& x, bool blocked) {
  const at::Tensor y = blocked
                           ? at::mkldnn_convolution(x, layer.weight, layer.bias, {0, 0}, {1, 1}, {1, 1}, /*groups=*/1)
                           : at::conv2d(x, layer.weight, layer.bias);
  // Pooling before the ReLU gives the same values and gradients, and leaves fewer values for the ReLU.
  at::Tensor out = layer.pool ? at::max_pool2d(y, {2, 2}) : y;
  out.relu_();
  return out;
}

}  // namespace

Network make_small_cnn(const SmallCnnModel& model, const TensorLayout& seen, std::uint64_t seed) {
  if (seen != ImageShape{3, 32, 32}.layout()) {
    const std::string layout = layout_hint(seen.dims);
    throw Error(ErrorKind::usage, "small-cnn needs images of 3x32x32",
                fmt::format("these are {}", dims_text(seen.dims)),
                layout.empty() ? "use an mlp or a torchscript member for other shapes" : layout);
  }
  if (model.classes == 0) throw Error(ErrorKind::usage, "small-cnn needs at least one class");
  Initialiser init(seed);
  Network network;
  network.convolutions.push_back(init.convolution(3, 32, true));    // 32x32 -> 30x30 -> 15x15
  network.convolutions.push_back(init.convolution(32, 64, true));   // -> 13x13 -> 6x6
  network.convolutions.push_back(init.convolution(64, 64, false));  // -> 4x4
  network.dense.push_back(init.dense(std::int64_t{64} * 4 * 4, 64));
  network.dense.push_back(init.dense(64, model.classes));
  return network;
}

Network make_mlp(const MlpModel& model, const TensorLayout& seen, std::uint64_t seed) {
  if (model.layers.empty()) throw Error(ErrorKind::usage, "an mlp needs at least one layer: the classes");
  if (seen.dtype != Dtype::float32)
    throw Error(ErrorKind::usage, "an mlp needs float32", fmt::format("it would get {}", to_name(seen.dtype)),
                "save the array as float32");
  Initialiser init(seed);
  std::uint64_t before = model.part.inputs;
  for (std::size_t i = 0; i < model.part.from && model.part.inputs > 0; ++i)
    init.skip_dense(std::exchange(before, model.layers[i]), model.layers[i]);
  Network network;
  network.first_dense = model.part.from;
  network.more_dense = model.part.to > 0;
  auto in = static_cast<std::int64_t>(seen.elements());
  for (std::size_t i = model.part.from; i < end_of(model.part, model.layers.size()); ++i) {
    const std::uint32_t out = model.layers[i];
    if (out == 0) throw Error(ErrorKind::usage, "a layer of an mlp cannot have width 0");
    network.dense.push_back(init.dense(in, out));
    in = out;
  }
  return network;
}

/// Without them, the part would have other numbers than in the whole network.
void check_part(const MemberRequest& request) {
  const auto* const mlp = std::get_if<MlpModel>(&request.model);
  if (mlp == nullptr || mlp->part.from == 0 || mlp->part.inputs > 0 || !request.weights.empty()) return;
  throw Error(ErrorKind::usage, "a part of an mlp that begins behind its first layer needs 'weights'",
              "the numbers that it would start from depend on how many values the first layer takes",
              "name the file of the whole network's weights, or begin the 'stages' with its first layers");
}

/// The tensors of the whole network that are not of this part of it.
std::set<std::string> other_tensors(const Network& network, const ModelKind& model) {
  std::set<std::string> names;
  const auto* const mlp = std::get_if<MlpModel>(&model);
  if (mlp == nullptr || mlp->part.whole()) return names;
  for (std::size_t i = 0; i < mlp->layers.size(); ++i)
    for (const char* kind : {"weight", "bias"})
      if (i < network.first_dense || i >= network.first_dense + network.dense.size())
        names.insert(fmt::format("fc{}.{}", i + 1, kind));
  return names;
}

Network make_network(const MemberRequest& request) {
  check_part(request);
  const auto* const cnn = std::get_if<SmallCnnModel>(&request.model);
  Network network = cnn != nullptr ? make_small_cnn(*cnn, request.seen(), request.seed)
                                   : make_mlp(std::get<MlpModel>(request.model), request.seen(), request.seed);
  if (!request.weights.empty())
    read_weights(request.weights, kind_name(request.model), named_tensors(network),
                 other_tensors(network, request.model));
  return network;
}

NamedTensors named_tensors(const Network& network) {
  NamedTensors named;
  const auto add = [&](std::string_view kind, std::size_t number, const auto& layer) {
    named.emplace_back(fmt::format("{}{}.weight", kind, number), layer.weight);
    named.emplace_back(fmt::format("{}{}.bias", kind, number), layer.bias);
  };
  for (std::size_t i = 0; i < network.convolutions.size(); ++i) add("conv", i + 1, network.convolutions[i]);
  for (std::size_t i = 0; i < network.dense.size(); ++i) add("fc", network.first_dense + i + 1, network.dense[i]);
  return named;
}

Network moved(const Network& network, at::Device device) {
  Network there = network;
  const auto move = [&](auto& layer) {
    layer.weight = layer.weight.to(device);
    layer.bias = layer.bias.to(device);
  };
  for (Convolution& layer : there.convolutions) move(layer);
  for (Dense& layer : there.dense) move(layer);
  return there;
}

Network packed(const Network& network, const TensorLayout& seen, std::int64_t batch) {
  Network blocked = network;
  if (!at::globalContext().hasMKLDNN() || network.convolutions.empty()) return blocked;
  auto height = static_cast<std::int64_t>(seen.dims.at(1));
  auto width = static_cast<std::int64_t>(seen.dims.at(2));
  for (Convolution& layer : blocked.convolutions) {
    if (!layer.weight.is_cpu()) return network;
    const std::vector<std::int64_t> input{batch, layer.weight.size(1), height, width};
    layer.weight = at::mkldnn_reorder_conv2d_weight(layer.weight.detach().to_mkldnn(), {0, 0}, {1, 1}, {1, 1}, 1,
                                                    at::OptionalIntArrayRef(input));
    layer.bias = layer.bias.detach().to_mkldnn();
    height = (height - kKernel + 1) / (layer.pool ? 2 : 1);
    width = (width - kKernel + 1) / (layer.pool ? 2 : 1);
  }
  return blocked;
}

at::Tensor forward(const Network& network, const at::Tensor& samples) {
  at::Tensor x = samples;
  if (!network.convolutions.empty()) {
    const bool blocked = network.convolutions.front().weight.is_mkldnn();
    if (blocked) x = x.to_mkldnn();
    for (const Convolution& layer : network.convolutions) x = convolve(layer, x, blocked);
    if (blocked) x = x.to_dense();
  }
  x = x.dim() > 1 ? x.flatten(1) : x.unsqueeze(1);
  for (std::size_t i = 0; i < network.dense.size(); ++i) {
    x = at::linear(x, network.dense[i].weight, network.dense[i].bias);
    if (i + 1 < network.dense.size() || network.more_dense) x.relu_();
  }
  return x;
}

}  // namespace tutti::worker
