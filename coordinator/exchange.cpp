#include "coordinator/exchange.hpp"

#include <cassert>

namespace tutti {

Exchange::Exchange(std::byte* arena, const ArenaLayout& layout, Submit submit)
    : arena_(arena), layout_(layout), submit_(std::move(submit)) {
  // Taken from the back: slot 0 first, and the one used last again first, while it is still in the cache.
  for (std::uint32_t slot = layout.slots; slot > 0; --slot) free_slots_.push_back(slot - 1);
}

void Exchange::check() const {
  if (failure_) throw *failure_;
}

Exchange::Step Exchange::step(const std::shared_ptr<Job>& job) {
  try {
    std::unique_lock lock(mutex_);
    check();
    if (const auto next = job->finished.find(job->delivered); next != job->finished.end()) {
      const FinishedSegment finished = std::move(next->second);
      job->finished.erase(next);
      ++job->delivered;
      lock.unlock();
      struct Releaser {  // the slot is free again also where the work throws
        Exchange& exchange;
        std::uint32_t slot;
        ~Releaser() { exchange.release(slot); }
      } releaser{*this, finished.segment.slot};
      job->work.deliver(finished);
      return Step::progressed;
    }
    if (!job->work.has_more()) return job->delivered == job->filled ? Step::done : Step::waiting;
    if (free_slots_.empty()) return Step::waiting;
    const std::uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    lock.unlock();
    std::uint32_t images = 0;
    try {
      images = job->work.fill(arena_, layout_, slot);
    } catch (...) {
      release(slot);
      throw;
    }
    assert(images > 0 && images <= layout_.images);
    lock.lock();
    input_bytes_copied_ += images * layout_.shape.elements() * sizeof(float);
    const std::uint64_t index = job->filled++;
    lock.unlock();
    submit_(job, index, slot, images);
    return Step::progressed;
  } catch (...) {
    cancel(*job);
    throw;
  }
}

void Exchange::drive(const std::shared_ptr<Job>& job) {
  for (;;) {
    const std::uint64_t seen = changes();
    const Step now = step(job);
    if (now == Step::done) return;
    if (now == Step::waiting) wait_change(seen);
  }
}

void Exchange::cancel(Job& job) {
  const std::lock_guard lock(mutex_);
  job.cancelled = true;
  for (const auto& [index, finished] : job.finished) free_slots_.push_back(finished.segment.slot);
  job.finished.clear();
  ++changes_;
  changed_.notify_all();
}

std::uint64_t Exchange::changes() const {
  const std::lock_guard lock(mutex_);
  return changes_;
}

void Exchange::wait_change(std::uint64_t seen) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return changes_ != seen; });
}

void Exchange::announce_change() {
  const std::lock_guard lock(mutex_);
  ++changes_;
  changed_.notify_all();
}

void Exchange::release(std::uint32_t slot) {
  const std::lock_guard lock(mutex_);
  free_slots_.push_back(slot);
  ++changes_;
  changed_.notify_all();
}

void Exchange::finish(Job& job, std::uint64_t index, FinishedSegment finished) {
  const std::lock_guard lock(mutex_);
  if (job.cancelled)
    free_slots_.push_back(finished.segment.slot);
  else
    job.finished.emplace(index, std::move(finished));
  ++changes_;
  changed_.notify_all();
}

void Exchange::fail(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = error;
  ++changes_;
  changed_.notify_all();
}

std::optional<Error> Exchange::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

std::uint64_t Exchange::input_bytes_copied() const {
  const std::lock_guard lock(mutex_);
  return input_bytes_copied_;
}

}  // namespace tutti
