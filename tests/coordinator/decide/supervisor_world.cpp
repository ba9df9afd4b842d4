#include "tests/coordinator/decide/supervisor_world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/random.hpp"

namespace tutti::test {
namespace {

// Far more than any call of the simulation takes.
constexpr int kRounds = 20'000;

}  // namespace

World::World(WorldSetting setting)
    : setting_(std::move(setting)),
      supervisor_(setting_.supervisor),
      members_(setting_.supervisor.names.size()),
      processes_(supervisor_.hosting().workers()),
      slots_(setting_.supervisor.slots),
      driven_(setting_.supervisor.slots),
      holds_(setting_.supervisor.slots) {
  setting_.supervisor.modes.resize(processes_.size());
  for (std::uint32_t n = 0; n < setting_.calls; ++n) calls_.push_back(make_call());
}

std::uint64_t World::draw(std::uint64_t below) { return random_at(setting_.seed, drawn_++) % below; }

void World::must(bool condition, const char* what) const {
  if (!condition) throw Broken(fmt::format("seed {}, draw {}: {}", setting_.seed, drawn_, what));
}

void World::run() {
  supervisor_.start(now_);
  carry_out(true);
  for (std::uint32_t step = 0; step < setting_.steps && !failed_; ++step) {
    const bool all = random_step();
    check_state();
    carry_out(all || chance(50));
    check_state();
  }
  calm();
  check_end();
}

// ---- what happens --------------------------------------------------------------------------------------------------

World::Process* World::any_process() { return processes_[WorkerId(draw(processes_.size()))].get(); }

/// True if the actions must be carried out before anything else happens.
bool World::random_step() {
  if (chance(setting_.faults)) {
    fault();
    return true;
  }
  if (setting_.renews && all_ran_ && chance(5)) {
    renew();
    return true;
  }
  if (setting_.comes && come_or_go()) return true;
  const std::uint64_t what = draw(100);
  if (what < 50) {
    if (Process* process = any_process()) act(*process);
  } else if (what < 75) {
    if (Process* process = any_process()) report(*process);
  } else if (what < 92) {
    drive();
  } else {
    pass_time(static_cast<double>(draw(40)) * 0.1);
    return true;
  }
  return renewed_.has_value();  // who retires does nothing more
}

void World::fault() {
  Process* const process = any_process();
  const std::uint64_t what = draw(100);
  if (what < 5) return stall();
  if (what < 8 && !ghosts_.empty()) {
    const auto ghost = std::move(ghosts_.front());
    ghosts_.erase(ghosts_.begin());
    return supervisor_.exited_late(ghost->worker, ghost->generation, now_);
  }
  if (process == nullptr) return;
  const Rank rank = any_member(*process);
  Member& member = members_[rank];
  if (what < 50) {
    if (!process->stuck && setting_.kills) end(*process);
  } else if (what < 65) {
    process->frozen = all_ran_ && setting_.freezes;  // at the first start that would end the pool
  } else if (what < 75) {
    if (!process->killed && setting_.kills) lie(*process);
  } else if (what < 85) {
    process->stuck = setting_.stuck;
  } else if (member.old && member.old->worker == process->worker &&
             member.old->record.generation < process->generation) {
    const CompletionRecord& old = member.old->record;
    const auto generation = chance(50) ? old.generation : process->generation;
    must(supervisor_.completion(process->worker, generation, old, now_) == Acceptance::dropped,
         "an answer of an earlier generation counts");
  }
}

void World::lie(Process& process) {
  const Rank rank = any_member(process);
  const auto& last = members_[rank].last_accepted;
  if (last && last->worker == process.worker && last->record.generation == process.generation && chance(50)) {
    const auto acceptance = supervisor_.completion(process.worker, process.generation, last->record, now_);
    must(process.distrusted || acceptance == Acceptance::violation, "an answer that comes twice is not a violation");
  } else if (!process.published.empty() && chance(50)) {
    CompletionRecord record = process.published.front();
    ++record.slot;
    const auto acceptance = supervisor_.completion(process.worker, process.generation, record, now_);
    must(process.distrusted || acceptance == Acceptance::violation, "a wrong answer is not a violation");
  } else {
    supervisor_.violation(process.worker, "it breaks the protocol", now_);
  }
  process.distrusted = true;
}

void World::end_killed() {
  for (const auto& process : processes_)
    if (process && process->killed && !process->stuck) end(*process);
  carry_out(true);
}

void World::stall() {
  end_killed();
  now_ += std::chrono::seconds(100);
  for (const auto& process : processes_)
    if (process) report_all(*process);
  supervisor_.stalled(now_);
}

void World::pass_time(double seconds) {
  end_killed();
  // As in the pool, one look finds the progress, a later one that a worker is quiet, and the next what it does
  // meanwhile.
  if (setting_.slow)
    for (const double wait : {0, 1}) look_after(wait);
  look_after(setting_.slow ? 100 * seconds : seconds);
  supervisor_.tick(now_);
}

/// What is due after a stall may have been due long ago.
void World::pass_time_to_wake() {
  const double wait = std::chrono::duration<double>(supervisor_.next_wake().value() - now_).count();
  pass_time(std::max(wait, 0.0) + 1e-9);
}

void World::look_after(double seconds) {
  now_ += std::chrono::duration_cast<Supervisor::Time::duration>(std::chrono::duration<double>(seconds));
  for (const auto& one : processes_) {
    if (!one) continue;
    Process& process = *one;
    const WorkerId worker = process.worker;
    // Before a process is abandoned, what it has published is read.
    if (process.begun && process.killed && !process.distrusted) report_all(process);
    if (process.begun) supervisor_.progress(worker, process.batches, now_);
    process.activity.runnable = process.frozen ? 0 : 1;
    process.activity.cpu_seconds += process.activity.runnable * seconds * (setting_.slow ? 0.001 : 1);
    if (supervisor_.to_be_watched(worker, now_)) supervisor_.watch(worker, process.activity, now_);
  }
}

// ---- processes -----------------------------------------------------------------------------------------------------

/// One step of a process. False if it can do nothing.
bool World::act(Process& process) {
  if (process.killed && !process.stuck) {
    end(process);
    return true;
  }
  if (process.killed || process.frozen) return false;
  if (!process.ready) {
    process.ready = true;
    supervisor_.ready(process.worker, {}, now_);
  } else if (may_obey(process)) {
    obey(process);
  } else if (process.computed) {
    publish(process);
  } else if (!process.ring.empty()) {
    choose_task(process);
    const TaskRecord& task = process.ring.front();
    if (setting_.cursed && rank_of(process, task.seat) == Rank(0) && task.kind == TaskKind::predict)
      end(process);
    else
      compute(process);
  } else {
    return false;
  }
  return true;
}

/// Members of a unit may compute at the same time: the tasks of each are answered in order, but not those of the unit.
void World::choose_task(Process& process) {
  if (setting_.supervisor.modes.at(process.worker.value()) == UnitMode::loop) return;
  const Seat seat = process.ring[draw(process.ring.size())].seat;
  const auto first = std::ranges::find(process.ring, seat, &TaskRecord::seat);
  const TaskRecord task = *first;
  process.ring.erase(first);
  process.ring.push_front(task);
}

void World::compute(Process& process) {
  const TaskRecord& task = process.ring.front();
  const Segment& segment = segments_.at(task.segment);
  must(slots_[task.slot] == segment.content, "a slot was filled again while a task needs its images");
  process.computed = true;
  ++process.batches;
  if (task.kind != TaskKind::train) return must(task.checkpoint == 0, "a prediction makes a checkpoint");
  Learnt& learnt = process.learnt[task.seat];
  must(static_cast<std::int64_t>(task.segment.value()) > learnt.up_to,
       "a segment is trained on twice, or out of order");
  learnt.hash = mix(learnt.hash ^ segment.content);
  learnt.up_to = static_cast<std::int64_t>(task.segment.value());
  if (task.checkpoint != 0) members_[rank_of(process, task.seat)].files[task.checkpoint - 1].torn = true;
}

void World::publish(Process& process) {
  const TaskRecord task = process.ring.front();
  process.ring.pop_front();
  process.computed = false;
  if (task.checkpoint != 0)
    members_[rank_of(process, task.seat)].files[task.checkpoint - 1] = {process.learnt[task.seat], false};
  process.published.push_back(draw_completion(rank_of(process, task.seat), task));
}

/// The pool reads one completion. False if there is none.
bool World::report(Process& process) {
  if (process.published.empty()) return false;
  const CompletionRecord record = process.published.front();
  process.published.pop_front();
  judge(process, record, supervisor_.completion(process.worker, process.generation, record, now_));
  return true;
}

void World::report_all(Process& process) {
  while (report(process)) {
  }
}

void World::judge(Process& process, const CompletionRecord& record, Acceptance acceptance) {
  --process.unread;
  const Rank rank = rank_of(process, record.seat);
  members_[rank].old = {process.worker, record};
  if (process.distrusted) return must(acceptance == Acceptance::dropped, "a worker that is not trusted is believed");
  if (acceptance == Acceptance::dropped) {
    carry_out(true);
    return must(failed_, "a right answer is dropped");
  }
  if (acceptance == Acceptance::refused) return refused(rank, record);
  Segment& segment = segments_.at(record.segment);
  auto& accepted = segment.accepted[rank];
  if (acceptance == Acceptance::repeated) {
    const bool by_sister = accepted && accepted->first != process.worker;
    const bool late = (setting_.supervisor.quorum || setting_.chained) && !accepted;
    must(late || (accepted && (segment.kind == TaskKind::train || by_sister)), "a task is repeated without need");
    ++repeated_;
  } else {
    must(acceptance == Acceptance::accepted, "a right answer is a violation");
    must(!accepted, "an answer counts twice");
    must(!segment.finished, "an answer to a finished segment counts");
    accepted = {process.worker, process.generation};
    segment.versions[rank] = process.version;
  }
  members_[rank].last_accepted = {process.worker, record};
}

void World::end(Process& process) {
  const WorkerId worker = process.worker;
  const Generation generation = process.generation;
  if (!process.distrusted) report_all(process);  // nothing is read after a violation
  if (renewed_) carry_out(true);                 // with its last answer it may have retired
  if (!processes_[worker] || processes_[worker]->generation != generation) return;
  Death death{"killed by SIGKILL", chance(10), {}};
  if (all_ran_ && chance(10)) death.words = control::Failure{"out of luck", "try again", false};
  const auto gone = std::move(processes_[worker]);
  // It was killed on its way, and there was no process in the end.
  if (gone->killed && !gone->ready && chance(30))
    return supervisor_.spawn_failed(worker, Error(ErrorKind::failed, "could not start"), now_);
  supervisor_.gone(worker, death, now_);
}

// ---- without faults, to the end ------------------------------------------------------------------------------------

void World::calm() {
  calm_ = true;
  carry_out(true);
  const auto over = [this] {
    return calls_.empty() && finished_ == segments_.size() && undelivered_.empty() && !renewed_ && !leaving_;
  };
  for (int round = 0; !failed_ && (!over() || any_in_a_ring()); ++round) {
    must(round < kRounds, "there is no end");
    if (calm_round()) continue;
    must(supervisor_.next_wake().has_value(), "nothing can happen any more");
    pass_time_to_wake();
    carry_out(true);
    check_state();
  }
}

/// What a sister was faster with may still be computed when the calls have ended, or read by one that was killed.
bool World::any_in_a_ring() const {
  return !setting_.trains &&
         std::ranges::any_of(processes_, [](const auto& one) { return one && (one->unread > 0 || one->killed); });
}

/// Every part does one thing. False if none could.
bool World::calm_round() {
  bool any = drive() || let_go();
  carry_out(true);
  for (std::size_t number = 0; number < processes_.size(); ++number) {  // more may come
    const WorkerId worker(number);
    if (failed_) break;
    if (Process* const process = processes_[worker].get()) any = report(*process) || any;
    carry_out(true);
    if (Process* const process = processes_[worker].get()) any = act(*process) || any;
    carry_out(true);
    check_state();
  }
  return any;
}

void World::check_state() const {
  supervisor_.check_invariants();
  for (const auto& process : processes_)
    must(!process || process->unread <= setting_.supervisor.slots * unit_of(*process).size(),
         "more tasks in flight than slots");
}

void World::check_end() {
  if (failed_) return check_failure();
  for (const auto& [number, segment] : segments_) must(segment.finished, "a segment was never finished");
  for (const auto& ghost : ghosts_) supervisor_.exited_late(ghost->worker, ghost->generation, now_);
  carry_out(true);
  // What a cancelled training left behind is dropped when the next one begins.
  Call call;
  call.stage = !setting_.trains ? Call::Stage::done : Call::Stage::begin;
  calls_.push_back(call);
  ghosts_.clear();
  while (commanded_ || calls_.front().stage == Call::Stage::begin) {
    const bool any = calm_round();
    must(any || supervisor_.next_wake().has_value(), "a command is never carried out");
    if (!any) pass_time_to_wake();
    carry_out(true);
    if (failed_) return check_failure();
  }
  for (const int holds : holds_) must(holds == 0, "a slot is held for ever");
  const FaultCounts& counts = supervisor_.counts();
  // Of a shared worker that is given up, each member has a line.
  const std::uint64_t events = counts.deaths + counts.not_finite_dropped - unsaid_;
  must(setting_.shared ? said_ >= events : said_ == events, "not one line per event");
  must(counts.hangs + counts.violations <= counts.deaths + processes_.size(), "the counts do not add up");
}

/// The failure is one that is allowed, and no later event changes anything.
void World::check_failure() {
  for (const WorkerId worker : processes_.ids()) {
    supervisor_.gone(worker, {"killed by SIGKILL", false, {}}, now_);
    supervisor_.spawn_failed(worker, Error(ErrorKind::failed, "could not start"), now_);
    supervisor_.ready(worker, {}, now_);
    supervisor_.violation(worker, "it breaks the protocol", now_);
  }
  for (const Rank rank : members_.ids()) {
    supervisor_.done(rank, {}, now_);
    if (const auto& last = members_[rank].last_accepted) supervisor_.completion(last->worker, 0, last->record, now_);
  }
  for (const auto& ghost : ghosts_) supervisor_.exited_late(ghost->worker, ghost->generation, now_);
  supervisor_.command(Supervisor::Command::save, now_);
  supervisor_.stalled(now_);
  supervisor_.tick(now_ + std::chrono::hours(1));
  must(!supervisor_.open(0, 1, TaskKind::train, ByRank<bool>(members_.size(), true), 0, true, now_),
       "a segment is opened after the end");
  must(!supervisor_.next_wake() && !supervisor_.next(), "something is decided after the end");
  const auto& allowed = setting_.may_fail_with;
  const auto says = [this](const std::string& part) { return failure_.find(part) != failure_.npos; };
  // Before all members were running, none is given up.
  if (!all_ran_ && setting_.supervisor.policy.restart_limit && says("its restart budget is spent")) return;
  must(std::any_of(allowed.begin(), allowed.end(), says), failure_.c_str());
}

}  // namespace tutti::test
