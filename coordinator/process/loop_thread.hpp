// The thread that owns the coordinator's state, as a role for clang's thread safety analysis, checked like a lock
// (common/thread_annotations.hpp). What belongs to the loop is marked TUTTI_GUARDED_BY(on_loop) or
// TUTTI_REQUIRES(on_loop), and only code that declares that it runs on the loop can use it.
#pragma once

#include <cassert>

#include <boost/asio/io_context.hpp>

#include "common/thread_annotations.hpp"

namespace tutti {

class TUTTI_CAPABILITY("role") LoopThread {};

/// One name for the loops of all pools of a process, which the analysis cannot tell apart. assert_on_loop() can.
inline constexpr LoopThread on_loop;

/// The first line of every function that Asio calls. With assertions enabled it also checks that this is the thread.
inline void assert_on_loop([[maybe_unused]] boost::asio::io_context& loop) TUTTI_ASSERT_CAPABILITY(on_loop) {
  assert(loop.get_executor().running_in_this_thread());
}

/// Called by the thread that runs a loop, between and after the runs.
inline void become_loop_thread() TUTTI_ASSERT_CAPABILITY(on_loop) {}

}  // namespace tutti
