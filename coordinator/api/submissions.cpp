#include "coordinator/api/submissions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/counted.hpp"
#include "common/log.hpp"
#include "common/thread.hpp"

namespace tutti {

namespace {

/// Why a prediction is not wanted any more; nothing: it is.
std::optional<Error> unwanted(const SubmitOptions& options) {
  if (options.stop.stop_requested())
    return Error(ErrorKind::interrupted, "the prediction was given up: its caller requested a stop");
  if (options.deadline && std::chrono::steady_clock::now() >= *options.deadline)
    return Error(ErrorKind::interrupted, "the prediction was not ready at its deadline");
  return std::nullopt;
}

}  // namespace

Submissions::Submissions(Exchange& exchange, std::size_t most, std::optional<CoalesceSetting> coalesce)
    : exchange_(exchange), most_(most), coalesce_(std::move(coalesce)), driver_(exchange) {
  if (coalesce_) coalescing_.emplace(coalesce_->run.most_images, coalesce_->max_delay);
}

Submissions::~Submissions() {
  close();
  if (thread_.joinable()) thread_.join();
}

void Submissions::close() {
  {
    const MutexLock lock(mutex_);
    closing_ = true;
    for (Waiting* const place : waiting_) place->changed.notify_one();
  }
  exchange_.announce_change(driver_);
}

std::future<Predictions> Submissions::add(std::unique_ptr<Submission> submission) {
  std::future<Predictions> future = submission->promise.get_future();
  enter(std::move(submission));
  return future;
}

void Submissions::enter(std::unique_ptr<Submission> submission) {
  if (!coalesce_) submission->stream();
  Waiting place{submission->options.priority};
  // Before the lock, which the callback takes: it runs at once if the stop was requested already.
  const std::stop_callback wake(submission->options.stop, [this, &place] {
    const MutexLock lock(mutex_);
    place.changed.notify_one();
  });
  bool first = false;
  {
    MutexLock lock(mutex_);
    wait_for_room(submission->options, place, lock);
    try {
      if (!thread_.joinable()) thread_ = start_thread("tutti-submit", [this] { run(); });
      first = added_.empty();
      added_.push_back(std::move(submission));
    } catch (...) {
      make_room();
      throw;
    }
  }
  if (first) exchange_.announce_change(driver_);  // the thread takes those behind it at the same time
}

/// Counts the caller among the unsettled, or throws.
void Submissions::wait_for_room(const SubmitOptions& options, Waiting& place, MutexLock& lock) {
  const Error closed(ErrorKind::interrupted, "the ensemble was closed before this call finished");
  if (closing_) throw closed;
  if (most_ == 0 || (unsettled_ < most_ && waiting_.empty())) {
    ++unsettled_;
    return;
  }
  // The thread that makes room cannot wait for it.
  if (options.when_full != WhenFull::wait || std::this_thread::get_id() == thread_.get_id())
    throw QueueFull(ErrorKind::failed, fmt::format("{} are waiting already", counted(most_, "submission")), {},
                    "try again later, let submit() wait (WhenFull::wait), or raise Options::most_submissions");
  waiting_.insert(
      std::ranges::find_if(waiting_, [&](const Waiting* other) { return other->priority < place.priority; }), &place);
  while (!place.admitted) {
    const auto why = closing_ ? std::optional(closed) : unwanted(options);
    if (why) {
      waiting_.remove(&place);
      throw *why;
    }
    if (options.deadline)
      place.changed.wait_until(lock, *options.deadline);
    else
      place.changed.wait(lock);
    ++wake_ups_;
  }
  if (!closing_) return;
  --unsettled_;  // the thread may have ended since
  throw closed;
}

/// Somebody has left: the next that waits is admitted, and no other is woken up.
void Submissions::make_room() {
  --unsettled_;
  if (waiting_.empty()) return;
  Waiting* const next = waiting_.front();
  waiting_.pop_front();
  next->admitted = true;
  ++unsettled_;
  next->changed.notify_one();
}

bool Submissions::is_own_thread() const {
  const MutexLock lock(mutex_);
  return std::this_thread::get_id() == thread_.get_id();
}

std::uint64_t Submissions::wake_ups() const {
  const MutexLock lock(mutex_);
  return wake_ups_;
}

std::size_t Submissions::waiting() const {
  const MutexLock lock(mutex_);
  return waiting_.size();
}

void Submissions::run() {
  for (;;) {
    const std::uint64_t seen = exchange_.changes(driver_);
    take_added();
    {
      const MutexLock lock(mutex_);
      if (closing_ && active_.empty() && added_.empty()) return;
    }
    if (!advance_all()) exchange_.wait_change(driver_, seen, next_wake());
  }
}

/// When something is to be done although nothing happens.
std::optional<std::chrono::steady_clock::time_point> Submissions::next_wake() const {
  std::optional<std::chrono::steady_clock::time_point> until;
  if (may_close()) until = coalescing_->next_wake();
  for (const Active& one : active_)
    if (const auto& deadline = one.submission->options.deadline) until = std::min(until.value_or(*deadline), *deadline);
  return until;
}

void Submissions::take_added() {
  std::list<std::unique_ptr<Submission>> added;
  {
    const MutexLock lock(mutex_);
    added.swap(added_);
  }
  for (std::unique_ptr<Submission>& submission : added) {
    try {
      take(submission);
    } catch (...) {
      finish(*submission, std::current_exception());
    }
  }
}

/// Leaves the submission where it is if it throws.
void Submissions::take(std::unique_ptr<Submission>& submission) {
  const std::uint64_t rows = coalescing_ ? submission->rows().source.count() : 0;
  Active& call =
      active_.emplace_back(std::move(submission), ++last_number_, [this] { exchange_.announce_change(driver_); });
  call.at = std::prev(active_.end());
  if (!coalescing_ || call.submission->leased || !coalescing_->takes(rows)) return start({&call});
  try {
    gathering_.emplace(call.number, &call);
    coalescing_->add(call.number, static_cast<std::uint32_t>(rows), call.priority(), std::chrono::steady_clock::now());
  } catch (...) {
    gathering_.erase(call.number);
    submission = std::move(call.submission);
    active_.pop_back();
    throw;
  }
}

/// What is thrown ends these calls. `repeats`: see Stream.
void Submissions::start(std::vector<Active*> calls, bool repeats) {
  try {
    insert_run(calls, repeats);
  } catch (...) {
    for (Active* const call : calls) {
      finish(*call->submission, std::current_exception());
      active_.erase(call->at);
    }
  }
}

/// In the order of their priorities, and behind those that are there.
void Submissions::insert_run(const std::vector<Active*>& calls, bool repeats) {
  Run added{{}, {}, calls.front()->priority(), calls};
  if (coalescing_) {
    std::vector<CallRows> rows;
    const std::uint64_t rows_of_call = calls.front()->submission->rows().source.count();
    for (const Active* const call : calls) rows.push_back(call->submission->rows());
    added.work = std::make_unique<CoalescedRun>(std::move(rows), coalesce_->run);
    Terms terms = coalesce_->terms;
    terms.shared = calls.size() > 1;
    if (!terms.shared) terms.extent = {coalesce_->run.most_images, rows_of_call};
    const auto& lineup = coalesce_->run.lineup;
    added.stream = std::make_shared<Stream>(*added.work, TaskKind::predict, lineup->asked, std::move(terms), lineup);
  } else {
    added.stream = calls.front()->submission->stream();
  }
  added.stream->repeats = repeats;
  const auto lower = std::ranges::find_if(runs_, [&](const Run& run) { return run.priority < added.priority; });
  Run& run = *runs_.insert(lower, std::move(added));
  if (const auto& leased = calls.front()->submission->leased) run.stream->leased = leased->pass_on();
  for (std::size_t place = 0; place < run.calls.size(); ++place) {
    run.calls[place]->run = &run;
    run.calls[place]->place = place;
  }
}

/// One segment of a priority at a time waits for a slot: until it has one, the calls that come gather for the next.
/// Those of a higher priority do not wait for it.
bool Submissions::may_close() const {
  const auto priority = coalescing_ ? coalescing_->priority() : std::nullopt;
  if (!priority) return false;
  return std::ranges::none_of(runs_, [&](const Run& run) { return !run.work->filled() && run.priority >= *priority; });
}

bool Submissions::close_segments() {
  if (!may_close()) return false;
  std::vector<Active*> calls;
  for (const Coalescing::Call number : coalescing_->close(std::chrono::steady_clock::now(), runs_.empty()))
    calls.push_back(gathering_.extract(number).mapped());
  if (calls.empty()) return false;
  start(std::move(calls));
  return true;
}

/// Gives up what is not wanted any more; then one step of each, those of the highest priority first; those of a lower
/// one only if no higher one could do anything.
bool Submissions::advance_all() {
  bool progressed = std::erase_if(active_, [this](Active& call) { return give_up(call); }) > 0;
  progressed = close_segments() || progressed;
  for (auto next = runs_.begin(); next != runs_.end();) {
    const int priority = next->priority;
    next = advance(*next, progressed) ? std::next(next) : runs_.erase(next);
    if (progressed && next != runs_.end() && next->priority < priority) return true;
  }
  return progressed;
}

// False once it is over: its calls are settled, or are in other runs.
bool Submissions::advance(Run& run, bool& progressed) {
  std::exception_ptr error;
  try {
    const Exchange::Step step = exchange_.step(run.stream, driver_);
    progressed = progressed || step != Exchange::Step::waiting;
    if (step != Exchange::Step::done) return true;
  } catch (...) {
    progressed = true;
    error = std::current_exception();
  }
  const bool one_by_one = run.work && run.work->calls() > 1 && (error || run.work->one_by_one());
  for (Active* const call : run.calls) {
    const std::exception_ptr own = run.work ? run.work->error_of(call->place) : nullptr;
    if (one_by_one && !own) {
      start({call}, run.work->filled());
      continue;
    }
    finish(*call->submission, own ? own : error);
    active_.erase(call->at);
  }
  return false;
}

/// Keeps the promise: the predictions, or the error.
void Submissions::finish(Submission& submission, std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
    submission.promise.set_value(submission.take());
  } catch (...) {
    submission.promise.set_exception(std::current_exception());
  }
  settle(submission);
}

/// True if its future is settled by that.
bool Submissions::give_up(Active& call) {
  const auto why = unwanted(call.submission->options);
  if (!why) return false;
  if (call.run == nullptr) {
    coalescing_->remove(call.number);
    gathering_.erase(call.number);
  } else {
    std::erase(call.run->calls, &call);
    if (call.run->work) call.run->work->leave(call.place);
    if (call.run->calls.empty()) {
      exchange_.cancel(*call.run->stream);
      runs_.remove_if([&](const Run& run) { return &run == call.run; });
    }
  }
  finish(*call.submission, std::make_exception_ptr(*why));
  return true;
}

/// The promise is kept.
void Submissions::settle(Submission& submission) {
  {
    const MutexLock lock(mutex_);
    make_room();
  }
  if (!submission.done) return;
  exchange_.pause(driver_);
  try {
    submission.done(submission.promise.get_future());
  } catch (const std::exception& error) {
    log::error("a callback of submit() threw: {}", error.what());
  } catch (...) {
    log::error("a callback of submit() threw");
  }
}

}  // namespace tutti
