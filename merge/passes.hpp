// Work on many chunks by several threads, with results delivered in order. Not a pool: the threads live for one pass.
#pragma once

#include <cstddef>
#include <functional>

namespace tutti::merge {

/// Calls `work(index, thread)` for every index below `count`, on several threads at once (each has a number below
/// `threads`), and `deliver(index, thread)` after it: in the order of the indices, one call at a time, on the thread
/// that did the work. The first exception of either ends the pass and is thrown here.
void run_pass(std::size_t count, unsigned threads, const std::function<void(std::size_t, unsigned)>& work,
              const std::function<void(std::size_t, unsigned)>& deliver);

}  // namespace tutti::merge
