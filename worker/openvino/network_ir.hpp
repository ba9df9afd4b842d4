// A network of Tutti in OpenVINO's own format: a text with the graph, and the values of its constants
// (https://docs.openvino.ai, "OpenVINO IR format"). Knows nothing of sessions.
#pragma once

#include <string>
#include <vector>

#include "worker/graph/network_graph.hpp"

namespace tutti::worker {

struct NetworkIr {
  std::string xml;
  std::vector<float> constants;  ///< the bytes of the .bin file, which the text refers to
};

/// Keeps the memory of the weights.
NetworkIr ir_of(NetworkGraph graph);

}  // namespace tutti::worker
