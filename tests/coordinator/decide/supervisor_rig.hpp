// A supervisor with a clock, and its actions as short texts, for the step-by-step tests.
#pragma once

#include <deque>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "coordinator/decide/supervisor.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::test {

struct Texts : std::vector<std::string> {
  using std::vector<std::string>::vector;
  friend std::ostream& operator<<(std::ostream& out, const Texts& texts) {
    for (const std::string& text : texts) out << "\n  " << text;
    return out;
  }
};

/// Members "m0 on cpu:0", "m1 on cpu:1", ..., in segments of 10 images.
SupervisorSetting rig_setting(std::size_t members, std::uint32_t slots = 4);
/// Worker 0 is on cpu:0, and so on.
void set_hosting(SupervisorSetting& setting, Hosting hosting);

class Rig {
 public:
  explicit Rig(SupervisorSetting setting);
  /// All are started and ready, and no action is left.
  static Rig running(SupervisorSetting setting);

  /// The actions, one text each; a segment that is finished is also closed:
  ///   move 1 from 0 to 2     retire 0     vacate 0     superseded, not superseded: ...     spawn 0 g1     begin 0
  ///   prepare 0, prepare 0 from 1     tell 0     task 0 s7, task 0 s7 c1     kill 0 abandon 0 g1   hold 2      release
  ///   2     judge 7     finish 7     command done, command done:
  ///   ...     fail:
  ///   ...     fail call of s7: ...     line     with replicas: task 0 to 1 s7, task 0 to 1 s7 too
  Texts take();

  void pass(double seconds);
  void tick() { supervisor.tick(now); }
  void ready(std::size_t worker, double batch_seconds = 0) {
    supervisor.ready(WorkerId(worker), WorkerLife::Seconds(batch_seconds), now);
  }
  void done(std::size_t rank, const std::string& problem = {}) { supervisor.done(Rank(rank), {problem, {}}, now); }
  void dies(std::size_t worker, const std::string& how = "killed by SIGKILL") {
    supervisor.gone(WorkerId(worker), {how, false, {}}, now);
  }
  /// The results of a segment that take() saw being finished.
  const Ledger::Segment& closed(SegmentId segment) const { return closed_.at(segment); }
  /// Opens the next segment for all members and returns its number; slots are used in turn, its index is the number +
  /// 100.
  std::optional<SegmentId> open(TaskKind kind = TaskKind::predict, bool last = false, const Terms& terms = {});
  /// The same for these members.
  std::optional<SegmentId> open(const ByRank<bool>& asked, TaskKind kind = TaskKind::predict, bool last = false,
                                const Terms& terms = {});
  /// The oldest task that take() saw being handed to this member.
  const TaskRecord& task(std::size_t rank) const { return tasks_[Rank(rank)].front(); }
  /// Answers that task.
  Acceptance answer(std::size_t rank, CompletionStatus status = CompletionStatus::done);
  /// The same for the oldest task of a worker, which may be a replica.
  Acceptance answer_as(std::size_t worker, CompletionStatus status = CompletionStatus::done);
  static CompletionRecord answer_to(const TaskRecord& task, CompletionStatus status = CompletionStatus::done);
  /// Carries out begin_training for all.
  void begin_training();

  Supervisor::Time now{};
  Supervisor supervisor;
  std::optional<Error> error;             ///< of the last Fail or FailCall
  std::optional<std::uint64_t> blamed{};  ///< image, of the last FailCall

 private:
  std::string text_of(const Action& action);

  std::size_t members_;
  std::uint32_t slots_;
  std::uint32_t opened_ = 0;
  ByRank<std::deque<TaskRecord>> tasks_;          // that its worker has
  std::vector<std::deque<TaskRecord>> tasks_of_;  // by worker
  std::map<SegmentId, Ledger::Segment> closed_;
};

inline SupervisorSetting with_policy(OnWorkerFailure policy, std::optional<std::uint32_t> limit,
                                     std::size_t members = 2) {
  auto setting = rig_setting(members);
  setting.policy.on_worker_failure = policy;
  setting.policy.restart_limit = limit;
  return setting;
}

/// The worker dies on its task; its replacement gets the task again.
inline void die_again(Rig& rig, std::size_t rank) {
  rig.dies(rank);
  rig.pass(5);
  rig.tick();
  rig.ready(rank);
}

}  // namespace tutti::test
