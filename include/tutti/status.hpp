// Options of an Ensemble besides its description, and what it reports: the state of pool and members, counts of faults,
// and the progress of training. Plain values; they are copies, so they do not change while you look at them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <tutti/error.hpp>
#include <tutti/tensor.hpp>

namespace tutti {

/// What happened to a member of a running ensemble. Later versions may add kinds.
struct Event {
  /// What happened.
  enum class Kind {
    died,      ///< a worker of it ended before it was told to; it is replaced, unless its restarts are spent
    replaced,  ///< a new worker predicts in its place
    degraded,  ///< the ensemble continues without the member
    restored,  ///< every worker that is left runs again; `member` is empty
    joined,    ///< a member was added: it is loaded and warm, and calls after add_member() are answered by it, too
    left,      ///< a member was removed, and no call needs it any more: its worker was told to end
  };
  Kind kind{};         ///< what happened
  std::string member;  ///< the name of the member
  std::string text;    ///< degraded: why
  friend bool operator==(const Event&, const Event&) = default;
};
/// "died", ...
constexpr const char* to_text(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::died:
      return "died";
    case Event::Kind::replaced:
      return "replaced";
    case Event::Kind::degraded:
      return "degraded";
    case Event::Kind::restored:
      return "restored";
    case Event::Kind::joined:
      return "joined";
    case Event::Kind::left:
      break;
  }
  return "left";
}

/// Whether predictions can be made now.
struct Health {
  bool ready = false;                 ///< a prediction would be computed now
  std::vector<std::string> problems;  ///< why not, one line each; also what is degraded while it is ready
};

/// Settings of this program that are not part of the description.
struct Options {
  std::filesystem::path worker;  ///< the program tutti-worker; empty: $TUTTI_WORKER, then next to program or library
  std::string debug_member;      ///< this member's worker waits for a debugger, and all deadlines are off
  bool training = false;         ///< members start from `train.init` or their seed instead of `weights`

  /// The trace file, written when the Ensemble ends, also after a failure: what workers and coordinator did and when,
  /// in Chrome's trace event format. Empty: none. If it cannot be written, the constructor throws before it starts a
  /// worker.
  std::filesystem::path trace{};
  /// With `batch_images: auto`: the batch sizes of an earlier run, by rank, so that this run computes the same bytes;
  /// empty: measure.
  std::vector<std::uint32_t> batch_images = {};
  /// Whether choices between forms of a member (`kind: auto`, `backend: auto`) are looked up in the user's cache, and
  /// kept there.
  bool cache = true;
  /// Is called with each event, one at a time, on a thread of its own, until the ensemble is closed. No call of the
  /// ensemble waits for it, but the destructor does; an event may be told before or after the call that caused it
  /// returns. It may ask for status() and health(). What it throws is logged and dropped.
  std::function<void(const Event&)> on_event{};
  /// Calls of Ensemble::submit() whose predictions are not ready yet; more wait or are refused (SubmitOptions). Those
  /// that wait get room by priority, and in the order in which they came. 0: any number.
  std::size_t most_submissions = 0;
  /// Variables of the environment that workers get besides those of this program, such as {"TUTTI_LIBTORCH", "/x"}.
  /// They replace variables of the same names, but not those that Tutti sets for a worker.
  std::vector<std::pair<std::string, std::string>> environment{};
  /// The start is given up when a stop is requested: the constructor ends its workers and throws Error(interrupted).
  /// Once it has returned, this has no effect.
  std::stop_token stop{};
};

/// How much status() reports: the memory figures cost some milliseconds per process.
enum class StatusDetail {
  counters,  ///< no memory figures
  memory,    ///< also the proportional set sizes
};

/// The state of an ensemble.
enum class PoolState {
  starting,  ///< workers load their models
  ready,     ///< it predicts
  failed,    ///< it ended with an error, which later calls throw
  stopped,   ///< it was closed
};

/// "starting", ...
constexpr const char* to_text(PoolState state) {
  switch (state) {
    case PoolState::starting:
      return "starting";
    case PoolState::ready:
      return "ready";
    case PoolState::failed:
      return "failed";
    case PoolState::stopped:
      break;
  }
  return "stopped";
}

/// The state of a member's worker. `absent`: it died more often than the budget allows, and the ensemble continues
/// without it.
enum class WorkerState { starting, running, waiting, ending, absent };
/// "starting", ...
constexpr const char* to_text(WorkerState state) {
  switch (state) {
    case WorkerState::starting:
      return "starting";
    case WorkerState::running:
      return "running";
    case WorkerState::waiting:
      return "waiting";
    case WorkerState::ending:
      return "ending";
    case WorkerState::absent:
      return "absent";
  }
  return "?";
}

/// Counts of what went wrong so far.
struct FaultCounts {
  std::uint64_t deaths = 0;              ///< workers that ended before they were told to, for any cause
  std::uint64_t hangs = 0;               ///< of these: killed because they made no progress
  std::uint64_t violations = 0;          ///< of these: killed because they wrote nonsense
  std::uint64_t out_of_memory = 0;       ///< of these: killed by the kernel because memory ran out
  std::uint64_t restarts = 0;            ///< replacements that were started
  std::uint64_t handed_out_again = 0;    ///< tasks
  std::uint64_t taken_over = 0;          ///< tasks that an idle replica computed because the one that had them was slow
  std::uint64_t stale_dropped = 0;       ///< completions of earlier generations
  std::uint64_t set_aside = 0;           ///< segments
  std::uint64_t not_waited_for = 0;      ///< predictions of a segment that `quorum` did not wait for
  std::uint64_t not_finite_dropped = 0;  ///< predictions left out by `on_nan: degrade`
  std::uint64_t missed_wake_ups = 0;     ///< always 0, or the doorbells are broken
  std::uint64_t stalls = 0;              ///< times that the coordinator itself had been stopped
  std::vector<int> abandoned_pids;       ///< processes that did not end even after SIGKILL
  friend bool operator==(const FaultCounts&, const FaultCounts&) = default;
};

/// The speed of a member with batches of this many images, while the other members ran too.
struct BatchSpeed {
  std::uint32_t batch_images = 0;  ///< images per batch
  double images_per_second = 0;    ///< of this member
  friend bool operator==(const BatchSpeed&, const BatchSpeed&) = default;
};

/// A form in which a member could be computed (`kind: auto`, `backend: auto`), and what its trial showed while all other
/// members ran too.
struct ModelForm {
  std::string model;                    ///< "onnx m.onnx", "small-cnn by openvino"
  std::string backend{};                ///< "onnxruntime 1.32.0"; empty: it was not started
  std::uint32_t batch_images = 0;       ///< images per batch in its trial; 0: it had none
  double images_per_second = 0;         ///< of this member; 0: not measured
  std::optional<double> difference{};   ///< the largest of its outputs from those of the first candidate that could be
                                        ///< started, as a part of the largest of these; nothing: not compared
  std::string reason{};                 ///< why it was not chosen; empty: it was
  friend bool operator==(const ModelForm&, const ModelForm&) = default;

  bool chosen() const { return reason.empty(); }  ///< whether the member is computed in this form
};

/// One of the workers of a member that has several.
struct ReplicaStatus {
  std::uint32_t worker = 0;                   ///< which of the pool's workers
  std::string device;                         ///< as resolved: "cpu:0"
  std::vector<int> cores{};                   ///< the cores that it is pinned to; empty: not pinned
  int pid = 0;                                ///< 0 when gone
  WorkerState state = WorkerState::starting;  ///< of this worker
  std::uint32_t generation = 0;               ///< how often it was replaced
  std::uint64_t segments_answered = 0;        ///< first: if two computed a segment, the faster counts
  double busy_seconds = 0;                    ///< for these segments
};

/// One member as it is now.
struct MemberStatus {
  std::string name;                      ///< as the description calls it
  std::string kind;                      ///< "small-cnn"
  std::string backend;                   ///< "torch 2.11.0"; empty until ready
  std::string note;                      ///< what its worker said about the loaded model; empty: nothing
  std::string device;                    ///< as resolved: "cpu:0", "cuda:0 (NVIDIA H200)"
  std::vector<int> cores;                ///< the cores that it is pinned to; empty: not pinned
  std::uint32_t threads = 0;             ///< that compute a batch
  std::uint32_t batch_images = 0;        ///< images per batch when it predicts
  bool batch_images_measured = false;    ///< by `batch_images: auto`, at this start or at that of an earlier run
  std::vector<BatchSpeed> batch_speeds;  ///< the measurements of this start, by batch size
  std::vector<ModelForm> forms;          ///< the forms of which one was chosen for it; empty: there was no choice
  std::vector<ModelForm> modes;          ///< the same for the mode of its worker, which `model` names: "threads"
  std::vector<ReplicaStatus>
      replicas;              ///< its workers, if there are several; `worker` to `alive` are of the first then
  bool same_bits = true;     ///< false: the replicas are on different kinds of devices (`same_bits: off`)
  std::uint32_t worker = 0;  ///< which of the pool's workers hosts it; members may share one
  int pid = 0;               ///< of the worker; 0 when gone
  bool alive = false;        ///< whether a worker of it exists
  WorkerState state = WorkerState::starting;         ///< of the worker, or of the replica that is best off
  std::uint32_t generation = 0;                      ///< how often the worker, or any of the replicas, was replaced
  std::uint64_t deaths = 0;                          ///< of its workers
  std::string absent_reason;                         ///< empty unless absent
  std::optional<std::uint64_t> absent_from_segment;  ///< the first segment without it, counted over the pool's life
  Dims output;                                       ///< sizes of a prediction, such as {classes}

  /// The outputs of the model that are joined to this prediction, in order; none if it is one output.
  std::vector<NamedLayout> parts;
  std::vector<std::string> steps{};       ///< what its worker makes of the model's outputs, in order: "softmax"
  std::uint64_t parameters = 0;           ///< of the model; 0: unknown
  double load_seconds = 0;                ///< of its last start, or of the slowest of its replicas
  double warm_up_seconds = 0;             ///< of its last start, or of the slowest of its replicas
  double busy_seconds = 0;                ///< time spent computing
  std::uint64_t segments_handed_out = 0;  ///< also those that were handed out again
  std::uint64_t segments_answered = 0;    ///< first answers only
  std::uint64_t images = 0;               ///< predicted; with `coalesce` also those that fill batches

  /// Proportional set size of the worker, or of all replicas; with StatusDetail::memory.
  std::optional<std::uint64_t> pss_bytes;

  /// The stages of the member, first one first, each as a member by itself ("m/0"); empty: it has none. The member is
  /// then as well as the worst of them; `busy_seconds`, `deaths`, `generation`, `parameters`, `pss_bytes` and the times
  /// of its start are their sums, and the rest is that of the last stage.
  std::vector<MemberStatus> stages{};

  /// Values per prediction: classes or features as a rule.
  std::uint32_t width() const { return static_cast<std::uint32_t>(elements_of(output)); }
};

/// A named part of the memory that an ensemble may need at most.
struct Bound {
  std::string name;         ///< what it is for
  std::uint64_t bytes = 0;  ///< at most
};

/// An ensemble as it is now.
struct Status {
  PoolState state = PoolState::starting;   ///< of the whole ensemble
  std::vector<MemberStatus> members;       ///< in rank order
  double start_up_seconds = 0;             ///< from the start of the constructor until all are ready
  double batch_search_seconds = 0;         ///< after that: for `batch_images: auto`
  std::uint64_t input_bytes_copied = 0;    ///< into the arena; once per sample, however many members there are, and
                                           ///< with `coalesce` what fills batches, too
  std::uint64_t arena_bytes = 0;           ///< of the shared input memory
  double coordinator_cpu_seconds = 0;      ///< of the internal thread
  FaultCounts faults;                      ///< so far
  int fork_server_pid = 0;                 ///< the process that workers are forked from; 0 if they are spawned
  std::optional<std::uint64_t> pss_bytes;  ///< of this process and all workers; with StatusDetail::memory
};

/// One member's epoch, as it ends.
struct EpochResult {
  std::size_t member = 0;    ///< rank
  std::uint32_t epoch = 0;   ///< from 1
  double loss = 0;           ///< mean over the images that were trained on
  double accuracy = 0;       ///< over the same images, with the weights as they were at each batch
  std::uint64_t images = 0;  ///< that were trained on
  double seconds = 0;        ///< computing time of this member in this epoch
};

/// What a training leaves.
struct TrainResult {
  std::vector<std::filesystem::path> weights;  ///< one file per member, in rank order; empty for an absent member
};

}  // namespace tutti
