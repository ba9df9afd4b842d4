// The thread that owns the coordinator's state, as clang sees it: a role that a function has or has not, checked like a
// lock (common/thread_annotations.hpp). What belongs to the loop is marked TUTTI_GUARDED_BY(on_loop) or
// TUTTI_REQUIRES(on_loop), and cannot be used by code that does not say that it runs there.
#pragma once

#include <cassert>

#include <boost/asio/io_context.hpp>

#include "common/thread_annotations.hpp"

namespace tutti {

class TUTTI_CAPABILITY("role") LoopThread {};

/// One name for the loops of all pools of a process, which the analysis cannot tell apart. assert_on_loop() can.
inline constexpr LoopThread on_loop;

/// The first line of everything that Asio calls. Where assertions are on it also finds out whether it is true.
inline void assert_on_loop([[maybe_unused]] boost::asio::io_context& loop) TUTTI_ASSERT_CAPABILITY(on_loop) {
  assert(loop.get_executor().running_in_this_thread());
}

/// Said once, by the thread that runs a loop, between and after the runs.
inline void become_loop_thread() TUTTI_ASSERT_CAPABILITY(on_loop) {}

}  // namespace tutti
