// The networks that Tutti describes itself, `small-cnn`, `mlp` and `clip-vit`, for the libraries besides LibTorch: the
// steps of their computation, and all weights in one piece of memory, from which a library reads them. How it writes the
// graph down is known to its plugin. The weights are those of the member's file, or the very values that LibTorch draws
// from the seed (worker/torch/network.hpp); a test compares the bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/wire/member_request.hpp"

namespace tutti::worker {

/// Weights of a step, row-major.
struct NetworkTensor {
  std::string name;  ///< unique in its graph: "conv1.weight"
  std::vector<std::int64_t> sizes;
  std::size_t first = 0;  ///< in NetworkGraph::values
  std::size_t count = 0;
};

/// What a step makes of the outputs of steps before it. The first axis is that of the samples, or of rows, of which each
/// sample has as many. Weights are written after the step, and a bias may be left out.
enum class Operation : std::uint8_t {
  input,        ///< the samples; only the first step
  convolution,  ///< weight [out, in, k, k], bias [out]: without a border, `sizes`: {the length of a step}
  dense,        ///< weight [out, in], bias [out]: of rows
  relu,
  silu,  ///< x * sigmoid(x)
  gelu,  ///< x * the normal distribution below x
  pool,  ///< the largest of 2x2
  reshape,    ///< to `sizes`: 0 keeps that of this axis, -1 is what is left
  transpose,  ///< the axes in the order `sizes`
  zero_row,   ///< [samples, rows, values]: each sample gets a row of zeros, before the others
  plus,       ///< weight: is added to each sample
  add,        ///< the sum of two
  norm,       ///< weight, bias: the last axis with mean 0 and variance 1, times the weight, plus the bias; `epsilon`
  first_row,  ///< [samples, rows, values]: only the first row
  attention,  ///< of three, rows of queries, keys and values; `sizes`: {heads, width of one, queries, keys of a sample}
  unit,       ///< each row divided by its length
};

struct NetworkStep {
  Operation does;
  std::vector<std::size_t> from;       ///< numbers of steps
  std::vector<std::size_t> weights{};  ///< in NetworkGraph::weights
  std::vector<std::int64_t> sizes{};
  double epsilon = 0;
};

struct NetworkGraph {
  std::string_view input = "samples";
  std::string_view output = "logits";
  Dims sample;              ///< the sizes of one, of float32
  std::uint32_t width = 0;  ///< values of a prediction
  std::vector<NetworkTensor> weights;
  std::vector<NetworkStep> steps;  ///< the last one makes the predictions
  std::vector<float> values;       ///< of the weights, in order
  std::uint64_t parameters = 0;    ///< of the model

  std::span<const float> values_of(const NetworkTensor& tensor) const {
    return std::span(values).subspan(tensor.first, tensor.count);
  }
  std::span<float> place_of(const NetworkTensor& tensor) {
    return std::span(values).subspan(tensor.first, tensor.count);
  }

  /// Adds a step, and returns its number.
  std::size_t add(NetworkStep step);
  /// Adds a tensor whose values have a place, and are not there yet. Returns its number.
  std::size_t add_weight(std::string name, std::vector<std::int64_t> sizes);
  /// Makes the places of all tensors that were added; after that, none is added.
  void make_places();
};

/// Holds the weights once while it reads them. Throws Error(usage) if the member's samples do not fit the network, or
/// the file of its weights does not, or holds NaN or infinity.
NetworkGraph network_graph(const MemberRequest& request);

}  // namespace tutti::worker
