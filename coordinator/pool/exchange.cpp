#include "coordinator/pool/exchange.hpp"

#include <fmt/format.h>

#include <cassert>
#include <chrono>
#include <utility>

#include "common/fault_point.hpp"

namespace tutti {

Exchange::Exchange(std::byte* arena, const ArenaLayout& layout, Submit submit, TraceRecorder* trace)
    : arena_(arena), layout_(layout), submit_(std::move(submit)), trace_(trace), holds_(layout.slots) {
  // Taken from the back: slot 0 first, and the one used last again first, while it is still in the cache.
  for (std::uint32_t slot = layout.slots; slot > 0; --slot) free_slots_.push_back(slot - 1);
}

void Exchange::check(const Stream& stream, std::unique_lock<std::mutex>& lock) const {
  if (!failure_) return;
  const Error failure = *failure_;
  const auto blamed = stream.blamed;
  lock.unlock();
  const std::string name = blamed ? stream.work.image_name(blamed->first, blamed->second) : std::string{};
  if (name.empty()) throw failure;
  throw Error(failure.kind(), failure.message(), fmt::format("{}: {}", failure.detail(), name), failure.hint());
}

namespace {

// The exchange whose work this thread is in the middle of.
thread_local const Exchange* t_inside = nullptr;

class Inside {
 public:
  explicit Inside(const Exchange& exchange) : outer_(std::exchange(t_inside, &exchange)) {}
  ~Inside() { t_inside = outer_; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  const Exchange* outer_;
};

}  // namespace

Exchange::Step Exchange::step(const std::shared_ptr<Stream>& stream) {
  try {
    std::unique_lock lock(mutex_);
    check(*stream, lock);
    if (const auto next = stream->finished.find(stream->delivered); next != stream->finished.end()) {
      const FinishedSegment finished = std::move(next->second);
      stream->finished.erase(next);
      ++stream->delivered;
      lock.unlock();
      struct Releaser {  // the slot is free again also where the work throws
        Exchange& exchange;
        std::uint32_t slot;
        ~Releaser() { exchange.release(slot); }
      } releaser{*this, finished.segment.slot};
      const Inside inside(*this);
      stream->work.deliver(finished);
      fault_point("coordinator.segment_delivered");
      return Step::progressed;
    }
    const bool in_flight = stream->delivered < stream->filled;
    if (!stream->work.has_more()) return in_flight ? Step::waiting : Step::done;
    if (draining_ && !in_flight) throw *draining_;
    if (draining_) return Step::waiting;
    if (free_slots_.empty()) return Step::waiting;
    const std::uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    holds_[slot] = 1;
    lock.unlock();
    std::uint32_t images = 0;
    try {
      images = fill(stream->work, slot);
    } catch (...) {
      release(slot);
      throw;
    }
    assert(images > 0 && images <= layout_.images);
    lock.lock();
    input_bytes_copied_ += images * layout_.image_bytes();
    const std::uint64_t index = stream->filled++;
    lock.unlock();
    submit_({stream, index, slot, images, stream->work.last()});
    return Step::progressed;
  } catch (...) {
    cancel(*stream);
    throw;
  }
}

std::uint32_t Exchange::fill(Work& work, std::uint32_t slot) {
  const Inside inside(*this);
  if (trace_ == nullptr) return work.fill(arena_, layout_, slot);
  const auto begin = std::chrono::steady_clock::now();
  const std::uint32_t images = work.fill(arena_, layout_, slot);
  trace_->did(TraceRecorder::Deed::fill, slot, images, begin, std::chrono::steady_clock::now());
  return images;
}

void Exchange::drive(const std::shared_ptr<Stream>& stream) {
  // It would wait for slots that only the call around it can free.
  if (t_inside == this)
    throw Error(ErrorKind::usage, "an ensemble cannot be asked from inside its own source or sink", {},
                "collect the results and ask when run() has returned, or use a second ensemble");
  for (;;) {
    const std::uint64_t seen = changes();
    const Step now = step(stream);
    if (now == Step::done) return;
    if (now == Step::waiting) wait_change(seen);
  }
}

void Exchange::cancel(Stream& stream) {
  const std::lock_guard lock(mutex_);
  stream.cancelled = true;
  for (const auto& [index, finished] : stream.finished) let_go(finished.segment.slot);
  stream.finished.clear();
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

void Exchange::let_go(std::uint32_t slot) {
  assert(holds_[slot] > 0);
  if (--holds_[slot] == 0) free_slots_.push_back(slot);
}

void Exchange::hold(std::uint32_t slot) {
  const std::lock_guard lock(mutex_);
  assert(holds_[slot] > 0);
  ++holds_[slot];
}

void Exchange::release(std::uint32_t slot) {
  const std::lock_guard lock(mutex_);
  let_go(slot);
  ++changes_;
  changed_.notify_all();
}

void Exchange::finish(Stream& stream, std::uint64_t index, FinishedSegment finished) {
  const std::lock_guard lock(mutex_);
  if (stream.cancelled)
    let_go(finished.segment.slot);
  else
    stream.finished.emplace(index, std::move(finished));
  ++changes_;
  changed_.notify_all();
}

void Exchange::blame(Stream& stream, std::uint64_t segment, std::uint64_t image) {
  const std::lock_guard lock(mutex_);
  if (!failure_) stream.blamed = {segment, image};
}

void Exchange::fail(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = error;
  ++changes_;
  changed_.notify_all();
}

void Exchange::drain(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (!draining_) draining_ = error;
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
