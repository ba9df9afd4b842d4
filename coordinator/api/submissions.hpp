// The thread behind Ensemble::submit(): drives any number of predictions at once and settles their futures.
#pragma once

#include <future>
#include <list>
#include <memory>
#include <thread>

#include <tutti/predictions.hpp>

#include "common/mutex.hpp"
#include "coordinator/pool/exchange.hpp"

namespace tutti {

/// A prediction in progress, with everything that must live as long as it.
class Submission {
 public:
  virtual ~Submission() = default;
  virtual const std::shared_ptr<Stream>& stream() const = 0;
  virtual Predictions take() = 0;
  std::promise<Predictions> promise;
};

/// Thread-safe. The thread starts with the first submission.
class Submissions {
 public:
  explicit Submissions(Exchange& exchange) : exchange_(exchange) {}
  /// Every future is settled before this returns; the exchange must have failed before, so that nothing waits.
  ~Submissions();

  std::future<Predictions> add(std::unique_ptr<Submission> submission);

 private:
  void run();
  bool advance(Submission& submission, bool& progressed);

  Exchange& exchange_;  // thread-safe
  Mutex mutex_;
  std::list<std::unique_ptr<Submission>> added_ TUTTI_GUARDED_BY(mutex_);
  bool closing_ TUTTI_GUARDED_BY(mutex_) = false;
  std::thread thread_ TUTTI_GUARDED_BY(mutex_);  // joined without the lock, when no more add() can come
};

}  // namespace tutti
