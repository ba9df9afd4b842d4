// The workers of one ensemble and the loop that drives them. All of its state lives on the loop's thread; other
// threads reach it by posting, through the exchange, and by reading the status under its mutex. What is to be done when
// something happens is decided by the supervisor; the pool reports events to it and carries its actions out.
#pragma once

#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <tutti/status.hpp>

#include "coordinator/decide/supervisor.hpp"
#include "coordinator/observe/trace.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/pool/exchange.hpp"
#include "coordinator/pool/roster.hpp"
#include "coordinator/process/fork_server.hpp"
#include "coordinator/process/oom.hpp"

namespace tutti {

class Pool final : private WorkerListener {
 public:
  /// Allocates the arena, starts the loop's thread and the workers, and returns when all are ready. Throws Error;
  /// nothing is left behind then.
  /// `trace` outlives it, or is null.
  Pool(Plan plan, const std::filesystem::path& worker_program, std::string debug_member,
       TraceRecorder* trace = nullptr);
  /// Stops the workers in named steps: intake, leave (or terminate, where they are computing), kill, abandon.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  Exchange& exchange() noexcept { return *exchange_; }
  const Plan& plan() const noexcept { return plan_; }
  /// Values per image of each member.
  const std::vector<std::uint32_t>& widths() const noexcept { return widths_; }

  /// Sends messages[rank] to each worker and waits until every one that is left has answered `done`; a replacement is
  /// told again. All are of one kind, begin_training or save. Not on the loop's thread; one at a time, and only while
  /// no task is in flight. Throws the pool's failure, or what the first of them could not do; the others have done it
  /// then, and the pool lives.
  void command(std::vector<control::Message> messages);

  /// With Batches::to_measure, before the first task of a user, on the one thread that has the pool then: tasks that
  /// are handed out from now on are cut into batches of these sizes, by rank; their answers are nobody's, and may be
  /// NaN.
  void try_batches(std::vector<std::uint32_t> sizes);
  struct BatchChoice {
    std::uint32_t batch_images = 1;
    std::vector<BatchSpeed> speeds;
  };
  /// Ends that: these sizes hold, by rank, for every worker that is there or comes. What was tried is not counted.
  void settle_batches(std::vector<BatchChoice> choices, double seconds);

  /// Ends everything that runs or is asked for later with this error.
  void fail(const Error& error);
  /// Refuses what is asked for later, lets what is in flight finish, and then, after the drain deadline at the latest,
  /// ends everything with this error.
  void drain(const Error& error);
  Status status(StatusDetail detail) const;

 private:
  using Clock = std::chrono::steady_clock;

  // ---- events of the workers, on the loop's thread
  void on_ready(WorkerProcess& worker, const control::Ready& ready) override;
  void on_completion(WorkerProcess& worker, const CompletionRecord& record) override;
  void on_done(WorkerProcess& worker, const control::Done& done) override;
  void on_gone(WorkerProcess& worker, const ExitStatus& status, const std::optional<control::Failure>& reason) override;
  void on_violation(WorkerProcess& worker, const std::string& what) override;

  // ---- the supervisor's actions
  void carry_out();
  void dismiss_spares();
  void perform(const action::Spawn& spawn);
  void perform(const action::Begin& begin);
  void perform(const action::Prepare& prepare);
  void perform(const action::Tell& tell);
  void perform(const action::HandOut& hand_out);
  void perform(const action::Kill& kill);
  void perform(const action::Abandon& abandon);
  void perform(const action::Hold& hold) { exchange_->hold(hold.slot); }
  void perform(const action::Release& release) { exchange_->release(release.slot); }
  void perform(const action::Finish& finish);
  void perform(const action::CommandDone& done);
  void perform(const action::Fail& fail);
  void perform(const action::Say& say);

  void make_arena();
  void start_workers();
  void run_loop();
  void take_ready(WorkerProcess& worker, const control::Ready& ready);
  void all_running();
  void submit(const FilledSegment& filled);
  void announce(const Error& error);
  void fail_on_loop(const Error& error);

  void arm_tick();
  void tick();
  void look_at_workers();

  void stop();
  void kill_all();
  void leave_when_gone();
  bool over() const noexcept { return failed_ || stopping_; }
  void refresh_status();
  double loop_cpu_seconds() const;
  void settle(std::vector<BatchChoice> choices, double seconds);
  std::string place_of(std::size_t rank) const;
  SupervisorSetting supervisor_setting() const;

  struct Running {
    std::shared_ptr<Stream> stream;
    std::uint64_t index = 0;
    std::vector<std::shared_ptr<const Channel>> channels;  ///< by rank: where the accepted answers lie
  };

  Plan plan_;  // changed by settle_batches() alone, on the loop's thread: the requests of workers to come
  TraceRecorder* const trace_;
  const Clock::time_point begin_ = Clock::now();

  MemoryFile arena_file_;
  Mapping arena_;
  std::unique_ptr<Exchange> exchange_;

  // The loop's own.
  boost::asio::io_context loop_{1};
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> keep_running_;
  boost::asio::steady_timer tick_timer_{loop_};  // never runs while the pool is idle
  std::optional<Clock::time_point> tick_at_;
  boost::asio::steady_timer stop_timer_{loop_};
  boost::asio::steady_timer drain_timer_{loop_};
  ForkServer fork_server_{loop_};
  Roster roster_;
  Supervisor supervisor_;
  OutOfMemoryWatch memory_watch_;
  bool carrying_out_ = false;
  bool was_running_ = false;            // all were ready once
  std::vector<std::uint32_t> batches_;  // by rank: the size of the batches of what is handed out
  bool settled_;                        // these sizes are final
  std::uint64_t tried_segments_ = 0;    // before that
  std::uint64_t tried_set_aside_ = 0;
  bool failed_ = false;
  bool stopping_ = false;
  std::vector<std::uint32_t> widths_;
  std::map<std::uint64_t, Running> running_;  // by segment
  std::vector<int> prepare_answers_;          // by rank: how many are still to come
  std::optional<std::promise<void>> started_;
  std::optional<std::promise<void>> command_;
  std::vector<std::string> command_texts_;  // by rank
  FaultCounts told_counts_;                 // what the status says of the supervisor's
  std::uint64_t missed_wake_ups_ = 0;
  std::uint64_t stalls_ = 0;
  std::vector<int> abandoned_pids_;

  mutable std::mutex status_mutex_;
  Status status_;
  std::uint64_t tried_bytes_ = 0;  // copied into the arena before the sizes were settled
  std::thread thread_;
  std::optional<std::thread::native_handle_type> loop_thread_;
};

}  // namespace tutti
