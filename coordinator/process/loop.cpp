#include "coordinator/process/loop.hpp"

#include <boost/asio/steady_timer.hpp>

#include <tutti/error.hpp>

#include "common/standard_streams.hpp"
#include "common/system_limits.hpp"

namespace tutti {

Loop::Loop() : boost::asio::io_context(1) {
  const OccupiedStandardStreams occupied;
  try {
    // Asio opens its descriptors for the first timer or descriptor.
    const boost::asio::steady_timer first(*this);
  } catch (const boost::system::system_error& error) {
    throw Error(ErrorKind::failed, "could not create the coordinator's event loop", error.code().message(),
                refusal_hint(error.code().value()));
  }
}

}  // namespace tutti
