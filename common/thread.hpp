// Starts Tutti's threads inside a host program.
#pragma once

#include <functional>
#include <thread>

namespace tutti {

/// A thread on which all signals are blocked from its first instruction: the host's handlers run on the host's threads.
/// `name` shows in process listings (15 letters). Throws Error(failed) if no thread can be started.
std::thread start_thread(const char* name, std::function<void()> work);

}  // namespace tutti
