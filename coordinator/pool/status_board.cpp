#include "coordinator/pool/status_board.hpp"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "common/check.hpp"
#include "coordinator/pool/stages_status.hpp"

namespace tutti {

namespace {

MemberStatus status_of(const MemberRequest& request, const WorkerPlan& worker) {
  MemberStatus member;
  member.name = request.name;
  member.kind = kind_name(request.model);
  member.device = worker.device;
  member.cores = worker.cores;
  member.threads = request.threads;
  member.batch_images = request.batch_images;
  for (const Step& step : request.steps) member.steps.push_back(to_text(step));
  return member;
}

}  // namespace

StatusBoard::StatusBoard(const Plan& plan) : plan_(plan) {
  for (const Rank rank : IdRange<Rank>(plan.members.size())) {
    const WorkerPlan& worker = plan.host_of(rank);
    MemberStatus member = status_of(plan.request_of(rank), worker);
    member.batch_images_measured = plan.batches == Batches::measured_before;
    member.same_bits = worker.same_bits;
    member.forms = plan.members[rank.value()].forms;
    member.modes = plan.members[rank.value()].modes;
    if (plan.replicas_of(worker) > 1)
      for (std::uint32_t w = 0; w < plan.workers.size(); ++w)
        if (const WorkerPlan& replica = plan.workers[w]; replica.members == worker.members)
          member.replicas.push_back({.worker = w, .device = replica.device, .cores = replica.cores});
    status_.members.push_back(std::move(member));
  }
  status_.arena_bytes = plan.arena.bytes();
}

// ---- any thread ----------------------------------------------------------------------------------------------------

Status StatusBoard::read(StatusDetail detail, std::uint64_t input_bytes) const {
  Status status;
  {
    const MutexLock lock(mutex_);
    status = status_;
    TUTTI_CHECK(input_bytes >= tried_bytes_);
    status.input_bytes_copied = input_bytes - tried_bytes_;
    status.coordinator_cpu_seconds = loop_cpu_seconds();
  }
  const auto finished = [this, &status] {
    status.members = with_stages(plan_, std::move(status.members));
    return std::move(status);
  };
  if (detail == StatusDetail::counters) return finished();
  status.pss_bytes = pss_bytes(::getpid());
  if (status.fork_server_pid != 0)
    if (const auto shared = pss_bytes(status.fork_server_pid); shared && status.pss_bytes) *status.pss_bytes += *shared;
  std::map<int, std::optional<std::uint64_t>> by_pid;  // members may share a process
  const auto add = [&](int pid, MemberStatus& member) {
    if (pid == 0) return;
    const auto [found, first] = by_pid.try_emplace(pid);
    if (first) found->second = pss_bytes(pid);
    if (first && status.pss_bytes && found->second) *status.pss_bytes += *found->second;
    if (found->second) member.pss_bytes = member.pss_bytes.value_or(0) + *found->second;
  };
  for (MemberStatus& member : status.members) {
    if (member.replicas.empty()) add(member.alive ? member.pid : 0, member);
    for (const ReplicaStatus& replica : member.replicas) add(replica.pid, member);
  }
  return finished();
}

double StatusBoard::loop_cpu_seconds() const {
  clockid_t clock{};
  timespec time{};
  if (!loop_thread_ || ::pthread_getcpuclockid(*loop_thread_, &clock) != 0 || ::clock_gettime(clock, &time) != 0)
    return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

void StatusBoard::failed() {
  const MutexLock lock(mutex_);
  status_.state = PoolState::failed;
}

void StatusBoard::stopped() {
  const MutexLock lock(mutex_);
  loop_thread_.reset();  // the thread has ended
  if (status_.state != PoolState::failed) status_.state = PoolState::stopped;
}

// ---- the loop ------------------------------------------------------------------------------------------------------

void StatusBoard::watch_this_thread() {
  const MutexLock lock(mutex_);
  loop_thread_ = ::pthread_self();
}

bool StatusBoard::all_ready(double seconds) {
  const MutexLock lock(mutex_);
  if (status_.state != PoolState::starting) return false;
  status_.state = PoolState::ready;
  status_.start_up_seconds = seconds;
  return true;
}

void StatusBoard::ready(bool first, Rank rank, const control::Ready& ready) {
  const MutexLock lock(mutex_);
  MemberStatus& member = status_.members[rank.value()];
  if (first) member.backend = ready.backend;
  if (first) member.note = ready.note;
  member.output = ready.output;
  member.parts = ready.parts;
  member.parameters = ready.parameters;
  member.load_seconds = first ? ready.load_seconds : std::max(member.load_seconds, ready.load_seconds);
  member.warm_up_seconds = first ? ready.warm_up_seconds : std::max(member.warm_up_seconds, ready.warm_up_seconds);
}

void StatusBoard::changed(Rank rank, const std::string& kind) {
  const MutexLock lock(mutex_);
  status_.members[rank.value()].kind = kind;
}

void StatusBoard::joins(Rank rank, const MemberRequest& request, const WorkerPlan& worker) {
  const MutexLock lock(mutex_);
  while (status_.members.size() <= rank.value()) status_.members.emplace_back();
  status_.members[rank.value()] = status_of(request, worker);
}

void StatusBoard::vacated(Rank rank) {
  const MutexLock lock(mutex_);
  status_.members[rank.value()] = {};
}

void StatusBoard::handed_out(Rank rank) {
  const MutexLock lock(mutex_);
  ++status_.members[rank.value()].segments_handed_out;
}

void StatusBoard::answered(WorkerId worker, Rank rank, const CompletionRecord& record) {
  const MutexLock lock(mutex_);
  MemberStatus& member = status_.members[rank.value()];
  TUTTI_CHECK(member.segments_answered < member.segments_handed_out);
  ++member.segments_answered;
  member.images += record.images;
  const double busy_seconds = static_cast<double>(record.busy_nanoseconds) * 1e-9;
  member.busy_seconds += busy_seconds;
  const auto replica = std::ranges::find(member.replicas, worker.value(), &ReplicaStatus::worker);
  if (replica == member.replicas.end()) return;
  ++replica->segments_answered;
  replica->busy_seconds += busy_seconds;
}

void StatusBoard::missed_wake_ups(int count) {
  TUTTI_CHECK(count > 0);
  const MutexLock lock(mutex_);
  status_.faults.missed_wake_ups += static_cast<std::uint64_t>(count);
}

void StatusBoard::stalled() {
  const MutexLock lock(mutex_);
  ++status_.faults.stalls;
}

void StatusBoard::left_behind(int pid) {
  const MutexLock lock(mutex_);
  status_.faults.abandoned_pids.push_back(pid);
}

void StatusBoard::ended_after_all(int pid) {
  const MutexLock lock(mutex_);
  std::erase(status_.faults.abandoned_pids, pid);
}

void StatusBoard::settled(ByRank<BatchChoice> choices, double seconds, const Supervisor& supervisor,
                          std::uint64_t input_bytes) {
  const MutexLock lock(mutex_);
  TUTTI_CHECK(choices.size() == status_.members.size());
  status_.batch_search_seconds = seconds;
  tried_bytes_ = input_bytes;
  tried_set_aside_ = supervisor.counts().set_aside;
  for (const Rank rank : choices.ids()) {
    MemberStatus& member = status_.members[rank.value()];
    member.batch_images = choices[rank].batch_images;
    member.batch_images_measured = true;
    member.batch_speeds = std::move(choices[rank].speeds);
    member.segments_handed_out = member.segments_answered = member.images = 0;
    member.busy_seconds = 0;
    for (ReplicaStatus& replica : member.replicas) {
      replica.segments_answered = 0;
      replica.busy_seconds = 0;
    }
  }
}

void StatusBoard::refresh(const Supervisor& supervisor, const Roster& roster, std::uint64_t tried_segments,
                          int fork_server_pid) {
  told_ = supervisor.counts();
  const MutexLock lock(mutex_);
  FaultCounts faults = told_;
  TUTTI_CHECK(faults.set_aside >= tried_set_aside_, "counts only grow");
  faults.set_aside -= tried_set_aside_;
  // What only the pool knows.
  faults.missed_wake_ups = status_.faults.missed_wake_ups;
  faults.stalls = status_.faults.stalls;
  faults.abandoned_pids = std::move(status_.faults.abandoned_pids);
  status_.faults = std::move(faults);
  status_.fork_server_pid = fork_server_pid;
  for (const Rank rank : IdRange<Rank>(status_.members.size())) {
    MemberStatus& member = status_.members[rank.value()];
    supervisor.describe(rank, member);
    TUTTI_CHECK((member.state == WorkerState::absent) == member.absent_from_segment.has_value(),
                "a member is absent from some segment on");
    if (auto& from = member.absent_from_segment) *from -= std::min(*from, tried_segments);
    const auto pid_of = [&](WorkerId id) TUTTI_REQUIRES(on_loop) {
      const auto& worker = roster.worker(id);
      return worker && worker->alive() ? worker->pid() : 0;
    };
    const WorkerId first = supervisor.hosting().workers_of(rank).front();
    member.worker = first.value();
    member.pid = pid_of(first);
    member.alive = std::ranges::any_of(supervisor.hosting().workers_of(rank),
                                       [&](WorkerId id) TUTTI_REQUIRES(on_loop) { return pid_of(id) != 0; });
    for (ReplicaStatus& replica : member.replicas) {
      const WorkerId id(replica.worker);
      replica.pid = pid_of(id);
      replica.state = supervisor.state(id);
      replica.generation = supervisor.generation(id).value();
    }
  }
}

}  // namespace tutti
