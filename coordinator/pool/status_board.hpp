// What status() returns: a snapshot that the loop updates and any thread reads. It decides nothing.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <optional>
#include <vector>

#include <tutti/status.hpp>

#include "common/mutex.hpp"
#include "common/wire/control.hpp"
#include "common/wire/records.hpp"
#include "coordinator/decide/supervisor.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/pool/batch_sizes.hpp"
#include "coordinator/pool/roster.hpp"
#include "coordinator/process/loop_thread.hpp"

namespace tutti {

/// Thread-safe.
class StatusBoard {
 public:
  /// `plan` outlives it.
  explicit StatusBoard(const Plan& plan);

  // ---- any thread
  /// `input_bytes`: copied into the arena so far. The place of a member that has gone stays, without a name, until
  /// another takes it.
  Status read(StatusDetail detail, std::uint64_t input_bytes) const;
  void failed();
  /// The pool has ended; one that had failed stays failed.
  void stopped();

  // ---- the loop
  /// The CPU time of the calling thread is reported as the coordinator's.
  void watch_this_thread() TUTTI_REQUIRES(on_loop);
  /// False if the pool has failed meanwhile.
  bool all_ready(double seconds) TUTTI_REQUIRES(on_loop);
  /// `first`: it is the first of the member's workers, for which the member's backend stands.
  void ready(bool first, Rank rank, const control::Ready& ready) TUTTI_REQUIRES(on_loop);
  /// The member has another model now, of this kind.
  void changed(Rank rank, const std::string& kind) TUTTI_REQUIRES(on_loop);
  /// Another member takes this place, which was vacant, or is the next one.
  void joins(Rank rank, const MemberRequest& request, const WorkerPlan& worker) TUTTI_REQUIRES(on_loop);
  /// The member of this place has gone.
  void vacated(Rank rank) TUTTI_REQUIRES(on_loop);
  void handed_out(Rank rank) TUTTI_REQUIRES(on_loop);
  void answered(WorkerId worker, Rank rank, const CompletionRecord& record) TUTTI_REQUIRES(on_loop);
  void missed_wake_ups(int count) TUTTI_REQUIRES(on_loop);
  void stalled() TUTTI_REQUIRES(on_loop);
  /// left_behind(): a process does not end even after SIGKILL. The other: it has ended after all.
  void left_behind(int pid) TUTTI_REQUIRES(on_loop);
  void ended_after_all(int pid) TUTTI_REQUIRES(on_loop);
  /// These batches are final. What was counted so far, including the `input_bytes` that were copied, belongs to the
  /// trials and is subtracted; the supervisor's counts at the next refresh().
  void settled(ByRank<BatchChoice> choices, double seconds, const Supervisor& supervisor, std::uint64_t input_bytes)
      TUTTI_REQUIRES(on_loop);
  /// Copies the state of supervisor and roster. `tried_segments` of the supervisor's segments were trials.
  void refresh(const Supervisor& supervisor, const Roster& roster, std::uint64_t tried_segments, int fork_server_pid)
      TUTTI_REQUIRES(on_loop);
  /// Whether the supervisor has counted something since the last refresh().
  bool is_behind(const Supervisor& supervisor) const TUTTI_REQUIRES(on_loop) { return told_ != supervisor.counts(); }

 private:
  double loop_cpu_seconds() const TUTTI_REQUIRES(mutex_);

  const Plan& plan_;

  FaultCounts told_ TUTTI_GUARDED_BY(on_loop);  // the supervisor's, at the last refresh()

  mutable Mutex mutex_;
  Status status_ TUTTI_GUARDED_BY(mutex_);  // its members by rank of the plan: stages among them
  std::uint64_t tried_bytes_ TUTTI_GUARDED_BY(mutex_) = 0;
  std::uint64_t tried_set_aside_ TUTTI_GUARDED_BY(mutex_) = 0;
  std::optional<pthread_t> loop_thread_ TUTTI_GUARDED_BY(mutex_);
};

}  // namespace tutti
