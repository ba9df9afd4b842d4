// One process that hosts a member, or waits as its spare, as the coordinator's loop sees it: the process, its control
// socket, its channel and what it prints. It reports events and carries out orders; what they mean is decided
// elsewhere.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>

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
  /// A process that was on its way when spawn() returned is there.
  virtual void on_spawned(WorkerProcess& worker) TUTTI_REQUIRES(on_loop) = 0;
  /// There is no process after all. The last event.
  virtual void on_spawn_failed(WorkerProcess& worker, const Error& error) TUTTI_REQUIRES(on_loop) = 0;
  /// The member is loaded and warm; the worker waits for start().
  virtual void on_ready(WorkerProcess& worker, const control::Ready& ready) TUTTI_REQUIRES(on_loop) = 0;
  virtual void on_completion(WorkerProcess& worker, const CompletionRecord& record) TUTTI_REQUIRES(on_loop) = 0;
  /// The answer to begin_training, restore and save.
  virtual void on_done(WorkerProcess& worker, const control::Done& done) TUTTI_REQUIRES(on_loop) = 0;
  /// The process has ended, and everything that it published has been reported. The last event.
  virtual void on_gone(WorkerProcess& worker, const ExitStatus& status, const std::optional<control::Failure>& reason)
      TUTTI_REQUIRES(on_loop) = 0;
  /// The worker broke the protocol; it has been killed, nothing more of it is reported but on_gone.
  virtual void on_violation(WorkerProcess& worker, const std::string& what) TUTTI_REQUIRES(on_loop) = 0;
};

/// Lives on the loop's thread, held by shared_ptr: pending waits keep it alive until they are cancelled. Neither
/// copies nor moves.
class WorkerProcess : public std::enable_shared_from_this<WorkerProcess> {
 public:
  struct Setting {
    WorkerId worker{};
    const WorkerPlan* plan = nullptr;
    std::filesystem::path program;
    int arena_fd = -1;
    std::array<int, 2> checkpoint_fds{-1, -1};
    bool debug = false;
    bool core_files = false;
    bool load = true;                   ///< false: a spare that opens its libraries, and waits for load()
    ForkServer* fork_server = nullptr;  ///< null: the process is spawned
  };

  WorkerProcess(boost::asio::io_context& loop, WorkerListener& listener, Setting setting);

  /// Starts the process and begins to listen; or asks the fork server for it, where it may take a while: on_spawned or
  /// on_spawn_failed follow. Throws Error(failed).
  void spawn() TUTTI_REQUIRES(on_loop);
  /// Lets a spare that waits load its member; nothing where it was told already.
  void load() TUTTI_REQUIRES(on_loop);
  /// Gives the channel its size and memory, and tells the worker to begin. Throws Error(failed) for want of memory.
  void start(const control::Start& start) TUTTI_REQUIRES(on_loop);
  /// Puts a task into the ring; there is always room, since a segment in flight has a slot. Where start() failed there
  /// is no ring, and the worker is about to end.
  void hand_out(const TaskRecord& task) TUTTI_REQUIRES(on_loop);
  void send(const control::Message& message) TUTTI_REQUIRES(on_loop);
  /// A message that was encoded before.
  void send_text(const std::string& text) TUTTI_REQUIRES(on_loop);
  /// SIGTERM; a worker has no handler for it and ends at once.
  void terminate() noexcept TUTTI_REQUIRES(on_loop);
  void kill() noexcept TUTTI_REQUIRES(on_loop);
  /// Kills it for a reason of ours, which on_gone tells as if it were its own words.
  void give_up(const control::Failure& reason) TUTTI_REQUIRES(on_loop);
  /// Kills it since it broke the protocol; on_violation tells.
  void violate(const std::string& what) TUTTI_REQUIRES(on_loop);
  /// For a process that does not even die of SIGKILL: nothing of it is read any more, only its end is awaited.
  void abandon() TUTTI_REQUIRES(on_loop);
  /// Reports what the worker has published and not rung for.
  void drain_completions() TUTTI_REQUIRES(on_loop);
  /// Called at long intervals while tasks are in flight. Returns how many of the two sides sleep although there was
  /// something in their ring at this look and at the one before: always 0, or the doorbells are broken. Wakes them.
  int count_missed_wake_ups() TUTTI_REQUIRES(on_loop);

  WorkerId id() const noexcept { return setting_.worker; }
  /// The process is there, or on its way.
  bool alive() const noexcept TUTTI_REQUIRES(on_loop) { return alive_; }
  bool killed() const noexcept TUTTI_REQUIRES(on_loop) { return killed_; }  ///< by us
  /// 0 while it is on its way.
  int pid() const noexcept TUTTI_REQUIRES(on_loop) { return pid_; }
  Generation generation() const noexcept TUTTI_REQUIRES(on_loop) { return generation_; }
  /// Batches that the worker says to have finished; any number is possible. 0 before start().
  std::uint64_t progress() const noexcept TUTTI_REQUIRES(on_loop);
  /// Tasks that the worker says to have taken out of its ring; any number is possible. 0 before start().
  std::uint64_t tasks_taken() const noexcept TUTTI_REQUIRES(on_loop) { return tasks_ ? tasks_->taken() : 0; }
  /// The mapped channel, which outlives the process for as long as somebody reads answers from it. Null before start().
  const std::shared_ptr<const Channel>& channel() const noexcept TUTTI_REQUIRES(on_loop) { return channel_; }

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;
  /// What one attempt to read found.
  enum class Read { some, nothing, end };

  // ---- how it begins (worker_spawn.cpp)
  struct Launch;
  std::shared_ptr<Launch> prepare() TUTTI_REQUIRES(on_loop);
  void begin(Child child) TUTTI_REQUIRES(on_loop);
  void forked(std::optional<Child> child) TUTTI_REQUIRES(on_loop);
  void watch_over(Child& child) TUTTI_REQUIRES(on_loop);

  // ---- what it says, and its end
  template <class OnReadable>
  void watch(Descriptor& descriptor, OnReadable on_readable) TUTTI_REQUIRES(on_loop);
  void listen() TUTTI_REQUIRES(on_loop);
  Read read_control() TUTTI_REQUIRES(on_loop);
  void obey(const control::Message& message) TUTTI_REQUIRES(on_loop);
  void greet_back() TUTTI_REQUIRES(on_loop);
  void send_load() TUTTI_REQUIRES(on_loop);
  void hung_up() TUTTI_REQUIRES(on_loop);
  Read read_lines(Descriptor& pipe, LineReader& lines) TUTTI_REQUIRES(on_loop);
  void exited() TUTTI_REQUIRES(on_loop);
  void gone(const ExitStatus& status) TUTTI_REQUIRES(on_loop);
  void close_all() TUTTI_REQUIRES(on_loop);

  // Constant after construction.
  boost::asio::io_context& loop_;
  WorkerListener& listener_;
  const Setting setting_;
  const std::string load_;  // encoded before the process exists: a description that is too long fails early

  int pid_ TUTTI_GUARDED_BY(on_loop) = 0;
  Generation generation_ TUTTI_GUARDED_BY(on_loop){};  // from start() on
  bool alive_ TUTTI_GUARDED_BY(on_loop) = false;
  bool killed_ TUTTI_GUARDED_BY(on_loop) = false;
  // It broke the protocol, or was abandoned: nothing is read any more.
  bool distrusted_ TUTTI_GUARDED_BY(on_loop) = false;
  bool greeted_ TUTTI_GUARDED_BY(on_loop) = false;  // it is of this build
  bool load_wanted_ TUTTI_GUARDED_BY(on_loop);
  bool completion_waited_ TUTTI_GUARDED_BY(on_loop) = false;  // at the last count_missed_wake_ups()
  bool task_waited_ TUTTI_GUARDED_BY(on_loop) = false;

  MemoryFile channel_file_ TUTTI_GUARDED_BY(on_loop);
  std::shared_ptr<const Channel> channel_ TUTTI_GUARDED_BY(on_loop);
  std::optional<RingProducer<TaskRecord>> tasks_ TUTTI_GUARDED_BY(on_loop);
  std::optional<RingConsumer<CompletionRecord>> completions_ TUTTI_GUARDED_BY(on_loop);
  Doorbell task_bell_ TUTTI_GUARDED_BY(on_loop);
  std::optional<control::Failure> reason_ TUTTI_GUARDED_BY(on_loop);

  Descriptor pidfd_ TUTTI_GUARDED_BY(on_loop);
  Descriptor control_ TUTTI_GUARDED_BY(on_loop);
  Descriptor completion_bell_ TUTTI_GUARDED_BY(on_loop);
  Descriptor stdout_ TUTTI_GUARDED_BY(on_loop);
  Descriptor stderr_ TUTTI_GUARDED_BY(on_loop);
  // Runs only between the end of the control socket and the end of the process.
  boost::asio::steady_timer hang_up_ TUTTI_GUARDED_BY(on_loop);
  LineReader stdout_lines_ TUTTI_GUARDED_BY(on_loop);
  LineReader stderr_lines_ TUTTI_GUARDED_BY(on_loop);
};

}  // namespace tutti
