// The embeddable API: an ensemble of models, each in a worker process of its own, that answers as one.
//
//   tutti::Ensemble ensemble(tutti::load_spec("ensemble.yaml"));   // workers are up and warm, or it throws
//   tutti::Predictions p = ensemble.predict(images);               // waits
//   std::future<tutti::Predictions> f = ensemble.submit(images);   // does not
//
// The library installs no signal handlers and waits for no child but its own; it works in a program that ignores
// SIGCHLD. One internal thread drives the workers for as long as the Ensemble lives.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/error.hpp>
#include <tutti/images.hpp>
#include <tutti/predictions.hpp>

namespace tutti {

namespace config {
struct EnsembleSpec;
}

/// A checked ensemble description. Copies cheaply; immutable.
class TUTTI_API Spec {
 public:
  explicit Spec(std::shared_ptr<const config::EnsembleSpec> checked) : checked_(std::move(checked)) {}
  const config::EnsembleSpec& checked() const noexcept { return *checked_; }
  /// The description as it is in effect, as YAML: what was left out is filled in.
  const std::string& yaml() const noexcept;

 private:
  std::shared_ptr<const config::EnsembleSpec> checked_;
};

/// Reads a YAML file; `overrides` are `key=value` pairs applied after it ("members.0.weight=2"). Throws Error(usage)
/// that lists every violation as file:line:column.
TUTTI_API Spec load_spec(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});
/// The same for YAML text.
TUTTI_API Spec parse_spec(std::string_view yaml, const std::vector<std::string>& overrides = {});

/// What is not part of the description: how this program wants to run it.
struct Options {
  std::filesystem::path worker;  ///< the program tutti-worker; empty: $TUTTI_WORKER, then beside program or library
  std::string debug_member;      ///< this member's worker waits for a debugger, and all deadlines are off
  bool training = false;         ///< members start from `train.init` or their seed instead of `weights`
  /// A file that the Ensemble's end writes, also after a failure: what workers and coordinator did when, in Chrome's
  /// trace event format. Empty: none. Where it cannot be written, the constructor throws before a worker is started.
  std::filesystem::path trace{};
};

/// What status() looks at: the memory figures take the kernel some milliseconds per process.
enum class StatusDetail { counters, memory };

enum class PoolState { starting, ready, failed, stopped };

/// What a member's worker is doing. `absent`: it died more often than the budget allows, and the ensemble goes on
/// without it.
enum class WorkerState { starting, running, waiting, ending, absent };
TUTTI_API const char* to_text(WorkerState state);  ///< "starting", ...

/// What went wrong so far, in numbers.
struct FaultCounts {
  std::uint64_t deaths = 0;              ///< workers that ended before they were told to, whatever the cause
  std::uint64_t hangs = 0;               ///< of these: killed since they made no progress
  std::uint64_t violations = 0;          ///< of these: killed since they wrote nonsense
  std::uint64_t out_of_memory = 0;       ///< of these: killed by the kernel for want of memory
  std::uint64_t restarts = 0;            ///< replacements that were started
  std::uint64_t handed_out_again = 0;    ///< tasks
  std::uint64_t stale_dropped = 0;       ///< answers of earlier generations
  std::uint64_t set_aside = 0;           ///< segments
  std::uint64_t not_finite_dropped = 0;  ///< answers left out by `on_nan: degrade`
  std::uint64_t missed_wake_ups = 0;     ///< always 0, or the doorbells are broken
  std::uint64_t stalls = 0;              ///< times that the coordinator itself had been stopped
  std::vector<int> abandoned_pids;       ///< processes that did not end even after SIGKILL
  friend bool operator==(const FaultCounts&, const FaultCounts&) = default;
};

/// One member as it is now.
struct MemberStatus {
  std::string name;
  std::string kind;        ///< "small-cnn"
  std::string backend;     ///< "torch 2.11.0"; empty until ready
  std::string device;      ///< as resolved: "cpu:0", "cuda:0 (NVIDIA H200)"
  std::vector<int> cores;  ///< the cores that it is pinned to; empty: not pinned
  std::uint32_t threads = 0;
  int pid = 0;  ///< 0 when gone
  bool alive = false;
  WorkerState state = WorkerState::starting;
  std::uint32_t generation = 0;  ///< of the worker: how often it was replaced
  std::uint64_t deaths = 0;
  std::string absent_reason;                         ///< empty unless absent
  std::optional<std::uint64_t> absent_from_segment;  ///< the first segment without it, counted over the pool's life
  std::uint32_t width = 0;                           ///< classes or features
  std::uint64_t parameters = 0;
  double load_seconds = 0;
  double warm_up_seconds = 0;
  double busy_seconds = 0;  ///< time spent computing
  std::uint64_t segments_handed_out = 0;
  std::uint64_t segments_answered = 0;
  std::uint64_t images = 0;                ///< answered
  std::optional<std::uint64_t> pss_bytes;  ///< proportional set size of the worker; with StatusDetail::memory
};

struct Bound {
  std::string name;
  std::uint64_t bytes = 0;
};

struct Status {
  PoolState state = PoolState::starting;
  std::vector<MemberStatus> members;  ///< in rank order
  double start_up_seconds = 0;        ///< from the constructor's begin to all ready
  std::uint64_t input_bytes_copied = 0;
  std::uint64_t arena_bytes = 0;
  double coordinator_cpu_seconds = 0;  ///< of the internal thread
  FaultCounts faults;
  std::optional<std::uint64_t> pss_bytes;  ///< of this process and all workers; with StatusDetail::memory
};

/// One member's epoch, as it ends.
struct EpochResult {
  std::size_t member = 0;   ///< rank
  std::uint32_t epoch = 0;  ///< from 1
  double loss = 0;          ///< mean over the images that were learnt from
  double accuracy = 0;      ///< over the same images, with the weights as they were at each batch
  std::uint64_t images = 0;
  double seconds = 0;  ///< computing time of this member in this epoch
};

struct TrainResult {
  std::vector<std::filesystem::path> weights;  ///< one file per member, in rank order; empty for an absent member
};

/// Thread-safe: every method may be called from any thread, any number of times, also at the same time; but no answer
/// may be waited for inside a source or a sink of the same ensemble. A worker that dies, hangs or writes nonsense is
/// replaced, and its unanswered segments are computed again: the answers stay the same to the last bit. Where that is
/// not possible (`on_worker_failure`), running calls and later ones throw the same Error(failed), which names the
/// member.
class TUTTI_API Ensemble {
 public:
  /// Starts the workers and returns when all are loaded and warm. Throws Error; nothing is left running then.
  explicit Ensemble(const Spec& spec, Options options = {});
  /// Ends running calls and pending futures with Error(interrupted), stops the workers, waits for them (bounded by
  /// `stop_deadline_s`), and frees all memory.
  ~Ensemble();
  Ensemble(const Ensemble&) = delete;
  Ensemble& operator=(const Ensemble&) = delete;

  /// The ensemble's answer. The images' shape must be the ensemble's input shape; 0 images are answered with 0 rows.
  Predictions predict(const Images& images);
  /// The same without waiting; `images` must stay valid until the future is ready.
  std::future<Predictions> submit(const Images& images);
  /// Streams `source` through the ensemble into `sink`, segment by segment, both called on this thread. Memory is
  /// bounded by the arena whatever the source's size. What source or sink throw ends the run and leaves this call.
  void run(Source& source, Sink& sink);

  /// Trains every member in its worker, all at the same time, on the labelled `source`; each as its `train:` says.
  /// Saves member m's weights to its `weights` file, or to `<folder>/<name>.safetensors` where it has none. `on_epoch`
  /// is called on this thread. Same seeds, same bytes. Throws Error; one training at a time.
  TrainResult train(Source& source, const std::filesystem::path& folder,
                    const std::function<void(const EpochResult&)>& on_epoch = {});

  Status status(StatusDetail detail = StatusDetail::counters) const;
  /// Ends running calls with Error(interrupted), and refuses later ones. For a program's second Ctrl-C; not for use
  /// inside a signal handler.
  void interrupt();
  /// Stops intake: running calls deliver the segments that are in flight and then throw Error(interrupted), after
  /// `drain_deadline_s` at the latest; later calls are refused. Returns at once. For a program's first Ctrl-C.
  void drain();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tutti
