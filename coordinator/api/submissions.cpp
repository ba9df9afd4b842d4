#include "coordinator/api/submissions.hpp"

#include "common/thread.hpp"

namespace tutti {

Submissions::~Submissions() {
  {
    const MutexLock lock(mutex_);
    closing_ = true;
  }
  exchange_.announce_change();
  if (thread_.joinable()) thread_.join();
}

std::future<Predictions> Submissions::add(std::unique_ptr<Submission> submission) {
  std::future<Predictions> future = submission->promise.get_future();
  {
    const MutexLock lock(mutex_);
    if (!thread_.joinable()) thread_ = start_thread("tutti-submit", [this] { run(); });
    added_.push_back(std::move(submission));
  }
  exchange_.announce_change();
  return future;
}

void Submissions::run() {
  std::list<std::unique_ptr<Submission>> active;
  for (;;) {
    const std::uint64_t seen = exchange_.changes();
    {
      const MutexLock lock(mutex_);
      active.splice(active.end(), added_);
      if (closing_ && active.empty()) return;
    }
    bool progressed = false;
    for (auto next = active.begin(); next != active.end();)
      next = advance(**next, progressed) ? std::next(next) : active.erase(next);
    if (!progressed) exchange_.wait_change(seen);
  }
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
  return false;
}

}  // namespace tutti
