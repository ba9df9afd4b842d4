// Decides about the workers and the members' tasks: which worker is started, killed, replaced or given up, and which
// worker gets which task, also after a death. A pure state machine: events and the time go in, actions come out; it has
// no clock, no thread and no I/O. The pool carries its actions out.
//
// It has two parts, each with a table of its states, and connects them:
//
//   the life of a worker   worker_life.hpp   phases, generations, deadlines, budget; supervisor_lives.cpp, _time.cpp,
//                                            _succession.cpp, _places.cpp
//   the work of a member   member_work.hpp   tasks, commands, training; supervisor_work.cpp, _blame.cpp, _commands.cpp,
//                                            _chains.cpp, _rows.cpp
//
// Which worker hosts which members is a table (hosting.hpp): a worker may host several, a member may move to a worker
// of its own, and replicas host the same members (supervisor_replicas.cpp). The stages of a member are members of their
// own here, with ranks behind those of the others (chains.hpp, supervisor_chains.cpp). A member none of whose workers
// is running keeps its tasks: they are pending, and the next that runs gets them in order.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <tutti/error.hpp>
#include <tutti/status.hpp>

#include "common/wire/control.hpp"
#include "coordinator/decide/abandoned.hpp"
#include "coordinator/decide/action.hpp"
#include "coordinator/decide/hosting.hpp"
#include "coordinator/decide/ledger.hpp"
#include "coordinator/decide/member_work.hpp"
#include "coordinator/decide/supervisor_setting.hpp"
#include "coordinator/decide/terms.hpp"
#include "coordinator/decide/worker_life.hpp"

namespace tutti {

/// What the supervisor did with a completion record.
enum class Acceptance {
  accepted,   ///< a new answer
  repeated,   ///< valid, but already known: a training task that was computed again after a death
  refused,    ///< no answer: the worker could not use the rows that another one has written for the task
  dropped,    ///< from an earlier generation, or from a worker that is no longer trusted
  violation,  ///< it matches no task of this worker; Kill is among the actions
};

/// Whether the worker has ended a task with this record.
constexpr bool ends_task(Acceptance acceptance) {
  return acceptance != Acceptance::dropped && acceptance != Acceptance::violation;
}

class Supervisor {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Supervisor(SupervisorSetting setting);

  // ---- events. Each may add actions; take them with next().
  /// Starts all workers.
  void start(Time now);
  /// The process could not be started at all.
  void spawn_failed(WorkerId worker, const Error& error, Time now);
  /// `batch`: how long a batch took in its warm-up, as the worker says; any value is possible.
  void ready(WorkerId worker, WorkerLife::Seconds batch, Time now);
  /// The answer to Prepare or Tell.
  void done(Rank rank, const control::Done& answer, Time now);
  /// A segment was filled into its slot. `asked` says nothing of members that came later. `index`: its number within
  /// its call, for messages. `last`: it is the last training segment for the members asked, so each makes a checkpoint.
  /// Returns its number in the pool's life; or nothing if no member is left (a Fail is among the actions).
  std::optional<SegmentId> open(SlotId slot, std::uint32_t images, TaskKind kind, const ByRank<bool>& asked,
                                std::uint64_t index, bool last, Time now, const Terms& terms = {});
  /// The answer to Judge: which round is next, and for how many samples; nothing: none is.
  void go_on(SegmentId segment, const std::optional<NextRound>& next, Time now);
  /// Nobody wants the segment's result any more: no further worker gets it, and none is blamed for it.
  void drop(SegmentId segment);
  /// A record from the ring of this worker's process.
  Acceptance completion(WorkerId worker, Generation generation, const CompletionRecord& record, Time now);
  /// The worker's counter of finished batches has this value now. Any value is possible, since the worker writes it.
  void progress(WorkerId worker, std::uint64_t batches, Time now);
  /// What the worker's process has done until now. Call it if to_be_watched() says so, after progress().
  void watch(WorkerId worker, const ProcessActivity& activity, Time now);
  /// The worker broke the protocol; nothing more is accepted from this generation.
  void violation(WorkerId worker, const std::string& what, Time now);
  /// The process has ended, and its published completions were reported before.
  void gone(WorkerId worker, const Death& death, Time now);
  /// An abandoned process has ended after all.
  void exited_late(WorkerId worker, Generation generation, Time now);
  /// Every member left starts a new training, or saves its weights. Only while no task is in flight.
  enum class Command { begin_training, save };
  void command(Command command, Time now);
  /// Other processes are ready to take the places of those of these workers, which are of one unit: all of them if they
  /// host a new version of it; or all of those of a member with stages. The workers get no further tasks, but for those
  /// of segments that an earlier stage has started, and as soon as all of them have answered what they have, they
  /// retire: no segment is computed by both. One succession at a time, of members that are not trained. Superseded
  /// follows.
  void supersede(std::vector<WorkerId> workers, Time now);
  /// Nobody waits any more to take the places of workers that have not retired yet: they go on.
  void call_off(Time now);
  /// A place, which is vacant, for a further member in a worker of its own: one that another has left, or a new one.
  /// Segments that are open have nothing to do with it. Not in an ensemble that is trained.
  Rank reserve(std::string name, std::string device);
  /// The member of a vacant place is there: it can be asked from now on. Its worker is spawned.
  void join(Rank rank, Time now);
  /// The member, which is asked by no segment that is open, or will be, has gone: its place is vacant. Vacate follows
  /// for each of its workers, unless it shares them with others that stay.
  void vacate(Rank rank);
  /// Whether idle replicas may compute what others have; at first they may.
  void allow_take_over(bool allowed) { may_take_over_ = allowed; }
  /// Decides what depends only on the time, such as deadlines.
  void tick(Time now);
  /// The coordinator itself had been stopped (SIGTSTP, a debugger, a suspended machine): all deadlines start again.
  /// Call it after everything that the workers published meanwhile was reported.
  void stalled(Time now);

  /// The next action, or nothing.
  std::optional<Action> next();

  // ---- questions
  /// A segment that was not closed.
  const Ledger::Segment& segment(SegmentId segment) const { return ledger_.at(segment); }
  /// Takes the results of a segment that was finished. Its images stay in their slot while a training member may
  /// still need them; the actions Hold and Release say how long.
  Ledger::Segment close(SegmentId segment);
  /// When tick() next has something to decide; nothing if only an event can change anything.
  std::optional<Time> next_wake() const;
  /// The part of next_wake() for which a quarter of a second later would be too late: an idle replica may compute what
  /// another is late with, or a segment waits no longer for those that have not answered.
  std::optional<Time> next_soon() const;
  /// Whether all that depends on the time is when workers have to answer: what they are given from now on is due later
  /// than what they have.
  bool only_answers_are_due() const;
  /// Whether this worker has made no progress for so long that watch() should say whether it is slow or hangs.
  bool to_be_watched(WorkerId worker, Time now) const;
  /// Whether any task or command is unanswered, so that progress must be checked.
  bool busy() const;
  bool all_running() const;
  const Hosting& hosting() const noexcept { return hosting_; }
  const Chains& chains() const noexcept { return setting_.chains; }
  WorkerState state(WorkerId worker) const;
  Generation generation(WorkerId worker) const;
  /// How often its process was replaced since its member is there.
  std::uint32_t replaced(WorkerId worker) const { return lives_[worker].replaced(); }
  /// For people: "cnn-2 on cpu:1", "cnn-2 on cpu:1 and 3 more", or "cnn-2 (replica 1 of 3) on cpu:1".
  std::string place_of(WorkerId worker) const;
  /// For people: the member as this worker hosts it.
  std::string place_of(WorkerId worker, Rank rank) const;
  bool absent(Rank rank) const;
  /// Adds what is known about the member: state, generation, deaths, and if it is absent, why and since which segment.
  void describe(Rank rank, MemberStatus& status) const;
  /// Without the counts that only the pool has: missed wake-ups and stalls.
  const FaultCounts& counts() const noexcept { return counts_; }
  /// Fails if facts that belong together do not agree. Between two events they do. Called after every death.
  void check_invariants() const;

 private:
  /// A task that a worker has.
  struct Given {
    Rank rank;
    SegmentId segment;
  };

  WorkerLife new_life(Generation first = {}) const;
  WorkerLife::Duty duty_of(WorkerId worker) const;
  bool any_in_flight(WorkerId worker) const;

  void fail(Error error);
  void note_all_running();
  bool any_member_left() const;
  Error no_member_left() const;

  // ---- lives (supervisor_lives.cpp)
  void spawn(WorkerId worker, Time now);
  void run(WorkerId worker, Time now);
  void kill(WorkerId worker, WorkerFault fault, Time now);
  void died(WorkerId worker, WorkerFault fault, const std::vector<Given>& begun, Time now,
            std::optional<Rank> loading = {});
  bool is_for(const Action& action, WorkerId worker) const;
  void forget_actions(WorkerId worker);
  void replace(WorkerId worker, const WorkerFault& fault, const std::string& news, const std::set<SegmentId>& had,
               Time now);
  bool has_sister_left(WorkerId worker) const;
  void give_up(WorkerId worker, const WorkerFault& fault, const std::string& why, const std::string& advice = {});
  bool is_missed_deadline(const WorkerFault& fault) const;
  void doubt(const Given& task);
  std::string move_out(const std::vector<Rank>& culprits, const std::string& why, Time now);
  WorkerId add_worker(std::string device);
  bool all_gone(WorkerId worker) const;
  void leave_place(WorkerId worker);
  void part_from_gone(WorkerId worker);
  void abandon(WorkerId worker, Time now);
  std::string budget_text(RestartBudget::Verdict verdict) const;

  // ---- time (supervisor_time.cpp)
  void start_is_late(WorkerId worker, Time now);
  void hangs(WorkerId worker, Time now);

  // ---- work (supervisor_work.cpp)
  bool makes_checkpoint(Rank rank, SegmentId segment) const;
  void hand_out_all(Time now);
  void hand_out_pending(WorkerId worker, Time now);
  std::span<const Rank> may_be_served(WorkerId worker) const;
  bool hand_out_next(WorkerId worker, Time now);
  void hand_out(WorkerId worker, Rank rank, SegmentId segment, std::uint32_t more, Time now);
  void begin_if_idle(WorkerId worker, Rank rank, Time now);
  bool accept_not_finite(WorkerId worker, Rank rank, const CompletionRecord& record, bool repeated);
  void finish(SegmentId segment);
  void release(SegmentId segment);
  void check_slots();

  // ---- stages (supervisor_chains.cpp)
  bool waits_for_feeder(SegmentId segment, Rank rank) const;
  std::uint32_t present_members(const Ledger::Segment& segment) const;
  void feed(SegmentId segment, Rank rank, Time now);
  bool is_fed_nothing(SegmentId segment, Rank rank) const;
  void leave_out_behind(SegmentId segment, Rank rank);
  void start_fed(WorkerId ready, Time now);
  bool starts_later(WorkerId worker) const;
  bool is_useless(WorkerId worker) const;
  bool misses_stage(Rank rank) const;
  void leave_with(Rank rank, const std::string& reason);
  void dismiss_if_useless(WorkerId worker);
  bool is_passed_on(SegmentId segment, Rank rank) const;

  // ---- rows that another worker has written (supervisor_rows.cpp)
  void note_author(SegmentId segment, Rank rank);
  void refuse(WorkerId worker, Rank rank, const CompletionRecord& record, Time now);
  void accuse(const Ledger::Author& author, const Given& task, std::uint64_t fault, Time now);
  std::vector<Given> guilty_of(WorkerId worker, const std::vector<Given>& begun) const;
  bool computed_only(WorkerId worker, const std::vector<Given>& guilty) const;

  // ---- new versions (supervisor_succession.cpp)
  bool is_superseded(WorkerId worker) const { return std::ranges::find(superseded_, worker) != superseded_.end(); }
  /// Has no process, and gets none before its unit has retired.
  bool waits_for_successor(WorkerId worker) const {
    return is_superseded(worker) && lives_[worker].phase() == WorkerLife::Phase::waiting;
  }
  bool may_get_tasks(WorkerId worker) const {
    return lives_[worker].running() && (!is_superseded(worker) || ends_chain(worker));
  }
  bool ends_chain(WorkerId worker) const;
  void retire_if_idle(Time now);
  void keep_chain(Time now);

  // ---- quorum (supervisor_quorum.cpp)
  bool pulls(WorkerId worker) const { return hosting_.replicated(worker) || setting_.quorum.has_value(); }
  void cut_if_enough(SegmentId segment, Time now);
  void cut_late(Time now);
  bool has_quorum(SegmentId segment) const;

  // ---- replicas (supervisor_replicas.cpp)
  bool has_room(WorkerId worker) const;
  std::vector<SegmentId> segments_of(WorkerId worker) const;
  bool has_segment(WorkerId worker, SegmentId segment) const;
  void note_pace(WorkerId worker, SegmentId answered, Time now);
  bool hand_out_to_first(WorkerId worker, Time now);
  /// A segment that an idle replica may compute, too.
  struct Straggler {
    WorkerId owner;
    SegmentId segment;
    Time done;                   ///< by the pace of its owner
    WorkerLife::Seconds needed;  ///< by the idle one
    /// From when on the owner is late: it has needed so much more than it should have.
    Time late() const { return done + std::chrono::duration_cast<Time::duration>(needed); }
  };
  std::vector<Straggler> stragglers(WorkerId idle) const;
  std::vector<Rank> rows_to_take_over(WorkerId owner, SegmentId segment) const;
  void take_over(WorkerId worker, Time now);
  void hand_out_twice(WorkerId idle, const Straggler& straggler, Time now);
  std::optional<Time> next_take_over(WorkerId idle) const;
  std::optional<Time> next_take_over() const;

  // ---- work that a death disturbs (supervisor_blame.cpp)
  std::optional<Given> oldest_task(WorkerId worker) const;
  std::vector<Given> begun_tasks(WorkerId worker, std::uint64_t tasks_taken) const;
  std::string name_of(const Ledger::Segment& segment) const;
  void locate(WorkerFault& fault, WorkerId worker, const std::vector<Given>& begun) const;
  void take_back(WorkerId worker, Rank rank);
  void ask_unread_again(WorkerId worker, Rank rank);
  bool blame(WorkerId worker, Given task, const WorkerFault& fault, std::string& news, Time now);
  void set_aside(SegmentId segment);
  void hand_out_no_more(SegmentId segment);
  void leave(WorkerId worker, Rank rank, const WorkerFault& fault, const std::string& why);

  // ---- commands (supervisor_commands.cpp)
  void prepare_from(WorkerId worker, Seat seat, Time now);
  bool may_be_told(Rank rank) const;
  void tell_if_due(Rank rank, Time now);
  void begin_training(Rank rank);
  void answer_command(Rank rank, const control::Done& answer);
  void finish_command();

  // ---- invariants (supervisor_invariants.cpp)
  void check_counts() const;
  void check_member(Rank rank) const;
  void check_tasks(Rank rank) const;

  SupervisorSetting setting_;
  Hosting hosting_;
  Ledger ledger_;
  ByWorker<WorkerLife> lives_;
  ByRank<MemberWork> work_;
  ByRank<std::uint64_t> deaths_;  // of workers while they did something for the member, or for nobody in particular
  std::map<WorkerId, Given> accused_;   // what a worker that is killed for its rows has written them for
  std::map<SegmentId, Time> cut_from_;  // from when on a segment is finished without those that have not answered
  std::vector<Rank> waiting_;           // for hand_out_next(): those that wait for the same segment
  AbandonedProcesses abandoned_;
  std::deque<Action> actions_;
  FaultCounts counts_;
  bool all_ran_ = false;  // all were running at some time
  bool failed_ = false;
  bool may_take_over_ = true;
  std::optional<Command> command_;
  std::optional<Error> command_problem_;
  std::map<WorkerId, Seat> preparing_;  // which member a worker in this phase is bringing to its state
  std::vector<WorkerId> superseded_;    // for whose places others wait
  std::set<Rank> vacant_;               // places without a member: absent, and nobody asks for them
  FaultCounts past_;                    // deaths and restarts of members that have gone
};

}  // namespace tutti
