// Decides what becomes of the workers and of the members' tasks: who is started, killed, replaced, given up; which task
// is handed out to whom, and again to whom after a death. A pure state machine: events and the time go in, actions come
// out; it has no clock, no thread and no I/O. The pool carries its actions out.
//
// It is made of two parts, each with a table of its states, and of what goes from one to the other:
//
//   the life of a worker   worker_life.hpp   phases, generations, deadlines, budget; supervisor_lives.cpp, _time.cpp
//   the work of a member   member_work.hpp   tasks, commands, training; supervisor_work.cpp, _blame.cpp, _commands.cpp
//
// A member whose worker is not running keeps its tasks: they are pending, and the replacement is given them in order.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include <tutti/error.hpp>
#include <tutti/status.hpp>

#include "common/wire/control.hpp"
#include "coordinator/decide/abandoned.hpp"
#include "coordinator/decide/action.hpp"
#include "coordinator/decide/ledger.hpp"
#include "coordinator/decide/member_work.hpp"
#include "coordinator/decide/supervisor_setting.hpp"
#include "coordinator/decide/worker_life.hpp"

namespace tutti {

/// What becomes of a completion record.
enum class Acceptance {
  accepted,   ///< one answer more
  repeated,   ///< right, but known already: a training task that was computed again after a death
  dropped,    ///< of an earlier generation, or of a worker that is no longer trusted
  violation,  ///< it answers nothing that this worker was asked; Kill is among the actions
};

class Supervisor {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Supervisor(SupervisorSetting setting);

  // ---- events. Each may add actions; take them with next().
  /// Starts all workers.
  void start(Time now);
  /// The process could not be started at all.
  void spawn_failed(std::size_t worker, const Error& error, Time now);
  void ready(std::size_t worker, Time now);
  /// The answer to Prepare or Tell.
  void done(std::size_t rank, const control::Done& answer, Time now);
  /// A segment that lies in its slot. `index`: its number within its call, for messages. `last`: no further training
  /// segment follows for the members asked, so each makes a checkpoint. Returns its number in the pool's life; or
  /// nothing where no member is left (a Fail is among the actions).
  std::optional<std::uint64_t> open(std::uint32_t slot, std::uint32_t images, TaskKind kind,
                                    const std::vector<bool>& asked, std::uint64_t index, bool last, Time now);
  Acceptance completion(std::size_t rank, std::uint32_t generation, const CompletionRecord& record, Time now);
  /// The worker's counter of finished batches, as it stands now. Any value is possible: the worker writes it.
  void progress(std::size_t worker, std::uint64_t batches, Time now);
  /// The worker wrote nonsense; nothing of this generation is accepted any more.
  void violation(std::size_t worker, const std::string& what, Time now);
  /// The process has ended, and its published completions were reported before.
  void gone(std::size_t worker, const Death& death, Time now);
  /// An abandoned process has ended after all.
  void exited_late(std::size_t worker, std::uint32_t generation, Time now);
  /// Every member left begins to train anew, or saves its weights; only while no task is in flight.
  enum class Command { begin_training, save };
  void command(Command command, Time now);
  /// Decides what time alone decides.
  void tick(Time now);
  /// The coordinator itself had been stopped (SIGTSTP, a debugger, a suspended machine): all deadlines start anew. Call
  /// it after everything that the workers published meanwhile was reported.
  void stalled(Time now);

  /// The next action, or nothing.
  std::optional<Action> next();

  // ---- questions
  /// Takes the results of a segment that was finished. Its images stay where they are while a training member could
  /// still need them again: Hold and Release say so.
  Ledger::Segment close(std::uint64_t segment);
  /// When tick() has something to decide; nothing where only events can.
  std::optional<Time> next_wake() const;
  /// Whether any task or command is unanswered: progress must be looked at.
  bool busy() const;
  bool all_running() const;
  WorkerState state(std::size_t worker) const;
  std::uint32_t generation(std::size_t worker) const;
  bool absent(std::size_t rank) const;
  /// Adds what is known of the member: state, generation, deaths, why absent and since which segment.
  void describe(std::size_t rank, MemberStatus& status) const;
  /// Without what only the pool knows: missed wake-ups, stalls.
  const FaultCounts& counts() const noexcept { return counts_; }
  std::uint64_t handed_out(std::size_t rank) const;  ///< tasks, those handed out again included

 private:
  // Each worker hosts one member, and each member has one worker. What makes that differ begins here.
  static constexpr std::size_t worker_of(std::size_t rank) { return rank; }
  static constexpr std::size_t member_of(std::size_t worker) { return worker; }
  WorkerLife& life_of(std::size_t rank) { return lives_.at(worker_of(rank)); }
  const WorkerLife& life_of(std::size_t rank) const { return lives_.at(worker_of(rank)); }
  WorkerLife::Duty duty_of(std::size_t worker) const;

  void fail(Error error, std::optional<action::Fail::Image> image = {});
  void note_all_running();
  bool any_member_left() const;
  Error no_member_left() const;

  // ---- lives (supervisor_lives.cpp)
  void spawn(std::size_t worker, Time now);
  void run(std::size_t worker, Time now);
  void kill(std::size_t worker, Fault fault, Time now);
  void died(std::size_t worker, Fault fault, bool computing, Time now);
  void forget_actions(std::size_t worker);
  void replace(std::size_t worker, const Fault& fault, const std::string& news, Time now);
  void give_up(std::size_t worker, const Fault& fault);
  void abandon(std::size_t worker, Time now);
  std::string budget_text() const;

  // ---- time (supervisor_time.cpp)
  void start_is_late(std::size_t worker, Time now);
  void hangs(std::size_t worker, Time now);

  // ---- work (supervisor_work.cpp)
  bool makes_checkpoint(std::size_t rank, std::uint64_t segment) const;
  void hand_out_pending(std::size_t rank, Time now);
  bool accept_not_finite(std::size_t rank, const CompletionRecord& record, bool repeated);
  void finish(std::uint64_t segment);
  void release(std::uint64_t segment);
  void check_slots();

  // ---- work that a death disturbs (supervisor_blame.cpp)
  bool has_begun(std::size_t rank, std::uint64_t tasks_taken) const;
  std::string where(std::size_t rank, bool computing) const;
  void take_back(std::size_t rank);
  void ask_unread_again(std::size_t rank, std::uint32_t generation);
  bool blame(std::uint64_t segment, const Fault& fault, std::string& news);
  void set_aside(std::uint64_t segment);
  void leave(std::size_t rank, const Fault& fault);

  // ---- commands (supervisor_commands.cpp)
  void tell_if_due(std::size_t rank, Time now);
  void begin_training(std::size_t rank);
  void answer_command(std::size_t rank, const control::Done& answer);
  void finish_command();

  SupervisorSetting setting_;
  Ledger ledger_;
  std::vector<WorkerLife> lives_;  // by worker
  std::vector<MemberWork> work_;   // by rank
  AbandonedProcesses abandoned_;
  std::deque<Action> actions_;
  FaultCounts counts_;
  bool all_ran_ = false;  // all were running once
  bool failed_ = false;
  std::optional<Command> command_;
  std::optional<Error> command_problem_;
};

}  // namespace tutti
