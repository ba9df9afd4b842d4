// Tutti's own networks, as weights and a forward pass. Not a general layer library: 3x3 convolutions with valid
// padding, each followed by ReLU, then dense layers with ReLU between them; this covers both networks.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "common/wire/member_request.hpp"
#include "worker/torch/weights.hpp"

namespace tutti::worker {

/// Height and width of every convolution.
constexpr std::int64_t kKernel = 3;

struct Convolution {
  at::Tensor weight;  ///< [out, in, 3, 3]; blocked by oneDNN in a packed network
  at::Tensor bias;    ///< [out]
  bool pool = false;  ///< 2x2 max pooling after the ReLU
};
struct Dense {
  at::Tensor weight;  ///< [out, in]
  at::Tensor bias;    ///< [out]
};
struct Network {
  std::vector<Convolution> convolutions;
  std::vector<Dense> dense;
  std::size_t first_dense = 0;  ///< how many dense layers are before these, which are a part of a network
  bool more_dense = false;      ///< others follow: the last of these is not the output, and has a ReLU behind it
};

/// The CNN of TensorFlow's CIFAR-10 tutorial (https://www.tensorflow.org/tutorials/images/cnn): 3x3x32, pool, 3x3x64,
/// pool, 3x3x64, dense 64, dense `classes`. Throws Error(usage) for images of another shape than 3x32x32.
Network make_small_cnn(const SmallCnnModel& model, const TensorLayout& seen, std::uint64_t seed);

/// Dense layers of the given widths over the sample as one vector, or the part of them that the model names. Throws
/// Error(usage) if there is no layer or one of width 0, or if the sample is not of float32.
Network make_mlp(const MlpModel& model, const TensorLayout& seen, std::uint64_t seed);
// Both start from the numbers that PyTorch's own Conv2d and Linear have when they are made in this order after
// torch.manual_seed(seed): uniform in +-1/sqrt(fan-in).

/// The network of a request for a small-cnn or an mlp, on the CPU: with the weights of the request's file or, if it
/// names none, from its seed: a part of a network has the same numbers as in the whole. Of the file, a part reads only
/// its own tensors. Throws Error(usage) like the two above, and if the weights do not fit.
Network make_network(const MemberRequest& request);

/// conv1.weight, conv1.bias, ..., fc1.weight, fc1.bias, ...: they share the network's memory.
NamedTensors named_tensors(const Network& network);

Network moved(const Network& network, at::Device device);

/// The network for predictions on the CPU: its convolutions hold their weights in oneDNN's blocked layout, chosen for
/// `batch` images like `seen`, so that nothing is repacked per call. Returns the network itself if LibTorch has no
/// oneDNN or the network is on another device.
Network packed(const Network& network, const TensorLayout& seen, std::int64_t batch);

/// Logits [count, classes] for `samples` [count, ...]; differentiable if the network is not
/// packed.
at::Tensor forward(const Network& network, const at::Tensor& samples);

}  // namespace tutti::worker
