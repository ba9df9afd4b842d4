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

#include "common/wire/channel.hpp"
#include "common/wire/control.hpp"
#include "common/wire/doorbell.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/process/child.hpp"
#include "coordinator/process/fork_server.hpp"
#include "coordinator/process/line_reader.hpp"

namespace tutti {

class WorkerProcess;

/// Receives the events of worker processes, on the loop's thread.
class WorkerListener {
 public:
  virtual ~WorkerListener() = default;
  /// The member is loaded and warm; the worker waits for start().
  virtual void on_ready(WorkerProcess& worker, const control::Ready& ready) = 0;
  virtual void on_completion(WorkerProcess& worker, const CompletionRecord& record) = 0;
  /// The answer to begin_training, restore and save.
  virtual void on_done(WorkerProcess& worker, const control::Done& done) = 0;
  /// The process has ended, and everything that it published has been reported. The last event.
  virtual void on_gone(WorkerProcess& worker, const ExitStatus& status,
                       const std::optional<control::Failure>& reason) = 0;
  /// The worker broke the protocol; it has been killed, nothing more of it is reported but on_gone.
  virtual void on_violation(WorkerProcess& worker, const std::string& what) = 0;
};

/// Lives on the loop's thread, held by shared_ptr: pending waits keep it alive until they are cancelled. Neither
/// copies nor moves.
class WorkerProcess : public std::enable_shared_from_this<WorkerProcess> {
 public:
  struct Setting {
    std::size_t rank = 0;
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

  /// Starts the process and begins to listen. Throws Error(failed).
  void spawn();
  /// Lets a spare that waits load its member; nothing where it was told already.
  void load();
  /// Gives the channel its size and memory, and tells the worker to begin. Throws Error(failed) for want of memory.
  void start(const control::Start& start);
  /// Puts a task into the ring; there is always room, since a segment in flight has a slot. Where start() failed there
  /// is no ring, and the worker is about to end.
  void hand_out(const TaskRecord& task);
  void send(const control::Message& message);
  /// A message that was encoded before.
  void send_text(const std::string& text);
  /// SIGTERM; a worker has no handler for it and ends at once.
  void terminate() noexcept;
  void kill() noexcept;
  /// Kills it for a reason of ours, which on_gone tells as if it were its own words.
  void give_up(const control::Failure& reason);
  /// Kills it since it broke the protocol; on_violation tells.
  void violate(const std::string& what);
  /// For a process that does not even die of SIGKILL: nothing of it is read any more, only its end is awaited.
  void abandon();
  /// Reports what the worker has published and not rung for.
  void drain_completions();
  /// Called at long intervals while tasks are in flight. Returns how many of the two sides sleep although there was
  /// something in their ring at this look and at the one before: always 0, or the doorbells are broken. Wakes them.
  int count_missed_wake_ups();

  std::size_t rank() const noexcept { return setting_.rank; }
  bool alive() const noexcept { return alive_; }
  bool killed() const noexcept { return killed_; }  ///< by us
  int pid() const noexcept { return pid_; }
  std::uint32_t generation() const noexcept { return generation_; }
  /// Batches that the worker says to have finished; any number is possible. 0 before start().
  std::uint64_t progress() const noexcept;
  /// Tasks that the worker says to have taken out of its ring; any number is possible. 0 before start().
  std::uint64_t tasks_taken() const noexcept { return tasks_ ? tasks_->taken() : 0; }
  /// The mapped channel, which outlives the process for as long as somebody reads answers from it. Null before start().
  const std::shared_ptr<const Channel>& channel() const noexcept { return channel_; }

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;
  /// What one attempt to read found.
  enum class Read { some, nothing, end };

  template <class OnReadable>
  void watch(Descriptor& descriptor, OnReadable on_readable);
  bool start_process(ForkServer* fork_server);
  void watch_over(Child& child);
  void listen();
  Read read_control();
  void obey(const control::Message& message);
  void greet_back();
  void send_load();
  void hung_up();
  Read read_lines(Descriptor& pipe, LineReader& lines);
  void exited();
  void gone(const ExitStatus& status);
  void close_all();

  boost::asio::io_context& loop_;
  WorkerListener& listener_;
  Setting setting_;
  const std::string load_;  // encoded before the process exists: a description that is too long fails early
  int pid_ = 0;
  std::uint32_t generation_ = 0;  // from start() on
  bool alive_ = false;
  bool killed_ = false;
  bool distrusted_ = false;  // it broke the protocol, or was abandoned: nothing is read any more
  bool greeted_ = false;     // it is of this build
  bool load_wanted_;
  bool completion_waited_ = false;  // at the last count_missed_wake_ups()
  bool task_waited_ = false;

  MemoryFile channel_file_;
  std::shared_ptr<const Channel> channel_;
  std::optional<RingProducer<TaskRecord>> tasks_;
  std::optional<RingConsumer<CompletionRecord>> completions_;
  Doorbell task_bell_;
  std::optional<control::Failure> reason_;

  Descriptor pidfd_;
  Descriptor control_;
  Descriptor completion_bell_;
  Descriptor stdout_;
  Descriptor stderr_;
  boost::asio::steady_timer hang_up_;  // runs only between the end of the control socket and the end of the process
  LineReader stdout_lines_;
  LineReader stderr_lines_;
};

}  // namespace tutti
