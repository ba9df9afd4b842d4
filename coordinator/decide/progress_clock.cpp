#include "coordinator/decide/progress_clock.hpp"

namespace tutti {

void ProgressClock::look(std::uint64_t batches, bool working, Time now) {
  if (batches == seen_) return;
  // A counter that goes back was overwritten. That is not a finished batch, but the worker is alive.
  if (working && batches > seen_) {
    const Seconds each = Seconds(now - changed_) / static_cast<double>(batches - seen_);
    fresh_ = std::max(fresh_, each);
  }
  seen_ = batches;
  since_ = changed_ = now;
}

void ProgressClock::stalled(Time now) {
  fresh_ = slowest_;
  since_ = changed_ = now;
}

}  // namespace tutti
