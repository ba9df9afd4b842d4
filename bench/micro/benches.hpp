// The groups of micro-benchmarks; each adds its own to the suite.
#pragma once

#include "bench/micro/figures.hpp"

namespace tutti::bench::micro {

void add_rings(Suite& suite);       ///< how many records one ring carries
void add_transports(Suite& suite);  ///< round trips, and segments handed out to four workers, over each transport
void add_arena(Suite& suite);       ///< filling slots from a source
void add_combine(Suite& suite);     ///< the accumulator's rules
void add_pool(Suite& suite);        ///< the whole pool: per segment, start, memory
void add_merge(Suite& suite);       ///< merging checkpoints

}  // namespace tutti::bench::micro
