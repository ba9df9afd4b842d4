// The part of the exchange about who gets a slot, and who is woken up.
#include <utility>

#include "common/check.hpp"
#include "coordinator/pool/exchange.hpp"

namespace tutti {

std::optional<SlotId> Exchange::take_slot(Driver& driver) {
  Driver::State& state = of(driver);
  if (!state.offered && (free_slots_.size() <= offers_ || !may_take(driver))) {
    state.wants_slot = true;
    if (state.ticket == 0) state.ticket = ++last_ticket_;
    return std::nullopt;
  }
  if (state.offered)
    --offers_;
  else if (state.leases)
    ++leases_;
  state.offered = false;
  state.wants_slot = false;
  state.ticket = 0;
  const SlotId slot = free_slots_.back();
  free_slots_.pop_back();
  TUTTI_CHECK(holds_[slot] == 0, "a free slot has no hold");
  holds_[slot] = 1;
  return slot;
}

/// One slot is never leased.
bool Exchange::may_take(const Driver& driver) const { return !of(driver).leases || leases_ + 1 < layout_.slots; }

std::optional<SlotId> Exchange::lease(Driver& driver) {
  refuse_inside();
  const MutexLock lock(mutex_);
  if (failure_) throw *failure_;
  if (draining_) throw *draining_;
  of(driver).leases = true;
  return take_slot(driver);
}

void Exchange::end_lease(SlotId slot) {
  const MutexLock lock(mutex_);
  TUTTI_CHECK(leases_ > 0);
  --leases_;
  let_go(slot);
  offer_slots();
}

/// It is leased no more: it is in flight.
std::optional<SlotId> Exchange::take_leased(Stream& stream) {
  if (!stream.leased) return std::nullopt;
  TUTTI_CHECK(leases_ > 0);
  --leases_;
  offer_slots();
  return std::exchange(stream.leased, std::nullopt);
}

std::uint64_t Exchange::changes(const Driver& driver) const {
  const MutexLock lock(mutex_);
  return of(driver).changes;
}

void Exchange::wait_change(Driver& driver, std::uint64_t seen,
                           std::optional<std::chrono::steady_clock::time_point> until) {
  MutexLock lock(mutex_);
  Driver::State& state = of(driver);
  TUTTI_CHECK(seen <= state.changes, "the number is of this driver");
  pass_on(driver);  // it had its turn
  if (state.wants_slot) {
    wanting_.emplace(state.ticket, &driver);
    offer_slots();
  } else {
    state.ticket = 0;  // it has lost its place among those that want one
  }
  bool in_time = true;
  while (state.changes == seen && in_time) {
    if (!until)
      driver.changed_->wait(lock);
    else
      in_time = driver.changed_->wait_until(lock, *until);
    ++wake_ups_;
  }
  wanting_.erase(state.ticket);
  state.wants_slot = false;
}

void Exchange::pause(Driver& driver) {
  const MutexLock lock(mutex_);
  pass_on(driver);
}

void Exchange::announce_change(Driver& driver) {
  const MutexLock lock(mutex_);
  wake(&driver);
}

std::uint64_t Exchange::wake_ups() const {
  const MutexLock lock(mutex_);
  return wake_ups_;
}

std::size_t Exchange::wanting() const {
  const MutexLock lock(mutex_);
  return wanting_.size();
}

/// What to notify of it, best without the lock: a thread that wakes up while this one holds it sleeps again at once,
/// and both pay for a second waking. Null: nobody waits for it.
std::shared_ptr<Condition> Exchange::note_change(Driver* driver) {
  if (driver == nullptr) return nullptr;
  ++of(*driver).changes;
  return driver->changed_;
}

void Exchange::wake(Driver* driver) {
  if (const auto changed = note_change(driver)) changed->notify_one();
}

void Exchange::wake_all() {
  for (Driver* const driver : drivers_) wake(driver);
}

/// Each free slot is kept for one driver that waits for it, until that has had its turn. So a driver that is awake all
/// the time does not take every slot before the others.
void Exchange::offer_slots() {
  for (auto next = wanting_.begin(); free_slots_.size() > offers_ && next != wanting_.end();) {
    Driver* const first = next->second;
    if (!may_take(*first)) {
      ++next;
      continue;
    }
    next = wanting_.erase(next);
    of(*first).offered = true;
    ++offers_;
    if (of(*first).leases) ++leases_;
    wake(first);
  }
}

/// The driver does not take the slot that is kept for it, if one is. It does not lose its place among those that want
/// one.
void Exchange::pass_on(Driver& driver) {
  if (!of(driver).offered) return;
  of(driver).offered = false;
  --offers_;
  if (of(driver).leases) --leases_;
  offer_slots();
}

void Exchange::let_go(SlotId slot) {
  TUTTI_CHECK(holds_[slot] > 0);
  if (--holds_[slot] > 0) return;
  free_slots_.push_back(slot);
  offer_slots();
}

void Exchange::hold(SlotId slot) {
  const MutexLock lock(mutex_);
  TUTTI_CHECK(holds_[slot] > 0);
  ++holds_[slot];
}

void Exchange::release(SlotId slot) {
  const MutexLock lock(mutex_);
  let_go(slot);
}

void Exchange::check_slots() const {
  BySlot<std::uint32_t> free(layout_.slots);
  for (const SlotId slot : free_slots_) ++free[slot];
  for (const SlotId slot : holds_.ids())
    TUTTI_CHECK(free[slot] + (holds_[slot] > 0 ? 1 : 0) == 1, "a slot is free, once, or held");
  TUTTI_CHECK(offers_ <= free_slots_.size(), "a slot that is kept for a driver is free");
  TUTTI_CHECK(leases_ < layout_.slots, "one slot is never leased");
}

}  // namespace tutti
