#include "coordinator/pool/exchange.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "common/check.hpp"
#include "common/kill_point.hpp"

namespace tutti {

Exchange::Exchange(std::byte* arena, const ArenaLayout& layout, Submit submit, TraceRecorder* trace, GoOn go_on,
                   Drop drop)
    : arena_(arena),
      layout_(layout),
      submit_(std::move(submit)),
      trace_(trace),
      go_on_(std::move(go_on)),
      drop_(std::move(drop)),
      holds_(layout.slots) {
  // Taken from the back: slot 0 first, and later the slot used last, while it is still in the cache.
  for (std::uint32_t slot = layout.slots; slot > 0; --slot) free_slots_.push_back(SlotId(slot - 1));
}

namespace {

/// Throws the failure to the driver of this work, with the name of the image that it is about.
[[noreturn]] void raise(const Error& failure, const Work& work,
                        const std::optional<std::pair<std::uint64_t, std::uint64_t>>& blamed) {
  const std::string name = blamed ? work.image_name(blamed->first, blamed->second) : std::string{};
  if (name.empty()) throw failure;
  throw Error(failure.kind(), failure.message(), fmt::format("{}: {}", failure.detail(), name), failure.hint());
}

// The exchange whose work this thread is doing.
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

Driver::Driver(Exchange& exchange) : exchange_(exchange) { exchange_.enter(*this); }
Driver::~Driver() { exchange_.leave(*this); }

void Exchange::enter(Driver& driver) {
  const MutexLock lock(mutex_);
  drivers_.push_back(&driver);
}

void Exchange::leave(Driver& driver) {
  const MutexLock lock(mutex_);
  pass_on(driver);
  std::erase(drivers_, &driver);
}

Exchange::Step Exchange::step(const std::shared_ptr<Stream>& stream, Driver& driver) {
  try {
    MutexLock lock(mutex_);
    TUTTI_CHECK(!of(*stream).cancelled, "a stream that was cancelled takes no more steps");
    of(*stream).driver = &driver;
    if (failure_ || of(*stream).failure) {
      const Error failure = of(*stream).failure.value_or(failure_.value_or(Error(ErrorKind::failed, "")));
      const auto blamed = of(*stream).blamed;
      pass_on(driver);
      lock.unlock();
      raise(failure, stream->work, blamed);
    }
    // First, because members may have nothing to do until it is done.
    if (auto& to_judge = of(*stream).to_judge; !to_judge.empty()) {
      const auto answered = to_judge.extract(to_judge.begin());
      pass_on(driver);  // the work may take long
      lock.unlock();
      do_judge(*stream, answered.key(), answered.mapped());
      return Step::progressed;
    }
    if (const auto finished = next_finished(*stream)) {
      pass_on(driver);
      lock.unlock();
      deliver(*stream, *finished);
      return Step::progressed;
    }
    TUTTI_CHECK(of(*stream).delivered <= of(*stream).filled);
    const bool in_flight = of(*stream).delivered < of(*stream).filled;
    if (!stream->work.has_more()) {
      if (!in_flight) of(*stream).driver = nullptr;
      return in_flight ? Step::waiting : Step::done;
    }
    if (draining_ && !stream->repeats) {
      if (in_flight) return Step::waiting;
      throw *draining_;
    }
    const auto leased = take_leased(*stream);
    const auto slot = leased ? leased : take_slot(driver);
    if (!slot) return Step::waiting;
    lock.unlock();
    fill(stream, *slot, leased ? 0 : layout_.sample_bytes());
    return Step::progressed;
  } catch (...) {
    cancel(*stream);
    throw;
  }
}

/// The segment that the stream's driver delivers next, if it is finished.
std::optional<FinishedSegment> Exchange::next_finished(Stream& stream) {
  Progress& progress = of(stream);
  const auto next = progress.finished.find(progress.delivered);
  if (next == progress.finished.end()) return std::nullopt;
  std::optional<FinishedSegment> finished(std::move(next->second));
  progress.finished.erase(next);
  ++progress.delivered;
  return finished;
}

void Exchange::do_judge(Stream& stream, SegmentId segment, const FinishedSegment& answered) {
  struct Answer {  // even if the work throws: the segment ends then, and nothing of it is delivered
    const GoOn& go_on;
    SegmentId segment;
    std::optional<NextRound> next{};
    ~Answer() { go_on(segment, next); }
  } answer{go_on_, segment};
  const Inside inside(*this);
  const auto begin = std::chrono::steady_clock::now();
  answer.next = stream.work.judge(answered);
  if (trace_ != nullptr)
    trace_->did(TraceRecorder::Deed::judge, answered.segment.slot, answered.segment.images, begin,
                std::chrono::steady_clock::now());
  kill_point("coordinator.segment_judged");
}

void Exchange::deliver(Stream& stream, const FinishedSegment& finished) {
  struct Releaser {  // frees the slot even if the work throws
    Exchange& exchange;
    SlotId slot;
    ~Releaser() { exchange.release(slot); }
  } releaser{*this, finished.segment.slot};
  const Inside inside(*this);
  stream.work.deliver(finished);
  kill_point("coordinator.segment_delivered");
}

void Exchange::fill(const std::shared_ptr<Stream>& stream, SlotId slot, std::uint64_t copied_per_sample) {
  std::uint32_t images = 0;
  try {
    images = fill_slot(stream->work, slot);
  } catch (...) {
    release(slot);
    throw;
  }
  TUTTI_CHECK(images > 0);
  TUTTI_CHECK(images <= layout_.images);
  std::uint64_t index = 0;
  {
    const MutexLock lock(mutex_);
    input_bytes_copied_ += images * copied_per_sample;
    index = of(*stream).filled++;
  }
  submit_({stream, index, slot, images, stream->work.last()});
}

std::uint32_t Exchange::fill_slot(Work& work, SlotId slot) {
  const Inside inside(*this);
  if (trace_ == nullptr) return work.fill(arena_, layout_, slot);
  const auto begin = std::chrono::steady_clock::now();
  const std::uint32_t images = work.fill(arena_, layout_, slot);
  trace_->did(TraceRecorder::Deed::fill, slot, images, begin, std::chrono::steady_clock::now());
  return images;
}

/// It would wait for slots that only the surrounding call can free.
void Exchange::refuse_inside() const {
  if (t_inside == this)
    throw Error(ErrorKind::usage, "an ensemble cannot be called from inside its own source or sink", {},
                "collect the results and call it after run() has returned, or use a second ensemble");
}

void Exchange::drive(const std::shared_ptr<Stream>& stream) {
  refuse_inside();
  Driver driver(*this);
  for (;;) {
    const std::uint64_t seen = changes(driver);
    const Step now = step(stream, driver);
    if (now == Step::done) return;
    if (now == Step::waiting) wait_change(driver, seen);
  }
}

void Exchange::cancel(Stream& stream) {
  const MutexLock lock(mutex_);
  Progress& progress = of(stream);
  const bool in_flight = progress.delivered < progress.filled && !progress.cancelled;
  progress.cancelled = true;
  progress.driver = nullptr;
  if (const auto slot = take_leased(stream)) let_go(*slot);
  if (in_flight && drop_) drop_(&stream);
  for (const auto& [index, finished] : progress.finished) let_go(finished.segment.slot);
  progress.finished.clear();
  for (const auto& [segment, answered] : progress.to_judge) go_on_(segment, std::nullopt);
  progress.to_judge.clear();
  check_slots();
}

void Exchange::judge(Stream& stream, SegmentId segment, FinishedSegment answered) {
  MutexLock lock(mutex_);
  Progress& progress = of(stream);
  TUTTI_CHECK(holds_[answered.segment.slot] > 0, "a slot is taken until its segment is delivered");
  if (progress.cancelled)
    go_on_(segment, std::nullopt);
  else
    TUTTI_CHECK(progress.to_judge.emplace(segment, std::move(answered)).second, "a segment is judged once at a time");
  const auto changed = note_change(progress.driver);
  lock.unlock();
  if (changed) changed->notify_one();
}

void Exchange::finish(Stream& stream, std::uint64_t index, FinishedSegment finished) {
  MutexLock lock(mutex_);
  Progress& progress = of(stream);
  TUTTI_CHECK(index < progress.filled, "only what was filled is finished");
  TUTTI_CHECK(index >= progress.delivered, "what was delivered is not finished again");
  TUTTI_CHECK(holds_[finished.segment.slot] > 0, "a slot is taken until its segment is delivered");
  if (progress.cancelled)
    let_go(finished.segment.slot);
  else
    TUTTI_CHECK(progress.finished.emplace(index, std::move(finished)).second);
  const auto changed = note_change(progress.driver);
  lock.unlock();
  if (changed) changed->notify_one();
}

void Exchange::fail_call(Stream& stream, const Error& error, std::uint64_t segment,
                         std::optional<std::uint64_t> image) {
  const MutexLock lock(mutex_);
  Progress& progress = of(stream);
  if (progress.failure || progress.cancelled) return;
  progress.failure = error;
  if (image) progress.blamed = {segment, *image};
  wake(progress.driver);
}

void Exchange::fail(const Error& error) {
  const MutexLock lock(mutex_);
  if (!failure_) failure_ = error;
  wake_all();
}

void Exchange::drain(const Error& error) {
  const MutexLock lock(mutex_);
  if (!draining_) draining_ = error;
  wake_all();
}

std::optional<Error> Exchange::failure() const {
  const MutexLock lock(mutex_);
  return failure_;
}

bool Exchange::draining() const {
  const MutexLock lock(mutex_);
  return draining_.has_value();
}

std::uint64_t Exchange::input_bytes_copied() const {
  const MutexLock lock(mutex_);
  return input_bytes_copied_;
}

void Exchange::check_invariants() const {
  const MutexLock lock(mutex_);
  check_slots();
}

}  // namespace tutti
