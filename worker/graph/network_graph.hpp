// The networks that Tutti describes itself, `small-cnn` and `mlp`, for the libraries besides LibTorch: their layers,
// and all weights in one piece of memory, from which a library reads them. How it writes the graph down is known to its
// plugin. The weights are those of the member's file, or the very values that LibTorch draws from the seed
// (worker/torch/network.hpp); a test compares the bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/wire/member_request.hpp"

namespace tutti::worker {

/// Weights of a layer, row-major.
struct NetworkTensor {
  std::string name;  ///< as in the files of weights: "conv1.weight"
  std::vector<std::int64_t> sizes;
  std::size_t first = 0;  ///< in NetworkGraph::values
  std::size_t count = 0;
};

/// A layer with weights, and what follows it. The ReLU comes before the pooling, where libraries fuse it with the
/// convolution; the values are the same either way.
struct NetworkLayer {
  NetworkTensor weight;      ///< of a convolution [out, in, 3, 3], else [out, in]
  NetworkTensor bias;        ///< [out]
  bool convolution = false;  ///< without a border, in steps of one; else dense, of all values of a sample
  bool relu = true;
  bool pool = false;  ///< the largest of 2x2
};

struct NetworkGraph {
  std::string_view input = "samples";
  std::string_view output = "logits";
  Dims sample;  ///< the sizes of one, of float32
  std::uint32_t classes = 0;
  std::vector<NetworkLayer> layers;  ///< each takes the output of the one before it
  std::vector<float> values;         ///< of each layer its weight, then its bias

  std::span<const float> values_of(const NetworkTensor& tensor) const {
    return std::span(values).subspan(tensor.first, tensor.count);
  }
};

/// Holds the weights once while it reads them. Throws Error(usage) if the member's samples do not fit the network, or
/// the file of its weights does not, or holds NaN or infinity.
NetworkGraph network_graph(const MemberRequest& request);

}  // namespace tutti::worker
