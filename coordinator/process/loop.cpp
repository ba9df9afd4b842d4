#include "coordinator/process/loop.hpp"

#include <boost/asio/steady_timer.hpp>

#include "common/standard_streams.hpp"

namespace tutti {

Loop::Loop() : boost::asio::io_context(1) {
  const OccupiedStandardStreams occupied;
  // Asio opens its descriptors for the first timer or descriptor.
  const boost::asio::steady_timer first(*this);
}

}  // namespace tutti
