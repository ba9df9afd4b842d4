// The half of the world in which drivers fill slots, and the supervisor's actions are carried out and checked.
#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "common/random.hpp"
#include "tests/coordinator/decide/supervisor_world.hpp"

namespace tutti::test {

// ---- drivers -------------------------------------------------------------------------------------------------------

World::Call World::make_call() {
  Call call;
  call.train = setting_.trains && chance(50);
  call.cancelled = call.train && chance(20);
  call.segments = static_cast<std::uint32_t>(1 + draw(12));
  call.stage = call.train ? Call::Stage::begin : Call::Stage::work;
  call.asked = ByRank<bool>(members_.size());
  for (const Rank rank : members_.ids()) call.asked[rank] = chance(80);
  call.asked[Rank(draw(members_.size()))] = true;
  for (const Rank rank : members_.ids()) call.asked[rank] = call.asked[supervisor_.chains().chain_of(rank).back()];
  return call;
}

std::optional<SlotId> World::free_slot() {
  for (const SlotId slot : slots_.ids())
    if (!driven_[slot] && holds_[slot] == 0) return slot;
  return std::nullopt;
}

/// False if the drivers can do nothing.
bool World::drive() {
  all_ran_ = all_ran_ || supervisor_.all_running();
  if (!all_ran_) return false;
  if (chance(50) && (judge_one() || deliver())) return true;
  if (calls_.empty()) return judge_one() || deliver();
  Call& call = calls_.front();
  if (call.stage == Call::Stage::done) {
    calls_.pop_front();
    return true;
  }
  if (!calm_ && chance(10) && open(nullptr)) return true;
  if (call.stage != Call::Stage::work) return drive_command(call) || judge_one() || deliver();
  if (call.opened < call.segments) return open(&call) || judge_one() || deliver();
  if (call.finished < call.segments) return judge_one() || deliver();
  call.stage = call.train && !call.cancelled ? Call::Stage::save : Call::Stage::done;
  return true;
}

bool World::drive_command(Call& call) {
  if (commanded_ || failed_) return false;
  const bool begin = call.stage == Call::Stage::begin;
  if (!begin && call.stage != Call::Stage::save) return false;
  call.stage = begin ? Call::Stage::begin_told : Call::Stage::save_told;
  command_ = begin ? Supervisor::Command::begin_training : Supervisor::Command::save;
  commanded_ = true;
  if (begin)
    for (Member& member : members_) member.expected.begin();
  broken_off_ = broken_off_ || call.cancelled;
  supervisor_.command(command_, now_);
  return true;
}

bool World::open(Call* call) {
  const auto slot = free_slot();
  if (!slot || failed_) return false;
  const auto in_use = [&](const Process& process) {
    return std::any_of(process.ring.begin(), process.ring.end(), [&](const auto& task) { return task.slot == *slot; });
  };
  // Each member of a unit computes one task at a time.
  const auto in_first_use = [&](const Process& process) {
    if (process.distrusted) return in_use(process);
    std::set<Seat> seats;
    return std::any_of(process.ring.begin(), process.ring.end(),
                       [&](const TaskRecord& task) { return seats.insert(task.seat).second && task.slot == *slot; });
  };
  for (const auto& process : processes_) must(!process || !in_use(*process), "a slot in use is free");
  // A process with SIGKILL pending starts no further task. What a worker that broke the protocol has read is unknown.
  for (const auto& ghost : ghosts_) {
    const bool all = ghost->distrusted || setting_.supervisor.modes.at(ghost->worker.value()) != UnitMode::loop;
    const bool used = all ? in_first_use(*ghost) : !ghost->ring.empty() && ghost->ring.front().slot == *slot;
    must(!used, "a slot that an abandoned process can read is free");
  }
  const TaskKind kind = call != nullptr && call->train ? TaskKind::train : TaskKind::predict;
  ByRank<bool> asked = call != nullptr ? call->asked : ByRank<bool>(members_.size(), true);
  const bool last = call != nullptr && call->opened + 1 == call->segments && !call->cancelled;
  for (const Rank rank : members_.ids())
    if (supervisor_.absent(rank) || (call == nullptr && supervisor_.chains().chain_of(rank).back() == leaving_))
      asked[rank] = false;
  const std::uint64_t content = mix(drawn_++);
  const ByRank<Round> rounds = kind == TaskKind::predict ? setting_.rounds : ByRank<Round>{};
  const auto number = supervisor_.open(*slot, 5, kind, asked, call != nullptr ? call->opened : 7, last, now_,
                                       {rounds, setting_.supervisor.quorum.has_value()});
  if (!number) carry_out(true);
  must(number.has_value() || failed_, "a segment is not opened though a member is left");
  if (!number) return true;
  slots_[*slot] = content;
  driven_[*slot] = true;
  Segment segment{*slot, kind, content, asked, {}, false};
  segment.later = ByRank<bool>(members_.size());
  for (const Rank rank : rounds.ids()) {
    segment.later[rank] = asked[rank] && rounds[rank] != Round{};
    segment.asked[rank] = asked[rank] && !segment.later[rank];
  }
  segment.accepted = ByRank<std::optional<std::pair<WorkerId, Generation>>>(members_.size());
  segments_.emplace(*number, std::move(segment));
  if (call == nullptr) return true;
  of_call_[*number] = call;
  ++call->opened;
  for (const Rank rank : members_.ids())
    if (call->train && asked[rank]) members_[rank].expected.hash = mix(members_[rank].expected.hash ^ content);
  return true;
}

bool World::deliver() {
  if (undelivered_.empty()) return false;
  driven_[undelivered_.front()] = false;
  undelivered_.pop_front();
  return true;
}

/// A driver finds that some samples need a later round, or that none do.
bool World::judge_one() {
  if (to_judge_.empty() || failed_) return false;
  const SegmentId number = to_judge_.front();
  to_judge_.pop_front();
  Segment& segment = segments_.at(number);
  std::vector<Round> next;
  for (const Rank rank : members_.ids())
    if (segment.later[rank] && setting_.rounds[rank] > segment.round) next.push_back(setting_.rounds[rank]);
  if (next.empty() || chance(30)) {
    segment.later = ByRank<bool>(members_.size());
    supervisor_.go_on(number, std::nullopt, now_);
    return true;
  }
  segment.round = next[draw(next.size())];
  segment.images = static_cast<std::uint32_t>(1 + draw(5));
  for (const Rank rank : members_.ids()) {
    if (!segment.later[rank] || setting_.rounds[rank] > segment.round) continue;
    segment.later[rank] = false;
    segment.asked[rank] = setting_.rounds[rank] == segment.round && !supervisor_.absent(rank);
  }
  ++rounds_;
  supervisor_.go_on(number, NextRound{segment.round, segment.images}, now_);
  return true;
}

/// Another version is ready; or one that was is not there any more.
void World::renew() {
  if (renewed_) {
    renewed_.reset();
    ++called_off_;
    return supervisor_.call_off(now_);
  }
  renewed_ = WorkerId(draw(processes_.size()));
  const Hosting& hosting = supervisor_.hosting();
  const std::vector<Rank> chain = supervisor_.chains().chain_of(hosting.members_of(*renewed_).front());
  std::vector<WorkerId> workers = chance(50) ? hosting.replicas_of(*renewed_) : std::vector{*renewed_};
  if (chain.size() > 1) {
    workers.clear();
    for (const Rank stage : chain) std::ranges::copy(hosting.workers_of(stage), std::back_inserter(workers));
  }
  supervisor_.supersede(std::move(workers), now_);
}

// ---- actions -------------------------------------------------------------------------------------------------------

void World::carry_out(bool all) {
  while (const auto action = supervisor_.next()) {
    must(!failed_, "there are actions after the end");
    std::visit([this](const auto& a) { perform(a); }, *action);
    if (!all && chance(50)) return;
  }
}

World::Process& World::process_of(WorkerId worker) {
  must(processes_[worker] != nullptr, "an order to a process that no longer exists");
  return *processes_[worker];
}

void World::perform(const action::Move& move) {
  must(move.to.value() == processes_.size(), "a member moves to a worker that is there");
  must(!processes_[move.from], "a member moves while it is hosted");
  must(supervisor_.hosting().only_worker_of(move.rank) == move.to, "a member moves elsewhere");
  processes_.push_back(nullptr);
  setting_.supervisor.modes.push_back(UnitMode::loop);
  ++moved_;
}

void World::perform(const action::Retire& retire) {
  must(renewed_.has_value(), "a worker retires without a new version");
  const std::vector<Rank>& unit = supervisor_.hosting().members_of(retire.worker);
  const std::vector<Rank>& wanted = supervisor_.hosting().members_of(*renewed_);
  must(unit == wanted || std::ranges::count(supervisor_.chains().chain_of(wanted.front()), unit.front()) == 1,
       "a worker of another unit retires");
  ++versions_[retire.worker];
  const Process* const process = processes_[retire.worker].get();
  must(process == nullptr || (process->ready && !process->killed && !process->distrusted), "an end is forgotten");
  must(process == nullptr || (process->unread == 0 && process->ring.empty()), "a worker retires with tasks");
  retired_ += process == nullptr ? 0 : 1;
  processes_[retire.worker].reset();
}

void World::perform(const action::Superseded& /*done*/) {
  must(renewed_.has_value(), "a new version takes over twice");
  renewed_.reset();
}

void World::perform(const action::Spawn& spawn) {
  must(!processes_[spawn.worker], "two processes of one worker");
  must(spawn.generation == supervisor_.generation(spawn.worker), "a process of the wrong generation");
  if (!calm_ && all_ran_ && chance(5))
    return supervisor_.spawn_failed(spawn.worker, Error(ErrorKind::failed, "could not start"), now_);
  auto process = std::make_unique<Process>();
  process->worker = spawn.worker;
  process->generation = spawn.generation;
  process->version = versions_[spawn.worker];
  process->frozen = all_ran_ && setting_.never_ready;
  processes_[spawn.worker] = std::move(process);
}

void World::perform(const action::Begin& begin) {
  Process& process = process_of(begin.worker);
  must(process.ready && !process.begun, "started twice, or too early");
  process.begun = true;
}

void World::perform(const action::HandOut& hand_out) {
  Process& process = process_of(hand_out.worker);
  must(rank_of(process, hand_out.task.seat) == hand_out.rank, "a task for a member that sits elsewhere");
  must(process.begun && std::ranges::count(process.orders, hand_out.task.seat, &Order::seat) == 0,
       "a task before the member is ready for it");
  must(hand_out.task.generation == process.generation, "a task of another generation");
  must(segments_.at(hand_out.task.segment).asked[hand_out.rank], "a task for a member that was not asked");
  const Segment& segment = segments_.at(hand_out.task.segment);
  const auto feeder = supervisor_.chains().feeder_of(hand_out.rank);
  must(!feeder || segment.accepted[*feeder].has_value(), "a stage has nothing to compute on");
  must(!feeder || segment.versions.at(*feeder) == process.version, "a segment is computed by stages of two versions");
  const Round round =
      segment.kind == TaskKind::predict && !setting_.rounds.empty() ? setting_.rounds[hand_out.rank] : Round{};
  must(hand_out.task.round == round, "a task of another round");
  must(hand_out.task.images == (round == Round{} ? 5 : segment.images) || round != segment.round,
       "a task for other samples");
  process.ring.push_back(hand_out.task);
  note_author(process, hand_out.rank);
  ++process.unread;
}

void World::perform(const action::Kill& kill) { process_of(kill.worker).killed = true; }

void World::perform(const action::Abandon& abandon) {
  Process& process = process_of(abandon.worker);
  must(process.stuck && process.killed && process.generation == abandon.generation, "a process is abandoned early");
  for (auto& [number, segment] : segments_)
    for (const Rank rank : unit_of(process))
      if (!segment.finished && segment.kind == TaskKind::predict &&
          !(supervisor_.chains().fed_from(rank) && supervisor_.segment(number).rows[rank].answered) &&
          segment.accepted[rank] == std::pair(abandon.worker, abandon.generation))
        segment.accepted[rank].reset();
  must(!abandon.checkpoints.empty(), "the files of a member are forgotten");
  for (const auto& [rank, valid] : abandon.checkpoints)
    must(!valid || !members_[rank].files[*valid].torn, "a checkpoint is kept that is not whole");
  ghosts_.push_back(std::move(processes_[abandon.worker]));
}

void World::perform(const action::Hold& hold) { ++holds_[hold.slot]; }

void World::perform(const action::Release& release) {
  must(--holds_[release.slot] >= 0, "a slot is released that was not held");
}

void World::perform(const action::Judge& judge) {
  const Segment& segment = segments_.at(judge.segment);
  must(!segment.finished, "a finished segment is judged");
  for (const Rank rank : members_.ids()) {
    const Ledger::Row& row = supervisor_.segment(judge.segment).rows[rank];
    must(row.answered == segment.accepted[rank].has_value(), "what is judged is not there");
  }
  to_judge_.push_back(judge.segment);
}

void World::perform(const action::Finish& finish) {
  Segment& segment = segments_.at(finish.segment);
  must(!segment.finished, "a segment is finished twice");
  segment.finished = true;
  ++finished_;
  const Ledger::Segment result = supervisor_.close(finish.segment);
  std::uint32_t present = 0;  // members, not the stages before their last
  for (const Rank rank : members_.ids())
    present += result.rows[rank].present && !supervisor_.chains().fed_from(rank) ? 1 : 0;
  const auto& quorum = setting_.supervisor.quorum;
  const bool cut = quorum && result.kind == TaskKind::predict && present >= quorum->members.value_or(1);
  must(result.slot == segment.slot && result.kind == segment.kind, "a segment is not what it was");
  must(result.kind == TaskKind::train || result.set_aside || present > 0, "a result without any member's answer");
  const auto is_starved = [&](Rank rank) {
    const auto chain = supervisor_.chains().chain_of(rank);
    return std::ranges::any_of(chain.begin(), std::ranges::find(chain, rank),
                               [&](Rank stage) { return result.rows[stage].answered && !result.rows[stage].present; });
  };
  for (const Rank rank : members_.ids()) {
    const Ledger::Row& row = result.rows[rank];
    must(row.asked == segment.asked[rank], "a row for a member that was not asked");
    must(result.set_aside || !segment.later[rank], "a later round was forgotten");
    must(!row.asked || row.answered != row.abandoned, "a row is open at the end");
    must(row.answered == segment.accepted[rank].has_value(), "an answer is missing, or was made up");
    must(!row.abandoned || supervisor_.absent(rank) || result.set_aside || cut || is_starved(rank),
         "an answer was given up without need");
  }
  undelivered_.push_back(segment.slot);
  if (const auto found = of_call_.find(finish.segment); found != of_call_.end()) {
    ++found->second->finished;
    of_call_.erase(found);
  }
}

void World::perform(const action::CommandDone& done) {
  must(commanded_ && !done.problem, "a command is done that was not given");
  commanded_ = false;
  if (command_ == Supervisor::Command::save) check_saved();
  if (calls_.empty()) return;
  auto& stage = calls_.front().stage;
  stage = command_ == Supervisor::Command::save ? Call::Stage::done : Call::Stage::work;
}

void World::check_saved() {
  for (const Rank rank : members_.ids()) {
    const Member& member = members_[rank];
    const bool same =
        member.saved.hash == member.expected.hash && (broken_off_ || member.saved.before == member.expected.before);
    must(supervisor_.absent(rank) || same, "a member's state differs from the one without faults");
  }
}

/// The driver gives the call up, and the segment continues as any other.
void World::perform(const action::FailCall& fail) {
  must(!segments_.at(fail.segment).finished, "a call fails by a segment that it has");
  must(segments_.at(fail.segment).kind == TaskKind::predict, "a training fails as a whole");
}

void World::perform(const action::Fail& fail) {
  failed_ = true;
  failure_ = fail.error.what();
}

void World::perform(const action::Say& say) {
  must(say.line.find('\n') == std::string::npos, "a line of several lines");
  ++said_;
}

}  // namespace tutti::test
