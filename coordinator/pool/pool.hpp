// The workers of one ensemble and the loop that drives them. All of its state lives on the loop's thread; other
// threads reach it by posting, through the exchange, and by reading the status under its mutex. The supervisor decides
// what to do; the pool reports events to it and carries out its actions.
#pragma once

#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <tutti/status.hpp>

#include "common/ids.hpp"
#include "coordinator/decide/supervisor.hpp"
#include "coordinator/observe/events.hpp"
#include "coordinator/observe/trace.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/pool/batch_sizes.hpp"
#include "coordinator/pool/exchange.hpp"
#include "coordinator/pool/roster.hpp"
#include "coordinator/pool/status_board.hpp"
#include "coordinator/process/checkpoint_file.hpp"
#include "coordinator/process/fork_server.hpp"
#include "coordinator/process/loop.hpp"
#include "coordinator/process/loop_thread.hpp"
#include "coordinator/process/oom.hpp"

namespace tutti {

/// Why an ensemble did not start that was told to stop meanwhile.
Error start_given_up();

class Pool final : private WorkerListener {
 public:
  /// Allocates the arena, starts the loop's thread and the workers, and returns when all are ready. If it throws
  /// Error, nothing is left behind.
  /// `trace` and `events` outlive it, or are null. `stopped` gives the start up, as Options::stop does.
  Pool(Plan plan, const std::filesystem::path& worker_program, std::string debug_member, TraceRecorder* trace = nullptr,
       Events* events = nullptr, const std::stop_token& stopped = {});
  /// Stops the workers in steps: no more work, leave (or terminate, if they are computing), kill, abandon.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  Exchange& exchange() noexcept { return *exchange_; }
  const Exchange& exchange() const noexcept { return *exchange_; }
  /// Mapped as long as anyone has it.
  std::shared_ptr<const Mapping> arena() const noexcept { return arena_; }
  /// As it was at the start.
  const Plan& plan() const noexcept { return plan_; }
  /// Values per image of each member: by rank, without the stages that feed others. Not once add() was called.
  ByRank<Dims> outputs() const;

  /// Tells each member messages[rank] and waits until every one that is left has answered `done`; a replacement gets
  /// the message again. All are of one kind, begin_training or save. Not on the loop's thread; one at a time, and only
  /// while no task is in flight. Throws the pool's failure, or the first member's problem; the others have then carried
  /// out the command, and the pool lives on.
  void command(ByRank<control::Message> messages);

  /// With Batches::to_measure, before the user's first task, on the only thread that uses the pool by then: tasks that
  /// are handed out from now on are cut into batches of these sizes. Their outputs are discarded, and may be NaN.
  void try_batches(ByRank<std::uint32_t> sizes);
  /// Ends the trials: these sizes apply to all current and future workers. The trials are not counted.
  void settle_batches(ByRank<BatchChoice> choices, double seconds);

  /// Of a member, or of one of its stages.
  struct NewVersion {
    Rank rank;
    MemberRequest request;
    std::string python;  ///< the interpreter of a unit of Python members, else empty
  };
  /// Loads a new version of the member that is called `name` in processes of its own, while the others go on
  /// predicting; when it is ready, the old ones answer what they have, and it takes over. `next` has its stages, or it
  /// alone; they run where it does, with its threads and batches. Not on the loop's thread; one at a time, in a pool
  /// that does not train. Throws Error if the new version cannot be started or has other outputs, if a stage of the old
  /// one dies while it answers what it has, or if a stop is requested before the new one takes over; the old one then
  /// stays.
  void replace(std::string name, std::vector<NewVersion> next, const std::stop_token& stop);

  /// A member that has come.
  struct Newcomer {
    Rank rank;
    Dims output;  ///< sizes of a prediction
  };
  /// Loads a further member in a process of its own, as `host` says (forked only if Plan::forks()), while the others go
  /// on predicting. Segments that are filled after this has returned can ask it. Not on the loop's thread; one at a
  /// time, and not beside replace(), in a pool that does not train, whose members have a worker each. Throws Error if
  /// it cannot be started, if the rule cannot combine its outputs with those of the others, or if a stop is requested
  /// before it is ready.
  Newcomer add(MemberRequest member, WorkerPlan host, const std::stop_token& stop);
  /// The member, which no segment asks any more, goes: its process is told to leave, and its rank is that of a later
  /// one. Returns at once; any thread.
  void dismiss(Rank rank);

  /// Ends everything that is running, and every later call, with this error.
  void fail(const Error& error);
  /// Rejects later calls and lets the segments in flight finish. Then, or when the drain deadline has passed, ends
  /// everything with this error.
  void drain(const Error& error);
  Status status(StatusDetail detail) const { return board_.read(detail, exchange_->input_bytes_copied()); }

 private:
  using Clock = std::chrono::steady_clock;
  static Clock::duration ticks_of(std::chrono::duration<double> seconds) {
    return std::chrono::duration_cast<Clock::duration>(seconds);
  }

  // ---- events of the workers, on the loop's thread
  void on_spawned(WorkerProcess& worker) TUTTI_REQUIRES(on_loop) override;
  void on_spawn_failed(WorkerProcess& worker, const Error& error) TUTTI_REQUIRES(on_loop) override;
  void on_ready(WorkerProcess& worker, const std::vector<control::Ready>& ready) TUTTI_REQUIRES(on_loop) override;
  void on_completion(WorkerProcess& worker, const CompletionRecord& record) TUTTI_REQUIRES(on_loop) override;
  void on_done(WorkerProcess& worker, const control::Done& done) TUTTI_REQUIRES(on_loop) override;
  void on_gone(WorkerProcess& worker, const ExitStatus& status, const std::optional<control::Failure>& reason)
      TUTTI_REQUIRES(on_loop) override;
  void on_violation(WorkerProcess& worker, const std::string& what) TUTTI_REQUIRES(on_loop) override;

  // ---- the supervisor's actions
  void carry_out() TUTTI_REQUIRES(on_loop);
  void dismiss_spares() TUTTI_REQUIRES(on_loop);
  WorkerProcess& process_of(WorkerId worker) const TUTTI_REQUIRES(on_loop);
  const Hosting& hosting() const TUTTI_REQUIRES(on_loop) { return supervisor_.hosting(); }
  void perform(const action::Move& move) TUTTI_REQUIRES(on_loop);
  void perform(const action::Retire& retire) TUTTI_REQUIRES(on_loop);
  void perform(const action::Superseded& done) TUTTI_REQUIRES(on_loop);
  void perform(const action::Vacate& vacate) TUTTI_REQUIRES(on_loop);
  void perform(const action::Spawn& spawn) TUTTI_REQUIRES(on_loop);
  void perform(const action::Begin& begin) TUTTI_REQUIRES(on_loop);
  void perform(const action::Prepare& prepare) TUTTI_REQUIRES(on_loop);
  void perform(const action::Tell& tell) TUTTI_REQUIRES(on_loop);
  void give_checkpoint_files(WorkerProcess& worker, Rank rank) TUTTI_REQUIRES(on_loop);
  void perform(const action::HandOut& hand_out) TUTTI_REQUIRES(on_loop);
  void perform(const action::Kill& kill) TUTTI_REQUIRES(on_loop);
  void perform(const action::Abandon& abandon) TUTTI_REQUIRES(on_loop);
  void perform(const action::Hold& hold) TUTTI_REQUIRES(on_loop) { exchange_->hold(hold.slot); }
  void perform(const action::Release& release) TUTTI_REQUIRES(on_loop) { exchange_->release(release.slot); }
  void perform(const action::Judge& judge) TUTTI_REQUIRES(on_loop);
  void perform(const action::Finish& finish) TUTTI_REQUIRES(on_loop);
  void perform(const action::CommandDone& done) TUTTI_REQUIRES(on_loop);
  void perform(const action::FailCall& fail) TUTTI_REQUIRES(on_loop);
  void perform(const action::Fail& fail) TUTTI_REQUIRES(on_loop) { fail_on_loop(fail.error); }
  void perform(const action::Say& say) TUTTI_REQUIRES(on_loop);

  // ---- new versions (pool_succession.cpp)
  struct Succession;
  void begin_succession(std::vector<NewVersion> next, Succession begun) TUTTI_REQUIRES(on_loop);
  Newcomer await_succession(std::future<Newcomer> done, const std::stop_token& stop);
  void give_succession_up() TUTTI_REQUIRES(on_loop);
  void limit_succession() TUTTI_REQUIRES(on_loop);
  void successor_is_ready(WorkerProcess& successor, const std::vector<control::Ready>& ready) TUTTI_REQUIRES(on_loop);
  void successor_failed(const Error& error) TUTTI_REQUIRES(on_loop);
  void end_succession(const std::optional<Error>& problem) TUTTI_REQUIRES(on_loop);
  void successor_ended(const ExitStatus& status, const std::optional<control::Failure>& reason) TUTTI_REQUIRES(on_loop);

  // ---- members that come and go (pool_members.cpp)
  void begin_joining(const MemberRequest& member, const WorkerPlan& host, Succession begun) TUTTI_REQUIRES(on_loop);
  std::optional<Error> why_not_combined(Rank rank, const control::Ready& ready) const TUTTI_REQUIRES(on_loop);
  void newcomer_is_ready(WorkerProcess& newcomer, const std::vector<control::Ready>& ready) TUTTI_REQUIRES(on_loop);

  void make_arena();
  void start_processes(const std::filesystem::path& worker_program) TUTTI_REQUIRES(on_loop);
  void start_workers() TUTTI_REQUIRES(on_loop);
  void note_chosen(WorkerId worker) TUTTI_REQUIRES(on_loop);
  void note_feed(WorkerId worker) TUTTI_REQUIRES(on_loop);
  AnswerPlace feed_of(SegmentId segment, Rank rank) const TUTTI_REQUIRES(on_loop);
  std::uint32_t rows_of(Rank rank) const TUTTI_REQUIRES(on_loop);
  control::Start start_of(WorkerId worker) const TUTTI_REQUIRES(on_loop);
  void run_loop();
  void take_ready(WorkerProcess& worker, const std::vector<control::Ready>& ready) TUTTI_REQUIRES(on_loop);
  std::string why_not_ready(Rank rank, const control::Ready& ready) const TUTTI_REQUIRES(on_loop);
  void say_ready(WorkerId worker, Rank rank, const control::Ready& ready) const TUTTI_REQUIRES(on_loop);
  void all_running() TUTTI_REQUIRES(on_loop);
  std::optional<Error> unlike_parts() const;
  std::optional<Error> unlike_outputs() const;
  void submit(const FilledSegment& filled) TUTTI_REQUIRES(on_loop);
  void go_on(SegmentId segment, const std::optional<NextRound>& next) TUTTI_REQUIRES(on_loop);
  void drop(const Stream* stream) TUTTI_REQUIRES(on_loop);
  void drop_segments_of(const Stream* stream) TUTTI_REQUIRES(on_loop);
  void announce(const Error& error);
  void fail_on_loop(const Error& error) TUTTI_REQUIRES(on_loop);

  void arm_tick() TUTTI_REQUIRES(on_loop);
  void tick() TUTTI_REQUIRES(on_loop);
  void look_at_workers() TUTTI_REQUIRES(on_loop);

  void stop();
  void kill_all() TUTTI_REQUIRES(on_loop);
  void leave_when_gone() TUTTI_REQUIRES(on_loop);
  bool over() const noexcept TUTTI_REQUIRES(on_loop) { return failed_ || stopping_; }
  void refresh_status() TUTTI_REQUIRES(on_loop);
  void settle(ByRank<BatchChoice> choices, double seconds) TUTTI_REQUIRES(on_loop);
  SupervisorSetting supervisor_setting() const;

  /// A new version that is being loaded, or a further member.
  struct Succession {
    std::promise<Newcomer> done;
    std::stop_token stop;
    std::string name{};
    Rank rank{};
    std::vector<std::pair<Rank, ModelKind>> models{};  ///< of a new version; one for each of its stages
    std::optional<WorkerPlan> joins{};                 ///< a further member, and where
    bool ready = false;                                ///< the old ones answer what they have
    bool taken_over = false;                           ///< they have retired
  };
  struct Running {
    std::shared_ptr<Stream> stream;
    std::uint64_t index = 0;
    ByRank<AnswerPlace> places;  ///< of the accepted answers
  };

  // Constant after construction.
  const Plan plan_;
  TraceRecorder* const trace_;  // thread-safe
  Events* const events_;
  const Clock::time_point begin_ = Clock::now();
  MemoryFile arena_file_;
  std::shared_ptr<Mapping> arena_;
  // Written by the loop, and used by it only once all are ready; the constructor waits for that.
  ByRank<Dims> outputs_;
  ByRank<std::vector<NamedLayout>> parts_;  // of outputs_, where several outputs are joined
  ByRank<bool> outputs_known_;

  // Thread-safe.
  std::unique_ptr<Exchange> exchange_;
  StatusBoard board_;
  Loop loop_;

  // Owned by the loop. First the parts, then what connects them.
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> keep_running_
      TUTTI_GUARDED_BY(on_loop);
  boost::asio::steady_timer tick_timer_ TUTTI_GUARDED_BY(on_loop){loop_};  // never runs while the pool is idle
  std::optional<Clock::time_point> tick_at_ TUTTI_GUARDED_BY(on_loop);
  boost::asio::steady_timer stop_timer_ TUTTI_GUARDED_BY(on_loop){loop_};
  boost::asio::steady_timer succession_timer_ TUTTI_GUARDED_BY(on_loop){
      loop_};  // of its loading, and of its taking over
  boost::asio::steady_timer drain_timer_ TUTTI_GUARDED_BY(on_loop){loop_};
  ForkServer fork_server_ TUTTI_GUARDED_BY(on_loop){loop_};
  Roster roster_ TUTTI_GUARDED_BY(on_loop);
  Supervisor supervisor_ TUTTI_GUARDED_BY(on_loop);
  BatchSizes batches_ TUTTI_GUARDED_BY(on_loop);
  OutOfMemoryWatch memory_watch_ TUTTI_GUARDED_BY(on_loop);

  bool carrying_out_ TUTTI_GUARDED_BY(on_loop) = false;
  bool was_running_ TUTTI_GUARDED_BY(on_loop) = false;  // all were ready at some time
  bool failed_ TUTTI_GUARDED_BY(on_loop) = false;
  bool stopping_ TUTTI_GUARDED_BY(on_loop) = false;
  std::map<SegmentId, Running> running_ TUTTI_GUARDED_BY(on_loop);
  ByRank<int> prepare_answers_ TUTTI_GUARDED_BY(on_loop);  // how many are still to come
  std::optional<std::promise<void>> started_ TUTTI_GUARDED_BY(on_loop);
  std::optional<std::promise<void>> command_ TUTTI_GUARDED_BY(on_loop);
  ByRank<control::Message> command_messages_ TUTTI_GUARDED_BY(on_loop);
  CheckpointFiles checkpoint_files_ TUTTI_GUARDED_BY(on_loop);
  std::optional<Succession> succession_ TUTTI_GUARDED_BY(on_loop);

  std::thread thread_;  // used only by the owner: constructor and stop()
};

}  // namespace tutti
