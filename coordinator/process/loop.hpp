// The event loop of a pool: Asio's, with all its descriptors above 2.
#pragma once

#include <boost/asio/io_context.hpp>

namespace tutti {

/// An io_context for one thread. Its epoll, eventfd and timerfd exist from construction on, and none of them is 0, 1 or
/// 2: a host program that has closed its standard streams may open others there at any time.
class Loop : public boost::asio::io_context {
 public:
  /// Throws Error(failed).
  Loop();
};

}  // namespace tutti
