// One generation of one worker as the coordinator's loop sees it: the process, its control socket, its channel and
// what it prints. It reports events and carries out orders; what they mean for the run is decided by the pool.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/channel.hpp"
#include "common/control.hpp"
#include "common/doorbell.hpp"
#include "coordinator/child.hpp"
#include "coordinator/line_reader.hpp"
#include "coordinator/plan.hpp"

namespace tutti {

class WorkerProcess;

/// Receives the events of worker processes, on the loop's thread.
class WorkerListener {
 public:
  virtual ~WorkerListener() = default;
  /// The member is loaded and warm; the worker waits for start().
  virtual void on_ready(std::size_t rank, const control::Ready& ready) = 0;
  virtual void on_completion(std::size_t rank, const CompletionRecord& record) = 0;
  /// The answer to begin_training and save.
  virtual void on_done(std::size_t rank, const control::Done& done) = 0;
  /// The process has ended, and everything that it published has been reported. The last event.
  virtual void on_gone(std::size_t rank, const ExitStatus& status, const std::optional<control::Failure>& reason) = 0;
  /// The worker broke the protocol; it has been killed, on_gone follows.
  virtual void on_violation(std::size_t rank, const std::string& what) = 0;
};

/// Lives on the loop's thread, held by shared_ptr: pending waits keep it alive until they are cancelled. Neither
/// copies nor moves.
class WorkerProcess : public std::enable_shared_from_this<WorkerProcess> {
 public:
  struct Setting {
    std::size_t rank = 0;
    std::uint32_t generation = 0;
    const WorkerPlan* plan = nullptr;
    std::filesystem::path program;
    int arena_fd = -1;
    bool debug = false;
  };

  WorkerProcess(boost::asio::io_context& loop, WorkerListener& listener, Setting setting);

  /// Starts the process and begins to listen. Throws Error(failed).
  void spawn();
  /// Gives the channel its size and memory, and tells the worker to begin. Throws Error(failed) for want of memory.
  void start(const control::Start& start);
  /// Puts a task into the ring; there is always room, since a segment in flight has a slot.
  void hand_out(const TaskRecord& task);
  void send(const control::Message& message);
  /// A message that was encoded before.
  void send_text(const std::string& text);
  /// SIGTERM; a worker has no handler for it and ends at once.
  void terminate() noexcept;
  void kill() noexcept;
  /// Stops listening: for a process that does not even die of SIGKILL. Its channel is never read again.
  void abandon();

  bool alive() const noexcept { return alive_; }
  int pid() const noexcept { return pid_; }
  std::uint32_t generation() const noexcept { return setting_.generation; }
  /// The mapped channel, which outlives the process for as long as somebody reads answers from it. Null before start().
  const std::shared_ptr<const Channel>& channel() const noexcept { return channel_; }

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;
  /// What one attempt to read found.
  enum class Read { some, nothing, end };

  template <class OnReadable>
  void watch(Descriptor& descriptor, OnReadable on_readable);
  void watch_over(Child& child);
  void listen();
  Read read_control();
  void obey(const control::Message& message);
  void leave(const control::Failure& reason);
  void hung_up();
  Read read_lines(Descriptor& pipe, LineReader& lines);
  void drain_completions();
  void exited();
  void gone(const ExitStatus& status);
  void violate(const std::string& what);
  void close_all();

  boost::asio::io_context& loop_;
  WorkerListener& listener_;
  Setting setting_;
  const std::string load_;  // encoded before the process exists: a description that is too long fails early
  int pid_ = 0;
  bool alive_ = false;
  bool greeted_ = false;  // it is of this build

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
