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

Submissions::~Submissions() {
  close();
  if (thread_.joinable()) thread_.join();
}

void Submissions::close() {
  {
    const MutexLock lock(mutex_);
    closing_ = true;
    room_.notify_all();
  }
  exchange_.announce_change();
}

std::future<Predictions> Submissions::add(std::unique_ptr<Submission> submission) {
  std::future<Predictions> future = submission->promise.get_future();
  enter(std::move(submission));
  return future;
}

void Submissions::enter(std::unique_ptr<Submission> submission) {
  // Before the lock, which the callback takes: it runs at once if the stop was requested already.
  const std::stop_callback wake(submission->options.stop, [this] {
    const MutexLock lock(mutex_);
    room_.notify_all();
  });
  {
    MutexLock lock(mutex_);
    wait_for_room(submission->options, lock);
    if (!thread_.joinable()) thread_ = start_thread("tutti-submit", [this] { run(); });
    ++unsettled_;
    added_.push_back(std::move(submission));
  }
  exchange_.announce_change();
}

void Submissions::wait_for_room(const SubmitOptions& options, MutexLock& lock) {
  // The thread that makes room cannot wait for it.
  const bool waits = options.when_full == WhenFull::wait && std::this_thread::get_id() != thread_.get_id();
  for (;;) {
    if (closing_) throw Error(ErrorKind::interrupted, "the ensemble was closed before this call finished");
    if (most_ == 0 || unsettled_ < most_) return;
    if (!waits)
      throw QueueFull(ErrorKind::failed, fmt::format("{} are waiting already", counted(most_, "submission")), {},
                      "try again later, let submit() wait (WhenFull::wait), or raise Options::most_submissions");
    if (const auto why = unwanted(options)) throw *why;
    if (options.deadline)
      room_.wait_until(lock, *options.deadline);
    else
      room_.wait(lock);
  }
}

void Submissions::run() {
  List active;
  for (;;) {
    const std::uint64_t seen = exchange_.changes();
    take_added(active);
    {
      const MutexLock lock(mutex_);
      if (closing_ && active.empty() && added_.empty()) return;
    }
    if (advance_all(active)) continue;
    std::optional<std::chrono::steady_clock::time_point> until;
    for (const Active& one : active)
      if (const auto& deadline = one.submission->options.deadline)
        until = std::min(until.value_or(*deadline), *deadline);
    exchange_.wait_change(seen, until);
  }
}

/// In the order of their priorities, and behind those that are there.
void Submissions::take_added(List& active) {
  std::list<std::unique_ptr<Submission>> added;
  {
    const MutexLock lock(mutex_);
    added.swap(added_);
  }
  for (std::unique_ptr<Submission>& submission : added) {
    const auto lower = std::ranges::find_if(
        active, [&](const Active& one) { return one.submission->options.priority < submission->options.priority; });
    active.emplace(lower, std::move(submission), [this] { exchange_.announce_change(); });
  }
}

/// Gives up what is not wanted any more; then one step of each, those of the highest priority first; those of a lower
/// one only if no higher one could do anything.
bool Submissions::advance_all(List& active) {
  bool progressed = std::erase_if(active, [this](const Active& one) { return give_up(*one.submission); }) > 0;
  for (auto next = active.begin(); next != active.end();) {
    const int priority = next->submission->options.priority;
    next = advance(*next->submission, progressed) ? std::next(next) : active.erase(next);
    if (progressed && next != active.end() && next->submission->options.priority < priority) return true;
  }
  return progressed;
}

// False once the future is settled.
bool Submissions::advance(Submission& submission, bool& progressed) {
  try {
    const Exchange::Step step = exchange_.step(submission.stream());
    progressed = progressed || step != Exchange::Step::waiting;
    if (step != Exchange::Step::done) return true;
    submission.promise.set_value(submission.take());
  } catch (...) {
    progressed = true;
    submission.promise.set_exception(std::current_exception());
  }
  settle(submission);
  return false;
}

/// True if its future is settled by that.
bool Submissions::give_up(Submission& submission) {
  const auto why = unwanted(submission.options);
  if (!why) return false;
  exchange_.cancel(*submission.stream());
  submission.promise.set_exception(std::make_exception_ptr(*why));
  settle(submission);
  return true;
}

/// The promise is kept.
void Submissions::settle(Submission& submission) {
  {
    const MutexLock lock(mutex_);
    --unsettled_;
    room_.notify_all();
  }
  if (!submission.done) return;
  try {
    submission.done(submission.promise.get_future());
  } catch (const std::exception& error) {
    log::error("a callback of submit() threw: {}", error.what());
  } catch (...) {
    log::error("a callback of submit() threw");
  }
}

}  // namespace tutti
