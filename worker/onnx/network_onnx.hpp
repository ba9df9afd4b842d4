// A network of Tutti as an ONNX model. Knows nothing of sessions.
#pragma once

#include <string>

#include "worker/graph/network_graph.hpp"

namespace tutti::worker {

/// The bytes of the model, without its weights: constants of these names have their values elsewhere.
std::string onnx_of(const NetworkGraph& graph);

}  // namespace tutti::worker
