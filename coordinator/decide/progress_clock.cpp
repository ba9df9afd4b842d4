#include "coordinator/decide/progress_clock.hpp"

#include "common/check.hpp"

namespace tutti {

void ProgressClock::reset() {
  seen_ = 0;
  watched_.reset();
}

void ProgressClock::begin(Time now) {
  changed_ = now;
  progressed(now);
}

void ProgressClock::progressed(Time now) {
  since_ = now;
  excused_ = Seconds(0);
  watched_.reset();
}

void ProgressClock::look(std::uint64_t batches, bool working, Time now) {
  if (batches == seen_) return;
  TUTTI_CHECK(changed_ <= since_ && since_ <= now, "the time of a batch is not negative");
  // A counter that goes back was overwritten. That is not a finished batch, but the worker is alive.
  if (working && batches > seen_) {
    // Without what is excused, or one slow-down would allow for a very long hang after it.
    const Seconds each = (Seconds(now - changed_) - excused_) / static_cast<double>(batches - seen_);
    fresh_ = std::max(fresh_, each);
  }
  seen_ = batches;
  begin(now);
}

void ProgressClock::watch(const ProcessActivity& activity, Time now) {
  if (watched_) {
    TUTTI_CHECK(watched_at_ <= now, "the time between two looks is not negative");
    const Seconds passed(now - watched_at_);
    const bool wanted_to_work = activity.runnable > 0 || activity.major_faults > watched_->major_faults;
    // The share of one thread: which of them the batch waits for is unknown.
    const Seconds worked((activity.cpu_seconds - watched_->cpu_seconds) / std::max(activity.runnable, 1U));
    if (wanted_to_work) excused_ += passed - std::clamp(worked, Seconds(0), passed);
  }
  watched_ = activity;
  watched_at_ = now;
}

void ProgressClock::stalled(Time now) {
  fresh_ = slowest_;
  begin(now);
}

}  // namespace tutti
