// The networks that Tutti describes itself, `small-cnn` and `mlp`, as ONNX models in memory, for the libraries besides
// LibTorch. Their weights are those of the member's file, or the very values that LibTorch draws from the seed
// (worker/torch/network.hpp); a test compares the bits.
#pragma once

#include <cstdint>
#include <string>

#include "common/wire/member_request.hpp"

namespace tutti::worker {

struct NetworkGraph {
  std::string onnx;  ///< the bytes of a model file
  std::uint64_t parameters = 0;
};

/// Throws Error(usage) if the member's samples do not fit the network, or the file of its weights does not, or holds
/// NaN or infinity.
NetworkGraph network_graph(const MemberRequest& request);

}  // namespace tutti::worker
