// The thread behind Ensemble::submit(): drives any number of predictions at once and settles their futures. With
// `coalesce` it puts small ones together, so that they share a segment.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <list>
#include <memory>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include <tutti/predictions.hpp>
#include <tutti/submit.hpp>

#include "common/mutex.hpp"
#include "coordinator/api/coalesced.hpp"
#include "coordinator/api/leases.hpp"
#include "coordinator/decide/coalescing.hpp"
#include "coordinator/pool/exchange.hpp"

namespace tutti {

/// A prediction in progress, with everything that must live as long as it.
class Submission {
 public:
  virtual ~Submission() = default;
  /// Of this prediction by itself; not used with `coalesce`. The first call, which makes it, is the submitter's.
  virtual const std::shared_ptr<Stream>& stream() = 0;
  /// What a run takes of it with `coalesce`.
  virtual CallRows rows() = 0;
  virtual Predictions take() = 0;

  SubmitOptions options;
  SubmitDone done;  ///< empty: somebody has the future
  std::promise<Predictions> promise;
  std::shared_ptr<LeasedSlot> leased;  ///< that has its samples; null: they are read
};

/// How submissions share segments.
struct CoalesceSetting {
  std::chrono::microseconds max_delay{};
  RunSetting run;
  Terms terms;
};

/// Thread-safe. The thread starts with the first submission.
class Submissions {
 public:
  /// At most `most` are not settled at a time; 0: any number. `coalesce`: nothing, and none share a segment.
  explicit Submissions(Exchange& exchange, std::size_t most = 0, std::optional<CoalesceSetting> coalesce = {});
  /// Every future is settled before this returns; the exchange must have failed before, so that nothing waits.
  ~Submissions();

  /// Waits for room or throws QueueFull, as the submission's options say; a callback does not wait. Those that wait get
  /// room by priority, and in the order in which they came. Throws Error(interrupted) if its deadline passes or a stop
  /// is requested meanwhile, and once close() was called.
  std::future<Predictions> add(std::unique_ptr<Submission> submission);
  /// The same without a future, for a submission with a callback.
  void enter(std::unique_ptr<Submission> submission);
  /// Takes no further submissions, and ends every add() that waits. The exchange has failed before, so that those that
  /// are there are settled.
  void close();
  /// Whether this thread is the one that drives them: it must not wait for another submission.
  bool is_own_thread() const;
  /// How often an add() that waited for room was woken up.
  std::uint64_t wake_ups() const;
  /// How many wait for room now.
  std::size_t waiting() const;

 private:
  /// An add() that waits for room, and what it waits on.
  struct Waiting {
    int priority;
    Condition changed{};
    bool admitted = false;  ///< there is room, which is kept for it
  };
  struct Run;
  /// In work, with what wakes the thread up when it is to be given up.
  struct Active {
    Active(std::unique_ptr<Submission> added, std::uint64_t called, std::function<void()> wake_up)
        : submission(std::move(added)), number(called), wake(submission->options.stop, std::move(wake_up)) {}
    int priority() const { return submission->options.priority; }
    std::unique_ptr<Submission> submission;
    const std::uint64_t number;
    std::list<Active>::iterator at{};
    Run* run = nullptr;     ///< null while it waits for others to share a segment with
    std::size_t place = 0;  ///< in the run
    std::stop_callback<std::function<void()>> wake;
  };
  /// A stream in work, and whose it is.
  struct Run {
    std::shared_ptr<Stream> stream;
    std::unique_ptr<CoalescedRun> work;  ///< null without `coalesce`: the submission has it
    int priority;
    std::vector<Active*> calls;  ///< those that were not given up
  };

  void wait_for_room(const SubmitOptions& options, Waiting& place, MutexLock& lock) TUTTI_REQUIRES(mutex_);
  void make_room() TUTTI_REQUIRES(mutex_);

  // On the thread.
  void run();
  void take_added();
  void take(std::unique_ptr<Submission>& submission);
  void start(std::vector<Active*> calls, bool repeats = false);
  void insert_run(const std::vector<Active*>& calls, bool repeats);
  bool may_close() const;
  bool close_segments();
  bool advance_all();
  bool advance(Run& run, bool& progressed);
  bool give_up(Active& call);
  void finish(Submission& submission, std::exception_ptr error);
  void settle(Submission& submission);
  std::optional<std::chrono::steady_clock::time_point> next_wake() const;

  Exchange& exchange_;  // thread-safe
  const std::size_t most_;
  const std::optional<CoalesceSetting> coalesce_;
  Driver driver_;  // of the thread
  // Used on the thread only.
  std::list<Active> active_;
  std::list<Run> runs_;  // those of the highest priority first
  std::optional<Coalescing> coalescing_;
  std::unordered_map<Coalescing::Call, Active*> gathering_;  // those that wait there
  std::uint64_t last_number_ = 0;

  mutable Mutex mutex_;
  std::list<Waiting*> waiting_ TUTTI_GUARDED_BY(mutex_);  // for room, the next first
  std::uint64_t wake_ups_ TUTTI_GUARDED_BY(mutex_) = 0;
  std::list<std::unique_ptr<Submission>> added_ TUTTI_GUARDED_BY(mutex_);
  std::size_t unsettled_ TUTTI_GUARDED_BY(mutex_) = 0;  // those that were admitted, too
  bool closing_ TUTTI_GUARDED_BY(mutex_) = false;
  std::thread thread_ TUTTI_GUARDED_BY(mutex_);  // joined without the lock, when no more add() can come
};

}  // namespace tutti
