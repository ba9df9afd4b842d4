// The ensemble of `tutti-chaos --stages`: one that has every way to lay members out over workers at once.
#pragma once

#include "config/spec.hpp"

namespace tutti::test {

/// Members that share workers in threads and in a loop, replicas, chains of stages with steps, one of them with
/// several rows of a sample, and a cascade of which a chain is a part. Images of 1x8x8, segments of 8.
config::EnsembleSpec graph_spec();

}  // namespace tutti::test
