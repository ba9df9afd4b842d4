// The thread behind Ensemble::submit(): drives any number of predictions at once and settles their futures.
#pragma once

#include <future>
#include <list>
#include <memory>
#include <optional>
#include <thread>

#include <tutti/predictions.hpp>
#include <tutti/submit.hpp>

#include "common/mutex.hpp"
#include "coordinator/pool/exchange.hpp"

namespace tutti {

/// A prediction in progress, with everything that must live as long as it.
class Submission {
 public:
  virtual ~Submission() = default;
  virtual const std::shared_ptr<Stream>& stream() const = 0;
  virtual Predictions take() = 0;

  SubmitOptions options;
  SubmitDone done;  ///< empty: somebody has the future
  std::promise<Predictions> promise;
};

/// Thread-safe. The thread starts with the first submission.
class Submissions {
 public:
  /// At most `most` are not settled at a time; 0: any number.
  explicit Submissions(Exchange& exchange, std::size_t most = 0) : exchange_(exchange), most_(most) {}
  /// Every future is settled before this returns; the exchange must have failed before, so that nothing waits.
  ~Submissions();

  /// Waits for room or throws QueueFull, as the submission's options say; a callback does not wait. Throws
  /// Error(interrupted) if its deadline passes or a stop is requested meanwhile, and once close() was called.
  std::future<Predictions> add(std::unique_ptr<Submission> submission);
  /// The same without a future, for a submission with a callback.
  void enter(std::unique_ptr<Submission> submission);
  /// Takes no further submissions, and ends every add() that waits. The exchange has failed before, so that those that
  /// are there are settled.
  void close();

 private:
  /// In work, with what wakes the thread up when it is to be given up.
  struct Active {
    Active(std::unique_ptr<Submission> added, std::function<void()> wake_up)
        : submission(std::move(added)), wake(submission->options.stop, std::move(wake_up)) {}
    std::unique_ptr<Submission> submission;
    std::stop_callback<std::function<void()>> wake;
  };
  using List = std::list<Active>;

  void wait_for_room(const SubmitOptions& options, MutexLock& lock) TUTTI_REQUIRES(mutex_);
  void run();
  void take_added(List& active);
  bool advance_all(List& active);
  bool advance(Submission& submission, bool& progressed);
  bool give_up(Submission& submission);
  void settle(Submission& submission);

  Exchange& exchange_;  // thread-safe
  const std::size_t most_;
  Mutex mutex_;
  Condition room_;
  std::list<std::unique_ptr<Submission>> added_ TUTTI_GUARDED_BY(mutex_);
  std::size_t unsettled_ TUTTI_GUARDED_BY(mutex_) = 0;
  bool closing_ TUTTI_GUARDED_BY(mutex_) = false;
  std::thread thread_ TUTTI_GUARDED_BY(mutex_);  // joined without the lock, when no more add() can come
};

}  // namespace tutti
