// Equal members as one network, which computes all of them at once. It is the strongest alternative to running members
// in parallel if they are small and equal; it works for no other members.
//
//   first convolution   all members read the same images: weights stacked along the output channels, one convolution
//   later convolutions  grouped, one group for each member: member m reads and writes its own channels
//   first dense layer   without convolutions before it: stacked along the outputs, one matrix product
//   other dense layers  one batched matrix product, [members, count, in] x [members, in, out] plus the biases
//
// Sums run in another order than in the members' own kernels, so that the last bits differ: kTolerance of
// bench/protocol.hpp bounds by how much.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/torch/network.hpp"

namespace tutti::worker {

class FusedNetwork {
 public:
  /// Makes it from equal networks, on their device.
  explicit FusedNetwork(const std::vector<Network>& members);

  /// On the CPU: puts the convolutions' weights into oneDNN's blocked layout, as in the members, chosen for `batch`
  /// images like `seen`. Call it once.
  void pack(const TensorLayout& seen, std::int64_t batch);

  /// Logits [members, count, classes] for `images` [count, channels, height, width].
  at::Tensor operator()(const at::Tensor& images) const;

 private:
  struct Convolution {
    at::Tensor weight;  ///< [members * out, in, 3, 3]
    at::Tensor bias;    ///< [members * out]
    std::int64_t groups = 1;
    bool pool = false;
  };
  struct Dense {
    at::Tensor weight;  ///< [members, in, out]
    at::Tensor bias;    ///< [members, 1, out]
  };

  static at::Tensor convolve(const Convolution& layer, const at::Tensor& x);

  std::int64_t members_;
  std::vector<Convolution> convolutions_;
  std::optional<Dense> first_dense_;  // [members * out, in], [members * out]
  std::vector<Dense> dense_;
};

}  // namespace tutti::worker
