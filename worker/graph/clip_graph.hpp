// CLIP's vision tower as a graph: A. Radford et al., "Learning Transferable Visual Models From Natural Language
// Supervision", 2021, in the form of transformers' CLIPVisionModel. worker/torch/clip_tower.hpp computes the same.
#pragma once

#include "worker/graph/network_graph.hpp"

namespace tutti::worker {

/// With its projection or its head, if the member outputs what these make. Throws like network_graph(), of which it is
/// a part.
NetworkGraph clip_graph(const MemberRequest& request);

}  // namespace tutti::worker
