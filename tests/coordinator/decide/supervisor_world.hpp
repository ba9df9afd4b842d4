// A made-up pool around the supervisor, for its simulation: processes that pop tasks from a ring, compute, write
// checkpoints and publish completions; drivers that fill slots and free them; a clock; and every fault that the
// supervisor must handle. After each event it checks the invariants, and throws Broken if one of its own does not hold.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/random.hpp"
#include "coordinator/decide/hosting.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti::test {

struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct WorldSetting {
  std::uint64_t seed = 0;
  SupervisorSetting supervisor;
  std::uint32_t steps = 200;  ///< with faults, before the world calms down
  std::uint32_t calls = 3;
  std::uint32_t faults = 10;  ///< percent of the steps
  bool stuck = false;         ///< some processes do not end when they are killed
  bool nan = false;
  bool nonsense = false;     ///< stages that read rows may find that their index is nonsense
  bool kills = true;         ///< processes die, and break the protocol
  bool freezes = true;       ///< processes stop and never continue
  bool never_ready = false;  ///< once all members have run, no further process becomes ready
  bool cursed = false;       ///< the first member dies on every segment that it is to predict
  bool shared = false;       ///< several members share a worker
  bool chained = false;      ///< some members have stages
  ByRank<Round> rounds{};    ///< when members are asked to predict, by rank; empty: at once
  bool trains = true;        ///< members are trained, too; none of them has replicas
  bool renews = false;       ///< units get new versions
  bool comes = false;        ///< members come and go; one that comes has a worker of its own, and none is trained
  bool slow = false;         ///< each process gets a thousandth of a processor, and a hundred times as much time passes
  /// Parts of the errors with which the pool may fail. Empty if every member can live and no budget limits it.
  std::vector<std::string> may_fail_with;
};

class World {
 public:
  explicit World(WorldSetting setting);
  /// Runs for a random time with faults, and then without faults until all calls have ended.
  void run();

  bool failed() const { return failed_; }
  const std::string& failure() const { return failure_; }
  const FaultCounts& counts() const { return supervisor_.counts(); }
  std::uint64_t finished() const { return finished_; }
  std::uint64_t repeated() const { return repeated_; }
  std::uint64_t checkpoints_used() const { return checkpoints_used_; }
  /// Later rounds that asked somebody.
  std::uint64_t rounds() const { return rounds_; }
  /// Workers that retired for a new version, and new versions that were not there any more when they were to take over.
  std::uint64_t retired() const { return retired_; }
  std::uint64_t called_off() const { return called_off_; }
  /// Members that came, and those that went.
  std::uint64_t came() const { return came_; }
  std::uint64_t went() const { return went_; }
  /// Answers that a stage could not use.
  std::uint64_t refused() const { return refused_; }
  /// Members that got a worker of their own.
  std::uint64_t moved() const { return moved_; }
  bool absent(Rank rank) const { return supervisor_.absent(rank); }
  std::size_t members() const { return members_.size(); }

 private:
  using Time = Supervisor::Time;
  struct Order {
    enum class Kind { begin, restore, save } kind;
    Seat seat{};
    std::uint32_t file = 0;
  };
  /// The state of a member: which contents it has trained on, in which order, and its state when this training began.
  struct Learnt {
    void begin() {
      if (begun && hash == 0) return;  // a second time changes nothing
      before = mix(before ^ hash ^ 1);
      hash = 0;
      begun = true;
    }
    std::uint64_t before = 0;
    std::uint64_t hash = 0;
    bool begun = false;
    std::int64_t up_to = -1;  ///< segment
  };
  struct File {
    Learnt learnt;
    bool torn = true;
  };
  struct Process {
    WorkerId worker;
    Generation generation;
    bool ready = false, begun = false, killed = false, frozen = false, stuck = false, distrusted = false;
    std::uint64_t version = 0;
    std::deque<Order> orders;
    std::deque<TaskRecord> ring;  ///< not answered
    bool computed = false;        ///< the first of them, but its completion is not published
    std::deque<CompletionRecord> published;
    std::uint32_t unread = 0;  ///< handed out, and its completion not reported
    std::map<Seat, Learnt> learnt;
    std::uint64_t batches = 0;
    ProcessActivity activity;
  };
  struct Segment {
    SlotId slot{};
    TaskKind kind = TaskKind::predict;
    std::uint64_t content = 0;
    ByRank<bool> asked;
    ByRank<std::optional<std::pair<WorkerId, Generation>>> accepted;  ///< from whom
    bool finished = false;
    Round round{};                             ///< the last that asked
    std::uint32_t images = 5;                  ///< for so many
    ByRank<bool> later{};                      ///< asked in a later round, perhaps
    std::map<Rank, std::uint64_t> versions{};  ///< of those who have answered
  };
  struct Told {
    WorkerId worker;
    CompletionRecord record;
  };
  struct Member {
    std::array<File, 2> files;
    Learnt expected;  ///< the state that it should have
    Learnt saved;
    std::optional<Told> last_accepted;
    std::optional<Told> old;  ///< from a generation that is gone
  };
  struct Call {
    bool train = false;
    bool cancelled = false;  ///< ends without a last segment, and saves nothing
    std::uint32_t segments = 0;
    std::uint32_t opened = 0;
    std::uint32_t finished = 0;
    enum class Stage { begin, begin_told, work, save, save_told, done } stage = Stage::work;
    ByRank<bool> asked;
  };

  std::uint64_t draw(std::uint64_t below);
  bool chance(std::uint32_t percent) { return draw(100) < percent; }
  void must(bool condition, const char* what) const;

  // ---- what happens
  bool random_step();
  void renew();
  bool come_or_go();
  void come();
  bool let_go();
  bool is_asked(Rank rank) const;
  void fault();
  void calm();
  bool calm_round();
  bool act(Process& process);
  void choose_task(Process& process);
  bool may_obey(const Process& process);
  void obey(Process& process);
  void compute(Process& process);
  void publish(Process& process);
  bool report(Process& process);
  void report_all(Process& process);
  void judge(Process& process, const CompletionRecord& record, Acceptance acceptance);
  CompletionRecord draw_completion(Rank rank, const TaskRecord& task);
  void note_author(Process& process, Rank rank) const;
  void refused(Rank rank, const CompletionRecord& record);
  void end(Process& process);
  void lie(Process& process);
  void end_killed();
  void stall();
  void pass_time(double seconds);
  void pass_time_to_wake();
  void look_after(double seconds);
  Process* any_process();

  // ---- drivers
  bool drive();
  bool drive_command(Call& call);
  bool open(Call* call);
  bool deliver();
  bool judge_one();
  std::optional<SlotId> free_slot();
  Call make_call();

  // ---- actions
  void carry_out(bool all);
  void perform(const action::Move& move);
  void perform(const action::Retire& retire);
  void perform(const action::Superseded& done);
  void perform(const action::Vacate& vacate);
  void perform(const action::Spawn& spawn);
  void perform(const action::Begin& begin);
  void perform(const action::Prepare& prepare);
  void perform(const action::Tell& tell);
  void perform(const action::HandOut& hand_out);
  void perform(const action::Kill& kill);
  void perform(const action::Abandon& abandon);
  void perform(const action::Hold& hold);
  void perform(const action::Release& release);
  void perform(const action::Judge& judge);
  void perform(const action::Finish& finish);
  void perform(const action::CommandDone& done);
  void perform(const action::FailCall& fail);
  void perform(const action::Fail& fail);
  void perform(const action::Say& say);
  Process& process_of(WorkerId worker);
  Process& process_of(Rank rank) { return process_of(supervisor_.hosting().only_worker_of(rank)); }
  const std::vector<Rank>& unit_of(const Process& process) const {
    return supervisor_.hosting().members_of(process.worker);
  }
  Rank rank_of(const Process& process, Seat seat) const { return unit_of(process)[seat.value()]; }
  Rank any_member(const Process& process) { return unit_of(process)[draw(unit_of(process).size())]; }
  bool any_in_a_ring() const;
  void check_saved();
  void check_state() const;
  void check_end();
  void check_failure();

  WorldSetting setting_;
  std::uint64_t drawn_ = 0;
  Time now_{};
  Supervisor supervisor_;
  ByRank<Member> members_;
  ByWorker<std::unique_ptr<Process>> processes_;
  std::vector<std::unique_ptr<Process>> ghosts_;  // abandoned
  std::map<SegmentId, Segment> segments_;
  std::map<SegmentId, Call*> of_call_;  // segments in work
  BySlot<std::uint64_t> slots_;         // content
  BySlot<bool> driven_;                 // filled and not delivered
  BySlot<int> holds_;
  std::deque<SegmentId> to_judge_;
  std::deque<SlotId> undelivered_;  // slots of finished segments
  std::deque<Call> calls_;          // the first is running
  bool commanded_ = false;
  bool broken_off_ = false;  // a training was cut short: a worker that dies goes back to its last checkpoint
  Supervisor::Command command_ = Supervisor::Command::save;
  bool failed_ = false;
  bool calm_ = false;
  bool all_ran_ = false;
  std::string failure_;
  std::uint64_t finished_ = 0;
  std::uint64_t repeated_ = 0;
  std::uint64_t checkpoints_used_ = 0;
  std::uint64_t said_ = 0;
  std::uint64_t moved_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t rounds_ = 0;         // later ones
  std::optional<WorkerId> renewed_;  // a worker of the unit, or of the chain, whose new version waits
  std::map<WorkerId, std::uint64_t> versions_;
  std::uint64_t retired_ = 0;
  std::uint64_t called_off_ = 0;
  std::set<Rank> vacant_;        // places that nobody has
  std::optional<Rank> leaving_;  // goes when no call asks it any more
  std::uint64_t came_ = 0;
  std::uint64_t went_ = 0;
  std::uint64_t unsaid_ = 0;  // deaths that nobody is told of
};

}  // namespace tutti::test
