// Connects the threads that feed segments and take results (drivers) with the loop: free slots, finished segments,
// those of which a driver says what is asked next (a cascade), and the error that ended everything. Knows nothing of
// processes.
//
// A driver is the thread that called run(), predict() or train(), or the one thread behind submit(). It fills slots
// directly from the source and combines directly from the output slots, so the loop only moves records.
//
// Each driver waits for itself: what happens to a stream wakes up its driver, and a slot that becomes free wakes up one
// driver that wants one, those that have waited longest first. Only the end of everything wakes up all.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "common/ids.hpp"
#include "common/mutex.hpp"
#include "common/wire/arena.hpp"
#include "common/wire/channel.hpp"
#include "coordinator/decide/ledger.hpp"
#include "coordinator/decide/terms.hpp"
#include "coordinator/observe/trace.hpp"

namespace tutti {

/// Where the answers of a member are.
struct AnswerPlace {
  std::shared_ptr<const Channel> channel;  ///< null: there are none
  Seat seat{};
};

/// A segment that each member asked has answered or will not answer. Its slot stays taken until it is delivered.
struct FinishedSegment {
  Ledger::Segment segment;
  ByRank<AnswerPlace> places;

  /// Of a member that is present: for the samples of its round, one after the other.
  std::span<const float> answer(Rank rank) const {
    const AnswerPlace& place = places[rank];
    TUTTI_CHECK(place.channel != nullptr);
    return place.channel->output(segment.slot, segment.rows[rank].images, place.seat);
  }
};

class Exchange;

/// A thread that drives streams, and what it waits on. Used by that thread only, except for
/// Exchange::announce_change(). The exchange outlives it, and no stream that it has stepped takes a step after it, or
/// is in flight: each was done or cancelled.
class Driver {
 public:
  explicit Driver(Exchange& exchange);
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  ~Driver();

 private:
  friend class Exchange;
  struct State {
    std::uint64_t changes = 0;
    bool wants_slot = false;   ///< its last steps found none
    std::uint64_t ticket = 0;  ///< since when it wants one, by number; 0: it does not
    bool offered = false;      ///< a free slot is kept for it
    bool leases = false;       ///< it wants one to lease
  };
  Exchange& exchange_;
  /// Shared, because it is notified when the lock is gone: this driver may have ended by then.
  const std::shared_ptr<Condition> changed_ = std::make_shared<Condition>();
  State state_;  ///< guarded by the exchange's mutex: Exchange::of() is the only way to it
};

/// A stream of segments and what to do with their results. Called by its driver only.
class Work {
 public:
  virtual ~Work() = default;
  virtual bool has_more() const = 0;
  /// Writes the next segment into a slot of layout.images images, and returns how many it holds: at least one.
  virtual std::uint32_t fill(std::byte* arena, const ArenaLayout& layout, SlotId slot) = 0;
  /// Called after fill(): whether this is the last training segment, after which the members make a checkpoint.
  virtual bool last() const { return false; }
  /// Of a stream with rounds: the members asked so far have answered. Which round is next, and for how many samples,
  /// whose places are in the slot then; nothing: none is.
  virtual std::optional<NextRound> judge(const FinishedSegment& /*answered*/) { return std::nullopt; }
  /// In the order of filling.
  virtual void deliver(const FinishedSegment& finished) = 0;
  /// The name of an image of a segment that was filled; empty if not known.
  virtual std::string image_name(std::uint64_t /*segment*/, std::uint64_t /*image*/) const { return {}; }
};

/// One run of Work through the pool.
class Stream {
 public:
  Stream(Work& stream_work, TaskKind stream_kind, ByRank<bool> stream_asked, Terms stream_terms = {},
         std::shared_ptr<const void> stream_lineup = {})
      : work(stream_work),
        kind(stream_kind),
        asked(std::move(stream_asked)),
        terms(std::move(stream_terms)),
        lineup(std::move(stream_lineup)) {}

  Work& work;  ///< not used once cancelled
  const TaskKind kind;
  const ByRank<bool> asked;
  const Terms terms;
  /// Keeps the members that are asked as long as a segment is in flight, even if the work has ended; null: they stay.
  const std::shared_ptr<const void> lineup;
  /// It repeats what was in flight, so it is filled even while the exchange drains. Set before the first step.
  bool repeats = false;
  /// A leased slot that holds its only segment already; it goes back if the stream is cancelled before it is filled.
  /// Set before the first step, and then the exchange's.
  std::optional<SlotId> leased{};

 private:
  friend class Exchange;
  struct Progress {
    std::uint64_t filled = 0;                           ///< segments
    std::uint64_t delivered = 0;                        ///< segments
    std::map<std::uint64_t, FinishedSegment> finished;  ///< by index, not yet delivered
    std::map<SegmentId, FinishedSegment> to_judge;
    Driver* driver = nullptr;  ///< null once cancelled
    bool cancelled = false;
    std::optional<Error> failure;                                   ///< of this call only
    std::optional<std::pair<std::uint64_t, std::uint64_t>> blamed;  ///< segment, and image in it, of that
  };
  Progress progress_;  ///< guarded by the exchange's mutex: Exchange::of() is the only way to it
};

/// A slot with the images of a stream's next segment.
struct FilledSegment {
  std::shared_ptr<Stream> stream;
  std::uint64_t index = 0;  ///< within the stream
  SlotId slot{};
  std::uint32_t images = 0;
  bool last = false;  ///< see Work::last()
};

/// Thread-safe.
class Exchange {
 public:
  /// Hands a filled slot to the loop.
  using Submit = std::function<void(FilledSegment)>;
  /// Tells the loop what a segment that was judged is asked next.
  using GoOn = std::function<void(SegmentId, std::optional<NextRound>)>;

  /// Tells the loop that nobody takes the results of this stream any more. It may be gone by then.
  using Drop = std::function<void(const Stream*)>;

  /// `trace` outlives it, or is null.
  Exchange(std::byte* arena, const ArenaLayout& layout, Submit submit, TraceRecorder* trace = nullptr, GoOn go_on = {},
           Drop drop = {});

  // ---- drivers
  enum class Step { progressed, waiting, done };
  /// Does one thing for the stream: judges or delivers a segment, or fills a free slot. Throws the failure, or what the
  /// stream's work throws; the stream is then cancelled. All steps of a stream are made by one driver.
  Step step(const std::shared_ptr<Stream>& stream, Driver& driver);
  /// step() until done, waiting in between. Throws Error(usage) from inside a stream's work of the same exchange.
  void drive(const std::shared_ptr<Stream>& stream);
  /// Gives up what is in flight: its results are dropped when they come.
  void cancel(Stream& stream);
  /// A free slot for samples that are written from outside, until it goes to a stream (Stream::leased) or back by
  /// end_lease(). Nothing: none can be leased now, and wait_change() returns when one is kept for the driver, which
  /// must not drive streams. All slots but one can be leased at a time, so that other drivers go on. Throws the
  /// failure.
  std::optional<SlotId> lease(Driver& driver);
  void end_lease(SlotId slot);
  /// A number that changes when something happened to a stream of this driver, or when there is a slot for it;
  /// wait_change() returns once it differs from `seen`, and at `until`.
  std::uint64_t changes(const Driver& driver) const;
  void wait_change(Driver& driver, std::uint64_t seen, std::optional<std::chrono::steady_clock::time_point> until = {});
  /// The driver does something that may take long: no slot is kept for it meanwhile.
  void pause(Driver& driver);
  /// By any thread.
  void announce_change(Driver& driver);
  /// How often a driver that waited was woken up.
  std::uint64_t wake_ups() const;
  /// How many drivers wait for a slot now.
  std::size_t wanting() const;

  // ---- loop
  /// The stream's driver is to say what the segment, whose answers so far these are, is asked next.
  void judge(Stream& stream, SegmentId segment, FinishedSegment answered);
  void finish(Stream& stream, std::uint64_t index, FinishedSegment finished);
  /// hold() adds a hold on a slot that is taken, and release() removes one. The slot is free when its driver has
  /// finished with it and no hold is left.
  void hold(SlotId slot);
  void release(SlotId slot);
  /// Ends this stream's current or next step with this error, unless something has before; the others go on. `image`:
  /// of the segment, which the error is about; the driver adds its name to the detail.
  void fail_call(Stream& stream, const Error& error, std::uint64_t segment, std::optional<std::uint64_t> image);
  /// Ends every current and future step with this error. Only the first failure counts.
  void fail(const Error& error);
  /// No more slots are filled but by streams that repeat what was in flight: any other delivers what is in flight, and
  /// then its step throws this error.
  void drain(const Error& error);
  std::optional<Error> failure() const;
  bool draining() const;

  std::uint64_t input_bytes_copied() const;

  /// Fails if a slot is lost, or free twice. Between any two calls none is.
  void check_invariants() const;

 private:
  friend class Driver;
  using Progress = Stream::Progress;
  Progress& of(Stream& stream) const TUTTI_REQUIRES(mutex_) { return stream.progress_; }
  Driver::State& of(Driver& driver) const TUTTI_REQUIRES(mutex_) { return driver.state_; }
  const Driver::State& of(const Driver& driver) const TUTTI_REQUIRES(mutex_) { return driver.state_; }
  void enter(Driver& driver);
  void leave(Driver& driver);
  void let_go(SlotId slot) TUTTI_REQUIRES(mutex_);
  void check_slots() const TUTTI_REQUIRES(mutex_);
  std::shared_ptr<Condition> note_change(Driver* driver) TUTTI_REQUIRES(mutex_);
  void wake(Driver* driver) TUTTI_REQUIRES(mutex_);
  void wake_all() TUTTI_REQUIRES(mutex_);
  void offer_slots() TUTTI_REQUIRES(mutex_);
  void pass_on(Driver& driver) TUTTI_REQUIRES(mutex_);
  std::optional<FinishedSegment> next_finished(Stream& stream) TUTTI_REQUIRES(mutex_);
  std::optional<SlotId> take_slot(Driver& driver) TUTTI_REQUIRES(mutex_);
  bool may_take(const Driver& driver) const TUTTI_REQUIRES(mutex_);
  std::optional<SlotId> take_leased(Stream& stream) TUTTI_REQUIRES(mutex_);
  void refuse_inside() const;
  void do_judge(Stream& stream, SegmentId segment, const FinishedSegment& answered) TUTTI_EXCLUDES(mutex_);
  void deliver(Stream& stream, const FinishedSegment& finished) TUTTI_EXCLUDES(mutex_);
  void fill(const std::shared_ptr<Stream>& stream, SlotId slot, std::uint64_t copied_per_sample) TUTTI_EXCLUDES(mutex_);
  std::uint32_t fill_slot(Work& work, SlotId slot) TUTTI_EXCLUDES(mutex_);

  // Constant after construction.
  std::byte* const arena_;
  const ArenaLayout layout_;
  const Submit submit_;
  TraceRecorder* const trace_;  // thread-safe
  const GoOn go_on_;
  const Drop drop_;

  mutable Mutex mutex_;
  std::vector<Driver*> drivers_ TUTTI_GUARDED_BY(mutex_);
  std::map<std::uint64_t, Driver*> wanting_ TUTTI_GUARDED_BY(mutex_);  ///< that wait for a slot, by ticket
  std::uint64_t last_ticket_ TUTTI_GUARDED_BY(mutex_) = 0;
  std::size_t offers_ TUTTI_GUARDED_BY(mutex_) = 0;  ///< free slots that are kept for drivers
  std::size_t leases_ TUTTI_GUARDED_BY(mutex_) = 0;  ///< slots that are leased, or kept for drivers that lease
  std::uint64_t wake_ups_ TUTTI_GUARDED_BY(mutex_) = 0;
  std::vector<SlotId> free_slots_ TUTTI_GUARDED_BY(mutex_);
  BySlot<std::uint32_t> holds_ TUTTI_GUARDED_BY(mutex_);
  std::optional<Error> failure_ TUTTI_GUARDED_BY(mutex_);
  std::optional<Error> draining_ TUTTI_GUARDED_BY(mutex_);
  std::uint64_t input_bytes_copied_ TUTTI_GUARDED_BY(mutex_) = 0;
};

}  // namespace tutti
