// Decides what becomes of the members' workers and of their tasks: who is started, killed, replaced, given up; which
// task is handed out to whom, and again to whom after a death. A pure state machine: events and the time go in, actions
// come out; it has no clock, no thread and no I/O. The pool carries its actions out.
//
// Life of a member's worker:
//
//   waiting --(back-off over)--> starting --ready--> preparing --done--> running
//      ^                            |                   |                  |
//      |                            +------- killed: ending <--------------+   (hang, violation)
//      |                                               |
//      +-----------(gone; the budget allows)-----------+--(budget spent)--> absent, or the end of the pool
//
// A member that is not running keeps its tasks: they are pending, and the replacement is given them in their order.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <tutti/error.hpp>
#include <tutti/status.hpp>

#include "common/wire/control.hpp"
#include "config/spec.hpp"
#include "coordinator/decide/fault_text.hpp"
#include "coordinator/decide/ledger.hpp"
#include "coordinator/decide/member_tasks.hpp"
#include "coordinator/decide/progress_clock.hpp"
#include "coordinator/decide/restart_budget.hpp"

namespace tutti {

struct SupervisorSetting {
  std::vector<std::string> places;  ///< by rank, for people: "cnn-2 on cpu:1"
  config::FailureSpec policy;
  bool deadlines = true;  ///< false while debugging: nobody is killed for being slow
  std::chrono::duration<double> start_deadline{120};
  std::chrono::duration<double> kill_deadline{10};  ///< from SIGKILL until a process counts as stuck in the kernel
  std::uint32_t slots = 1;                          ///< of the arena
  std::uint32_t segment_images = 1;                 ///< of a whole segment, to name images in messages
  std::uint32_t checkpoint_segments = 1;            ///< training tasks between two checkpoints; below `slots` unless 1
};

/// What the pool must do.
namespace action {
/// Start a process for the member, or take its spare.
struct Spawn {
  std::size_t rank;
  std::uint32_t generation;
};
/// It is ready: give it its channel, and send `start`.
struct Begin {
  std::size_t rank;
};
/// Bring a training member to its state: `restore` from this checkpoint file where there is one, then `begin_training`
/// where no checkpoint was written since. One done() follows: the last, or the first with a problem.
struct Prepare {
  std::size_t rank;
  std::optional<std::uint32_t> checkpoint;
  bool begin = true;
};
/// Send the member its part of the command that is under way. done() follows.
struct Tell {
  std::size_t rank;
};
struct HandOut {
  std::size_t rank;
  TaskRecord task;
};
/// SIGKILL. gone() follows.
struct Kill {
  std::size_t rank;
};
/// It did not end even after SIGKILL: never read its channel again; watch for its end: exited_late() then.
struct Abandon {
  std::size_t rank;
  std::uint32_t generation;
  std::optional<std::uint32_t> checkpoint;  ///< the file that counts; it may still be writing to the other
};
/// One more reason to keep a slot; one less. A slot is free when its driver and all holds have let go.
struct Hold {
  std::uint32_t slot;
};
struct Release {
  std::uint32_t slot;
};
/// Every member asked has answered or was given up: close() the segment and deliver it.
struct Finish {
  std::uint64_t segment;
};
/// Every member that is left has carried out the command; `problem` is the first that could not (and lives on).
struct CommandDone {
  std::optional<Error> problem;
};
/// The pool ends with this error, which is about this image of a segment.
struct Fail {
  struct Image {
    std::uint64_t segment;
    std::uint64_t number;  ///< in the segment; a worker said it
  };
  Error error;
  std::optional<Image> image{};
};
/// One line for the user.
struct Say {
  std::string line;
};
}  // namespace action
using Action = std::variant<action::Spawn, action::Begin, action::Prepare, action::Tell, action::HandOut, action::Kill,
                            action::Abandon, action::Hold, action::Release, action::Finish, action::CommandDone,
                            action::Fail, action::Say>;

/// How a worker ended.
struct Death {
  std::string how;                        ///< "killed by SIGKILL", "exited with code 7"
  bool out_of_memory = false;             ///< the kernel killed it for want of memory
  std::optional<control::Failure> words;  ///< what it said before
  /// How many tasks it says to have taken out of its ring: one that it never took did not kill it.
  std::uint64_t tasks_taken = std::numeric_limits<std::uint64_t>::max();
};

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
  void spawn_failed(std::size_t rank, const Error& error, Time now);
  void ready(std::size_t rank, Time now);
  /// The answer to Prepare or Tell.
  void done(std::size_t rank, const control::Done& answer, Time now);
  /// A segment that lies in its slot. `index`: its number within its call, for messages. `last`: no further training
  /// segment follows for the members asked, so each makes a checkpoint. Returns its number in the pool's life; or
  /// nothing where no member is left (a Fail is among the actions).
  std::optional<std::uint64_t> open(std::uint32_t slot, std::uint32_t images, TaskKind kind,
                                    const std::vector<bool>& asked, std::uint64_t index, bool last, Time now);
  Acceptance completion(std::size_t rank, std::uint32_t generation, const CompletionRecord& record, Time now);
  /// The worker's counter of finished batches, as it stands now. Any value is possible: the worker writes it.
  void progress(std::size_t rank, std::uint64_t batches, Time now);
  /// The worker wrote nonsense; nothing of this generation is accepted any more.
  void violation(std::size_t rank, const std::string& what, Time now);
  /// The process has ended, and its published completions were reported before.
  void gone(std::size_t rank, const Death& death, Time now);
  /// An abandoned process has ended after all.
  void exited_late(std::size_t rank, std::uint32_t generation, Time now);
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
  WorkerState state(std::size_t rank) const;
  std::uint32_t generation(std::size_t rank) const;
  bool absent(std::size_t rank) const;
  /// Adds what is known of the member: state, generation, deaths, why absent and since which segment.
  void describe(std::size_t rank, MemberStatus& status) const;
  /// Without what only the pool knows: missed wake-ups, stalls.
  const FaultCounts& counts() const noexcept { return counts_; }
  std::uint64_t handed_out(std::size_t rank) const;  ///< tasks, those handed out again included

 private:
  enum class Phase { waiting, starting, preparing, running, ending, absent };
  /// A member's part of the command that is under way.
  enum class Part { none, untold, told };
  struct Member {
    explicit Member(const config::FailureSpec& policy)
        : budget(policy.restart_limit, RestartBudget::Seconds(policy.restart_window),
                 RestartBudget::Seconds(policy.back_off)) {}

    Phase phase = Phase::waiting;
    std::uint32_t generation = 0;
    std::optional<Time> deadline;  ///< of the phase: the back-off is over; to be ready, prepared, gone by
    MemberTasks tasks;
    RestartBudget budget;
    ProgressClock clock;
    Part part = Part::none;
    bool training = false;       ///< a replacement must be brought to the member's state
    bool ran = false;            ///< this generation came as far as running
    bool distrusted = false;     ///< this generation wrote nonsense
    std::optional<Fault> fault;  ///< for which this generation was killed
    std::uint64_t deaths = 0;
    std::uint64_t handed_out = 0;
    std::string absent_reason;
    std::optional<std::uint64_t> absent_from;
  };
  /// A process that does not end even after SIGKILL, and what it may still read.
  struct Abandoned {
    std::size_t rank;
    std::uint32_t generation;
    std::vector<std::uint32_t> slots;
  };

  // ---- lives (supervisor.cpp)
  void spawn(std::size_t rank, Time now);
  void run(std::size_t rank, Time now);
  void note_all_running();
  void tell_if_due(std::size_t rank, Time now);
  void begin_training(std::size_t rank);
  void answer_command(std::size_t rank, const control::Done& answer);
  void finish_command();
  void fail(Error error, std::optional<action::Fail::Image> image = {});
  std::optional<Time> start_deadline(Time now) const;

  // ---- tasks (supervisor_tasks.cpp)
  bool makes_checkpoint(const Member& member, std::uint64_t segment) const;
  bool may_hand_out(const Member& member) const;
  void hand_out_pending(std::size_t rank, Time now);
  bool accept_not_finite(std::size_t rank, const CompletionRecord& record, bool repeated);
  void finish(std::uint64_t segment);
  void release(std::uint64_t segment);
  std::set<std::uint32_t> abandoned_slots() const;
  void check_slots();

  // ---- deaths (supervisor_deaths.cpp)
  void kill(std::size_t rank, Fault fault, Time now);
  void died(std::size_t rank, Fault fault, bool computing, Time now);
  void forget_actions(std::size_t rank);
  bool has_begun(std::size_t rank, std::uint64_t tasks_taken) const;
  std::string where(const Member& member, bool computing) const;
  void take_back(std::size_t rank);
  bool blame(std::uint64_t segment, const Fault& fault, std::string& news);
  void set_aside(std::uint64_t segment);
  void replace(std::size_t rank, const Fault& fault, const std::string& news, Time now);
  void give_up(std::size_t rank, const Fault& fault);
  void abandon(std::size_t rank, Time now);
  std::string budget_text() const;
  Error no_member_left() const;

  // ---- time (supervisor_time.cpp)
  void spawn_again(std::size_t rank, Time now);
  void start_is_late(std::size_t rank, Time now);
  void hangs(std::size_t rank, Time now);
  std::optional<Time> progress_deadline(const Member& member) const;

  SupervisorSetting setting_;
  Ledger ledger_;
  std::vector<Member> members_;  // by rank
  std::vector<Abandoned> abandoned_;
  std::deque<Action> actions_;
  FaultCounts counts_;
  bool all_ran_ = false;  // all were running once
  bool failed_ = false;
  std::optional<Command> command_;
  std::uint64_t command_before_ = 0;  // the segments below this number come before the command
  std::optional<Error> command_problem_;
};

}  // namespace tutti
