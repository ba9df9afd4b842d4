// One process that hosts a unit, or waits as its spare, as the coordinator's loop sees it: the process, its control
// socket, its channel and what it prints. It reports events and carries out orders; the supervisor decides.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/ids.hpp"
#include "common/wire/channel.hpp"
#include "common/wire/control.hpp"
#include "common/wire/doorbell.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/process/child.hpp"
#include "coordinator/process/fork_server.hpp"
#include "coordinator/process/line_reader.hpp"
#include "coordinator/process/loop_thread.hpp"

namespace tutti {

class WorkerProcess;

/// Receives the events of worker processes, on the loop's thread.
class WorkerListener {
 public:
  virtual ~WorkerListener() = default;
  /// A process that was still being started when spawn() returned now exists.
  virtual void on_spawned(WorkerProcess& worker) TUTTI_REQUIRES(on_loop) = 0;
  /// No process could be started after all. The last event.
  virtual void on_spawn_failed(WorkerProcess& worker, const Error& error) TUTTI_REQUIRES(on_loop) = 0;
  /// The members are loaded and warm, one Ready for each by seat; the worker waits for start().
  virtual void on_ready(WorkerProcess& worker, const std::vector<control::Ready>& ready) TUTTI_REQUIRES(on_loop) = 0;
  virtual void on_completion(WorkerProcess& worker, const CompletionRecord& record) TUTTI_REQUIRES(on_loop) = 0;
  /// The answer to begin_training, restore and save.
  virtual void on_done(WorkerProcess& worker, const control::Done& done) TUTTI_REQUIRES(on_loop) = 0;
  /// The process has ended, and everything that it published has been reported. The last event.
  virtual void on_gone(WorkerProcess& worker, const ExitStatus& status, const std::optional<control::Failure>& reason)
      TUTTI_REQUIRES(on_loop) = 0;
  /// The worker broke the protocol and has been killed; only on_gone follows.
  virtual void on_violation(WorkerProcess& worker, const std::string& what) TUTTI_REQUIRES(on_loop) = 0;
};

/// Used on the loop's thread only, held by shared_ptr: pending waits keep it alive until they are cancelled. Neither
/// copies nor moves.
class WorkerProcess : public std::enable_shared_from_this<WorkerProcess> {
 public:
  struct Setting {
    WorkerId worker{};
    std::vector<int> cores;  ///< to pin to; empty: not pinned
    std::vector<std::pair<std::string, std::string>> environment;
    std::string name;                           ///< for processes and messages: see Plan::name_of()
    std::vector<control::Load> unit;            ///< by seat
    std::optional<control::Preload> preload{};  ///< what a spare opens before it is told to load
    std::filesystem::path program;
    std::string python{};  ///< the interpreter that the program becomes; empty: none
    int arena_fd = -1;
    bool debug = false;
    bool core_files = false;
    bool feeds = false;                 ///< other workers read its outputs
    bool load = true;                   ///< false: a spare that opens its libraries and waits for load()
    ForkServer* fork_server = nullptr;  ///< null: the process is spawned
  };

  WorkerProcess(boost::asio::io_context& loop, WorkerListener& listener, Setting setting);

  /// Starts the process and listens to it; or asks the fork server for it, which may take a while: on_spawned or
  /// on_spawn_failed follows then. Throws Error(failed).
  void spawn() TUTTI_REQUIRES(on_loop);
  /// Tells a waiting spare to load its unit; does nothing if it was told already.
  void load() TUTTI_REQUIRES(on_loop);
  /// Gives the channel its size and memory, and tells the worker to begin. Throws Error(failed) if there is not
  /// enough memory.
  void start(const control::Start& start) TUTTI_REQUIRES(on_loop);
  /// Puts a task into the ring; there is always room, since every segment in flight has a slot. If start() failed there
  /// is no ring, and the worker is about to end. Of a stage that computes on the answers of another, `feed` is the
  /// channel that holds them, at this seat.
  void hand_out(TaskRecord task, const std::shared_ptr<const Channel>& feed = nullptr, Seat seat = {})
      TUTTI_REQUIRES(on_loop);
  void send(const control::Message& message) TUTTI_REQUIRES(on_loop);
  /// The member at this seat keeps its checkpoints in these files. Does nothing if the worker was told already.
  void give_checkpoint_files(Seat seat, const std::array<int, 2>& files) TUTTI_REQUIRES(on_loop);
  /// SIGTERM; a worker has no handler for it and ends at once.
  void terminate() noexcept TUTTI_REQUIRES(on_loop);
  void kill() noexcept TUTTI_REQUIRES(on_loop);
  /// Kills it for a reason of ours, which on_gone reports as if the worker had sent it.
  void give_up(const control::Failure& reason) TUTTI_REQUIRES(on_loop);
  /// Kills it because it broke the protocol; on_violation reports that.
  void violate(const std::string& what) TUTTI_REQUIRES(on_loop);
  /// For a process that does not end even after SIGKILL: nothing more from it is read, only its end is watched for.
  void abandon() TUTTI_REQUIRES(on_loop);
  /// Reports completions that the worker has published, even if it has not rung the bell.
  void drain_completions() TUTTI_REQUIRES(on_loop);
  /// Called at long intervals while tasks are in flight. Returns how many of the two sides sleep although their
  /// ring was not empty at this look and at the one before, and wakes them. More than 0 means that the doorbells are
  /// broken.
  int count_missed_wake_ups() TUTTI_REQUIRES(on_loop);

  WorkerId id() const noexcept { return setting_.worker; }
  /// The process is running or being started.
  bool alive() const noexcept TUTTI_REQUIRES(on_loop) { return alive_; }
  bool killed() const noexcept TUTTI_REQUIRES(on_loop) { return killed_; }  ///< by us
  /// 0 while it is being started.
  int pid() const noexcept TUTTI_REQUIRES(on_loop) { return pid_; }
  Generation generation() const noexcept TUTTI_REQUIRES(on_loop) { return generation_; }
  /// Batches that the worker claims to have finished; any number is possible. 0 before start().
  std::uint64_t progress() const noexcept TUTTI_REQUIRES(on_loop);
  /// How many of its members are ready.
  std::size_t ready_members() const noexcept TUTTI_REQUIRES(on_loop) { return ready_.size(); }
  /// Tasks that the worker claims to have taken out of its ring; any number is possible. 0 before start().
  std::uint64_t tasks_taken() const noexcept TUTTI_REQUIRES(on_loop) { return tasks_ ? tasks_->taken() : 0; }
  /// The mapped channel, which outlives the process for as long as answers are read from it. Null before start().
  const std::shared_ptr<const Channel>& channel() const noexcept TUTTI_REQUIRES(on_loop) { return channel_; }

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;
  /// What one attempt to read found.
  enum class Read { some, nothing, end };

  /// A channel that the worker was told of, and its number.
  struct Feed {
    std::uint32_t number;
    std::weak_ptr<const Channel> channel;
  };

  // ---- descriptors (worker_passing.cpp)
  std::uint32_t number_of(const std::shared_ptr<const Channel>& feed, Seat seat) TUTTI_REQUIRES(on_loop);
  void send_with(const control::Message& message, int descriptor) TUTTI_REQUIRES(on_loop);
  void forget_feeds() TUTTI_REQUIRES(on_loop);

  // ---- start (worker_spawn.cpp)
  struct Launch;
  std::shared_ptr<Launch> prepare() TUTTI_REQUIRES(on_loop);
  void begin(Child child) TUTTI_REQUIRES(on_loop);
  void forked(std::optional<Child> child) TUTTI_REQUIRES(on_loop);
  void watch_over(Child& child) TUTTI_REQUIRES(on_loop);

  // ---- messages, and its end
  template <class OnReadable>
  void watch(Descriptor& descriptor, OnReadable on_readable) TUTTI_REQUIRES(on_loop);
  void not_sent(int error) TUTTI_REQUIRES(on_loop);
  void listen() TUTTI_REQUIRES(on_loop);
  void listen_to_bell() TUTTI_REQUIRES(on_loop);
  Read read_control() TUTTI_REQUIRES(on_loop);
  void obey(const control::Message& message) TUTTI_REQUIRES(on_loop);
  void greet_back() TUTTI_REQUIRES(on_loop);
  void take_ready(const control::Ready& ready) TUTTI_REQUIRES(on_loop);
  void send_loads() TUTTI_REQUIRES(on_loop);
  void hung_up() TUTTI_REQUIRES(on_loop);
  Read read_lines(Descriptor& pipe, LineReader& lines) TUTTI_REQUIRES(on_loop);
  void exited() TUTTI_REQUIRES(on_loop);
  void gone(const ExitStatus& status) TUTTI_REQUIRES(on_loop);
  void close_all() TUTTI_REQUIRES(on_loop);

  // Constant after construction.
  boost::asio::io_context& loop_;
  WorkerListener& listener_;
  const Setting setting_;
  const std::vector<std::string> loads_;  // encoded before the process exists: one that is too long fails early

  int pid_ TUTTI_GUARDED_BY(on_loop) = 0;
  Generation generation_ TUTTI_GUARDED_BY(on_loop){};  // from start() on
  bool alive_ TUTTI_GUARDED_BY(on_loop) = false;
  bool killed_ TUTTI_GUARDED_BY(on_loop) = false;
  // It broke the protocol, or was abandoned: nothing more is read from it.
  bool distrusted_ TUTTI_GUARDED_BY(on_loop) = false;
  bool greeted_ TUTTI_GUARDED_BY(on_loop) = false;  // it said hello, and is from this build
  bool load_wanted_ TUTTI_GUARDED_BY(on_loop);
  std::size_t loads_sent_ TUTTI_GUARDED_BY(on_loop) = 0;
  bool completion_waited_ TUTTI_GUARDED_BY(on_loop) = false;  // at the last count_missed_wake_ups()
  bool task_waited_ TUTTI_GUARDED_BY(on_loop) = false;

  MemoryFile channel_file_ TUTTI_GUARDED_BY(on_loop);
  std::shared_ptr<const Channel> channel_ TUTTI_GUARDED_BY(on_loop);
  std::optional<RingProducer<TaskRecord>> tasks_ TUTTI_GUARDED_BY(on_loop);
  std::optional<RingConsumer<CompletionRecord>> completions_ TUTTI_GUARDED_BY(on_loop);
  Doorbell task_bell_ TUTTI_GUARDED_BY(on_loop);
  std::vector<Feed> feeds_ TUTTI_GUARDED_BY(on_loop);
  std::uint32_t last_feed_ TUTTI_GUARDED_BY(on_loop) = 0;
  std::set<Seat> has_checkpoint_files_ TUTTI_GUARDED_BY(on_loop);
  // By task in flight: what it computes on is there until it has answered, even if another was faster.
  std::deque<std::shared_ptr<const Channel>> fed_ TUTTI_GUARDED_BY(on_loop);
  std::vector<control::Ready> ready_ TUTTI_GUARDED_BY(on_loop);  // by seat, so far
  std::optional<control::Failure> reason_ TUTTI_GUARDED_BY(on_loop);

  Descriptor pidfd_ TUTTI_GUARDED_BY(on_loop);
  Descriptor control_ TUTTI_GUARDED_BY(on_loop);
  Descriptor completion_bell_ TUTTI_GUARDED_BY(on_loop);
  std::uint64_t rung_ TUTTI_GUARDED_BY(on_loop) = 0;  ///< what was read from the bell: how often it was rung
  Descriptor stdout_ TUTTI_GUARDED_BY(on_loop);
  Descriptor stderr_ TUTTI_GUARDED_BY(on_loop);
  // Runs only between the end of the control socket and the end of the process.
  boost::asio::steady_timer hang_up_ TUTTI_GUARDED_BY(on_loop);
  LineReader stdout_lines_ TUTTI_GUARDED_BY(on_loop);
  LineReader stderr_lines_ TUTTI_GUARDED_BY(on_loop);
};

}  // namespace tutti
