// The life of a worker: one process after another in one place of the pool, each a generation. It knows the phase, the
// deadlines, how often the worker may be replaced, and why its process was killed. A pure state machine: the caller
// passes the time and carries out the decisions. It knows nothing of members and tasks; those are the work of a member
// (member_work.hpp).
//
//   phase \ event   spawn      ready       prepared   kill     gone      give_up    retire    dismiss
//   waiting         starting   late        -          late     late      given_up   -         -
//   starting        -          preparing   -          ending   waiting   -          -         -
//   preparing       -          lie         running    ending   waiting   -          -         -
//   running         -          lie         -          ending   waiting   -          waiting   given_up
//   ending          -          late        -          late     waiting   -          -         -
//   given_up        -          late        -          late     late      -          -         -
//
//   late: another event came first; nothing changes. lie: the worker broke the protocol. -: a bug, and a failed check.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "common/ids.hpp"
#include "common/wire/control.hpp"
#include "config/spec.hpp"
#include "coordinator/decide/fault_text.hpp"
#include "coordinator/decide/pace.hpp"
#include "coordinator/decide/progress_clock.hpp"
#include "coordinator/decide/restart_budget.hpp"

namespace tutti {

/// How a process ended.
struct Death {
  std::string how;                        ///< "killed by SIGKILL", "exited with code 7"
  bool out_of_memory = false;             ///< the kernel killed it because there was not enough memory
  std::optional<control::Failure> words;  ///< its last message before that
  /// How many tasks it claims to have taken out of its ring. A task that it never took did not kill it.
  std::uint64_t tasks_taken = std::numeric_limits<std::uint64_t>::max();
  /// How many members of its unit it said are ready. While it starts, it loads them one after the other.
  std::size_t members_ready = 0;
};

class WorkerLife {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Seconds = std::chrono::duration<double>;

  struct Setting {
    config::FailureSpec policy;
    bool deadlines = true;  ///< false while debugging
    Seconds start_deadline{};
    Seconds kill_deadline{};
  };

  enum class Phase : std::uint8_t {
    waiting,    ///< for the end of the back-off; or not started yet
    starting,   ///< there is a process, or there will be at once; it loads its member
    preparing,  ///< it is ready, and is being brought to the member's state
    running,    ///< it may be given tasks
    ending,     ///< it was sent SIGKILL
    given_up,   ///< there is no process, and there will be none
  };
  enum class Event : std::uint8_t { spawn, ready, prepared, kill, gone, give_up, retire, dismiss };
  /// What an event did; see the table.
  enum class Step : std::uint8_t { taken, late, lie };
  /// What the process is working on, which decides how long it may take.
  enum class Duty : std::uint8_t { nothing, tasks, command };

  /// `first`: the generation of its first process, if others were in its place before.
  explicit WorkerLife(const Setting& setting, Generation first = {});

  // ---- events
  void spawn(Time now);
  /// `batch`: how long a batch took in its warm-up, as the worker says.
  Step ready(Seconds batch, Time now);
  void prepared();
  Step kill(WorkerFault fault, Time now);
  /// The process has ended, or is left behind because it does not end. Forgets the state of this process.
  Step gone();
  void give_up();
  /// The process, which has nothing to do, is not the worker's any more: the next one hosts another version.
  void retire();
  /// The process, which has nothing to do, is not needed any more, and there will be no other.
  void dismiss();
  /// The next process hosts another version: what earlier ones did says nothing about it.
  void renew();
  /// The process broke the protocol: nothing more from it is trusted.
  void distrust() { distrusted_ = true; }
  /// It has answered a task.
  void worked();
  /// It was killed because it missed a deadline. Returns how often this happened since a worker last answered a task;
  /// the next one gets twice the time.
  std::uint32_t miss() { return ++missed_; }
  /// A segment is to be set aside because it died. Returns how many there were since a worker last answered a task.
  std::uint32_t spoil() { return ++spoiled_; }
  std::uint32_t spoiled() const noexcept { return spoiled_; }
  /// A replica has answered a task of the same members, so they do not die of any.
  void sister_worked() { spoiled_ = 0; }
  /// What it did so far was the fault of a member that it no longer hosts.
  void pardon();
  /// Counts a death, whether or not the worker is replaced.
  void count_death();
  /// How long to wait before the replacement; with no wait it can be spawned at once.
  Seconds wait_for_replacement(Seconds at_least, Time now);
  /// The coordinator itself had been stopped: all deadlines start again.
  void stalled(Time now);

  // ---- questions
  Phase phase() const noexcept { return phase_; }
  bool running() const noexcept { return phase_ == Phase::running; }
  bool started() const noexcept { return spawned_ > 0; }  ///< it has had a process, or will have one at once
  /// Whether there is a process that may still send messages.
  bool has_process() const noexcept { return phase_ != Phase::waiting && phase_ != Phase::given_up; }
  /// How many processes of this life came before the current one, or before the last.
  std::uint32_t replaced() const noexcept { return spawned_ == 0 ? 0U : spawned_ - 1; }
  Generation generation() const noexcept { return Generation(first_.value() + replaced()); }
  bool ran() const noexcept { return ran_; }        ///< this process reached the phase `running`
  bool fresh() const noexcept { return !worked_; }  ///< this process has answered no task yet
  bool distrusted() const noexcept { return distrusted_; }
  const std::optional<WorkerFault>& fault() const noexcept { return fault_; }  ///< why it was killed
  std::uint64_t deaths() const noexcept { return deaths_; }
  std::uint64_t retired() const noexcept { return retired_; }
  /// Whether it is late enough, and its deadline of a kind, that clock.watch() should be told what the process does.
  bool to_be_watched(Duty duty, Time now) const;
  /// When the supervisor's tick() next has something to decide for this worker.
  std::optional<Time> due(Duty duty) const;
  /// Fails if facts that belong together do not agree. Between two events they do.
  void check_invariants() const;

  RestartBudget budget;
  ProgressClock clock;
  Pace pace;

 private:
  Step step(Event event);
  void forget_process();
  bool has_deadline() const;
  std::optional<Time> start_deadline(Time now) const;

  Setting setting_;
  Generation first_;
  Phase phase_ = Phase::waiting;
  std::uint32_t spawned_ = 0;
  Time spawned_at_{};
  std::uint32_t missed_ = 0;
  std::uint32_t spoiled_ = 0;
  std::optional<Time> deadline_;  // when the back-off ends, or by when it must be ready, prepared or gone
  bool ran_ = false;
  bool distrusted_ = false;
  bool worked_ = false;  // this process
  std::optional<WorkerFault> fault_;
  std::uint64_t deaths_ = 0;
  std::uint64_t retired_ = 0;
  bool dismissed_ = false;
};

}  // namespace tutti
