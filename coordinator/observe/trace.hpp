// Writes down what workers and coordinator did and when, as a file in Chrome's trace event format, which Perfetto
// (ui.perfetto.dev) and chrome://tracing show as a timeline. No decision depends on it. If no trace is wanted there is
// no recorder, and the callers hold a null pointer.
//
// The times of a worker come from the worker (CompletionRecord). They are clamped to the interval from when the task
// was handed out to when its answer was found: a worker that reports wrong times spoils only its own track, and is not
// killed for it.
//
// Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/atomic_file.hpp"
#include "common/ids.hpp"
#include "common/mutex.hpp"
#include "common/wire/records.hpp"

namespace tutti {

/// Thread-safe. Every method takes the time, on the steady clock, which all processes of a machine share.
class TraceRecorder {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Events kept in memory until the end: 64 bytes each.
  static constexpr std::size_t kMaxEvents = 1'000'000;
  static constexpr std::uint64_t kEventBytes = 64;

  /// `names` of the members, by rank; the file's time 0 is `begin`. Events after the first `limit` are counted and left
  /// out. The file is opened now and put in place by the destructor. Throws Error if the file cannot be written.
  TraceRecorder(const std::filesystem::path& file, std::vector<std::string> names, Time begin,
                std::size_t limit = kMaxEvents);
  /// Writes the file. Logs where it is and what was left out, or an error if it could not be written.
  ~TraceRecorder();
  TraceRecorder(const TraceRecorder&) = delete;
  TraceRecorder& operator=(const TraceRecorder&) = delete;

  /// The member of this rank, perhaps a further one, has this name from now on.
  void joins(Rank rank, const std::string& name);

  // ---- workers. Reports about a process that was not chosen are ignored.
  /// The process hosts these members from now on, by seat.
  void chosen(int pid, const std::vector<Rank>& unit, Generation generation, Time now);
  /// It is warm, and was told to begin.
  void begun(int pid, Time now);
  void handed_out(int pid, const TaskRecord& task, Time now);
  /// A record that was checked, except for its times, and accepted.
  void answered(int pid, const CompletionRecord& record, Time now);
  /// The process is gone; `how`: "was killed by SIGKILL".
  void ended(int pid, std::string_view how, Time now);

  // ---- coordinator
  enum class Deed : std::uint8_t { fill, judge, combine, sink };
  /// The calling thread did this with the segment in this slot. A fill is held back until opened().
  void did(Deed deed, SlotId slot, std::uint32_t images, Time begin, Time end);
  /// The segment that was filled into the slot has this number in the pool's life.
  void opened(SlotId slot, SegmentId segment);
  /// A line for the user, on the track of the calling thread.
  void said(std::string_view line, Time now);

 private:
  /// Nanoseconds of the steady clock; and, in events, steps of 125 ns since the beginning.
  using Stamp = std::uint64_t;
  enum class Kind : std::uint8_t {
    fill,
    judge,
    combine,
    sink,
    start,
    wait,
    infer,
    train,
    write,
    in_flight,
    said,
    ended
  };
  struct Event {
    Kind kind{};
    std::int32_t pid = 0;
    std::int32_t tid = 0;
    std::uint32_t text = 0;  ///< said, ended: index into texts_
    Stamp begin = 0;
    Stamp end = 0;
    SegmentId segment{};
    std::uint64_t count = 0;  ///< images; in_flight, ended: tasks
    Stamp queued = 0;         ///< infer, train: from the hand-out to the start of the task
    Stamp noticed = 0;        ///< infer, train: from the answer to when it was found
  };
  static_assert(sizeof(Event) == kEventBytes);
  struct Task {
    Sequence sequence{};
    Seat seat{};
    Stamp handed_out = 0;
    Kind kind{};
  };
  /// A process that hosts a unit, or did.
  struct Process {
    std::vector<Rank> unit;
    Generation generation{};
    std::vector<std::string> names;  ///< by seat
    std::vector<Stamp> free_since;   ///< by seat: the end of the last slice
    std::vector<Task> out;           ///< handed out and not answered: a few for each slot, at most
  };
  struct Slot {
    SegmentId segment{};
    std::optional<Event> filled;  ///< until it is opened
  };

  Stamp steps(Stamp nanoseconds) const;
  void add(const Event& event) TUTTI_REQUIRES(mutex_);
  void add_slice(Event slice, Stamp begin, Stamp end) TUTTI_REQUIRES(mutex_);
  void add_in_flight(int pid, const Process& process, Stamp now) TUTTI_REQUIRES(mutex_);
  void add_text(Event event, std::string_view text, Stamp now) TUTTI_REQUIRES(mutex_);
  int this_thread() TUTTI_REQUIRES(mutex_);
  void write();
  std::string names() const TUTTI_REQUIRES(mutex_);
  std::string text_of(const Event& event) const TUTTI_REQUIRES(mutex_);
  std::string arguments(const Event& event) const TUTTI_REQUIRES(mutex_);

  const int pid_;
  const Stamp begin_;
  const std::size_t limit_;

  Mutex mutex_;
  ByRank<std::string> names_ TUTTI_GUARDED_BY(mutex_);
  AtomicFile file_ TUTTI_GUARDED_BY(mutex_);
  std::deque<Event> events_ TUTTI_GUARDED_BY(mutex_);
  std::deque<std::string> texts_ TUTTI_GUARDED_BY(mutex_);
  std::uint64_t dropped_ TUTTI_GUARDED_BY(mutex_) = 0;
  std::map<int, Process> processes_ TUTTI_GUARDED_BY(mutex_);    // by pid
  std::map<int, std::string> threads_ TUTTI_GUARDED_BY(mutex_);  // of the coordinator, by tid
  std::map<SlotId, Slot> slots_ TUTTI_GUARDED_BY(mutex_);
};

}  // namespace tutti
