// The half of the pool that connects workers and supervisor: passes events and the time in, carries out actions.
#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "common/check.hpp"
#include "common/counted.hpp"
#include "common/kill_point.hpp"
#include "common/log.hpp"
#include "common/process_activity.hpp"
#include "coordinator/pool/pool.hpp"

namespace tutti {
namespace {

// How often progress and wake-ups are looked at while tasks are in flight.
constexpr std::chrono::milliseconds kTick{250};
// An idle replica waits for so long at most before it computes what another is late with.
constexpr std::chrono::milliseconds kSoon{1};
// A tick that is this late was not delayed by a busy machine: this process had been stopped.
constexpr std::chrono::seconds kStall{1};

}  // namespace

// ---- events --------------------------------------------------------------------------------------------------------

void Pool::on_spawned(WorkerProcess& worker) {
  if (over()) return;
  if (roster_.is_worker(worker)) note_chosen(worker.id());
  refresh_status();
}

void Pool::on_spawn_failed(WorkerProcess& worker, const Error& error) {
  const auto self = worker.shared_from_this();
  if (roster_.forget_leaving(worker)) return leave_when_gone();
  const bool late = roster_.forget(worker);
  if (roster_.is_spare(worker))
    roster_.spare_failed(worker, error);
  else if (roster_.is_successor(worker))
    successor_failed(error);
  else if (!over() && late)
    supervisor_.exited_late(worker.id(), worker.generation(), Clock::now());
  else if (!over() && roster_.is_worker(worker))
    supervisor_.spawn_failed(worker.id(), error, Clock::now());
  carry_out();
  leave_when_gone();
}

void Pool::on_ready(WorkerProcess& worker, const std::vector<control::Ready>& ready) {
  if (over()) return;
  if (roster_.is_spare(worker)) return roster_.keep_ready(worker, ready);
  if (roster_.is_successor(worker)) return successor_is_ready(worker, ready);
  if (!roster_.is_worker(worker)) return;  // it was told to leave
  take_ready(worker, ready);
  carry_out();
}

void Pool::take_ready(WorkerProcess& worker, const std::vector<control::Ready>& ready) {
  const std::vector<Rank>& unit = hosting().members_of(worker.id());
  TUTTI_CHECK(ready.size() == unit.size(), "each member of the unit is ready");
  double batch_seconds = 0;
  for (std::size_t seat = 0; seat < unit.size(); ++seat) {
    if (const std::string why = why_not_ready(unit[seat], ready[seat]); !why.empty()) return worker.violate(why);
    batch_seconds = std::max(batch_seconds, ready[seat].batch_seconds);
  }
  for (std::size_t seat = 0; seat < unit.size(); ++seat) {
    const Rank rank = unit[seat];
    if (!outputs_known_[rank]) outputs_[rank] = ready[seat].output;  // drivers read it from now on
    parts_[rank] = ready[seat].parts;
    outputs_known_[rank] = true;
    board_.ready(worker.id() == hosting().workers_of(rank).front(), rank, ready[seat]);
    if (!was_running_) say_ready(worker.id(), rank, ready[seat]);
  }
  supervisor_.ready(worker.id(), WorkerLife::Seconds(batch_seconds), Clock::now());
}

/// How the message breaks the protocol; empty if it does not.
std::string Pool::why_not_ready(Rank rank, const control::Ready& ready) const {
  const std::uint64_t width = elements_of(ready.output);
  if (width == 0 || width > kMaxWidth / std::max<std::uint32_t>(1, rows_of(rank)))
    return fmt::format("it says that it outputs {} per image", counted(width, "value"));
  std::uint64_t joined = 0;
  for (const NamedLayout& part : ready.parts) joined += part.layout.elements();
  if (!ready.parts.empty() && joined != width)
    return fmt::format("it says that it joins {} per image, and that it outputs {}", counted(joined, "value"), width);
  if (outputs_known_[rank] && outputs_[rank] != ready.output)
    return fmt::format("it outputs {} values per image, but the worker before it output {}", dims_text(ready.output),
                       dims_text(outputs_[rank]));
  return {};
}

void Pool::say_ready(WorkerId worker, Rank rank, const control::Ready& ready) const {
  const std::string name = supervisor_.place_of(worker, rank);
  log::info("{} is ready: loaded in {:.1f} s, warm after {:.1f} s", name, ready.load_seconds, ready.warm_up_seconds);
  if (!ready.note.empty()) log::info("{}: {}", name, ready.note);
}

void Pool::submit(const FilledSegment& filled) {
  if (over()) return;
  const std::size_t members = hosting().members();
  const auto segment = supervisor_.open(filled.slot, filled.images, filled.stream->kind, filled.stream->asked,
                                        filled.index, filled.last, Clock::now(), filled.stream->terms);
  if (segment && trace_ != nullptr) trace_->opened(filled.slot, *segment);
  batches_.note_segment();
  if (segment) {
    running_.emplace(*segment, Running{filled.stream, filled.index, ByRank<AnswerPlace>(members)});
    TUTTI_CHECK(running_.size() <= plan_.arena.slots, "every segment that is running has a slot");
  }
  kill_point("coordinator.segment_opened");
  carry_out();
}

void Pool::go_on(SegmentId segment, const std::optional<NextRound>& next) {
  if (over()) return;
  supervisor_.go_on(segment, next, Clock::now());
  carry_out();
}

void Pool::drop(const Stream* stream) {
  if (over()) return;
  drop_segments_of(stream);
  carry_out();
}

// Those that are not finished: their Finish comes later.
void Pool::drop_segments_of(const Stream* stream) {
  for (const auto& [segment, running] : running_)
    if (running.stream.get() == stream) supervisor_.drop(segment);
}

void Pool::on_completion(WorkerProcess& worker, const CompletionRecord& published) {
  if (over() || !roster_.is_worker(worker)) return;
  const CompletionRecord record = batches_.as_it_counts(published);
  const auto now = Clock::now();
  const Acceptance acceptance = supervisor_.completion(worker.id(), worker.generation(), record, now);
  if (trace_ != nullptr && ends_task(acceptance)) trace_->answered(worker.pid(), record, now);
  if (acceptance == Acceptance::accepted) {
    const Rank rank = hosting().members_of(worker.id())[record.seat.value()];
    running_.at(record.segment).places[rank] = {worker.channel(), record.seat};
    board_.answered(worker.id(), rank, record);
  }
  kill_point("coordinator.completion_accepted");
  carry_out();
}

void Pool::on_violation(WorkerProcess& worker, const std::string& what) {
  if (over() || !roster_.is_worker(worker)) return;
  supervisor_.violation(worker.id(), what, Clock::now());
  carry_out();
}

void Pool::on_gone(WorkerProcess& worker, const ExitStatus& status, const std::optional<control::Failure>& reason) {
  TUTTI_CHECK(!worker.alive());
  const auto self = worker.shared_from_this();
  const bool late = roster_.forget(worker);
  if (trace_ != nullptr) trace_->ended(worker.pid(), to_text(status), Clock::now());
  if (!over() && late) {
    board_.ended_after_all(worker.pid());
    supervisor_.exited_late(worker.id(), worker.generation(), Clock::now());
  } else if (roster_.is_spare(worker)) {
    roster_.drop_spare(worker);
    if (!over() && supervisor_.state(worker.id()) != WorkerState::absent && !worker.killed())
      log::warning("the spare worker of {} {}; there is none until the next replacement",
                   supervisor_.place_of(worker.id()), reason ? "failed: " + reason->text : to_text(status));
  } else if (roster_.is_successor(worker)) {
    successor_ended(status, reason);
  } else if (roster_.forget_leaving(worker)) {
    log::debug("the former worker {} of {} has left", worker.pid(), supervisor_.place_of(worker.id()));
  } else if (!over() && roster_.is_worker(worker)) {
    const auto* signaled = std::get_if<Signaled>(&status);
    const bool by_kernel = signaled != nullptr && signaled->signal == SIGKILL && !worker.killed();
    supervisor_.gone(
        worker.id(),
        {to_text(status), by_kernel && memory_watch_.look(), reason, worker.tasks_taken(), worker.ready_members()},
        Clock::now());
  }
  carry_out();
  leave_when_gone();
}

// ---- time ----------------------------------------------------------------------------------------------------------

// One timer for everything that depends on the time. It may fire a tick late, never too early, and not in an idle pool.
void Pool::arm_tick() {
  if (over()) return;
  const Clock::time_point now = Clock::now();
  if (tick_at_ && *tick_at_ <= now + kTick && supervisor_.only_answers_are_due()) return;
  auto wanted = supervisor_.next_wake();
  if (supervisor_.busy()) wanted = std::min(wanted.value_or(now + kTick), now + kTick);
  if (!wanted) return;
  const auto soon = supervisor_.next_soon();
  const bool in_time = tick_at_ && *tick_at_ <= *wanted + kTick && (!soon || *tick_at_ <= *soon + kSoon);
  if (in_time) return;
  tick_at_ = wanted;
  tick_timer_.expires_at(*wanted);
  tick_timer_.async_wait([this](const boost::system::error_code& cancelled) {
    assert_on_loop(loop_);
    if (!cancelled) tick();
  });
}

void Pool::tick() {
  if (over()) return;
  const Clock::time_point now = Clock::now();
  const bool stalled = now - tick_at_.value_or(now) > kStall;
  tick_at_.reset();
  if (stalled) {
    // Read what the workers did meanwhile before any deadline is checked.
    roster_.for_each_alive([](WorkerProcess& worker) TUTTI_REQUIRES(on_loop) { worker.drain_completions(); });
    board_.stalled();
    supervisor_.stalled(Clock::now());
    if (succession_ && !succession_->taken_over) limit_succession();
  }
  look_at_workers();
  supervisor_.tick(Clock::now());
  carry_out();
}

void Pool::look_at_workers() {
  for (const WorkerId id : hosting().worker_ids()) {
    const auto worker = roster_.worker(id);
    if (!worker || !worker->alive() || !worker->channel()) continue;
    // Read what a process has published before giving it up because it does not end.
    if (worker->killed()) worker->drain_completions();
    supervisor_.progress(worker->id(), worker->progress(), Clock::now());
    if (supervisor_.to_be_watched(worker->id(), Clock::now()))
      if (const auto activity = activity_of(worker->pid())) supervisor_.watch(worker->id(), *activity, Clock::now());
    const int missed = worker->count_missed_wake_ups();
    if (missed == 0) continue;
    log::warning("{}: {} missed wake-ups", supervisor_.place_of(id), missed);
    board_.missed_wake_ups(missed);
  }
}

// ---- actions -------------------------------------------------------------------------------------------------------

// An action may cause events, and these further actions, which are carried out in order here.
void Pool::carry_out() {
  if (carrying_out_) return;
  carrying_out_ = true;
  struct Reset {
    bool& flag;
    ~Reset() { flag = false; }
  } reset{carrying_out_};
  bool changed = false;
  while (!over()) {
    const auto next = supervisor_.next();
    if (!next) break;
    changed =
        changed || !(std::holds_alternative<action::HandOut>(*next) || std::holds_alternative<action::Judge>(*next) ||
                     std::holds_alternative<action::Finish>(*next));
    // A thread that an action wakes up must find the cause in the status.
    if (board_.is_behind(supervisor_)) refresh_status();
    std::visit([this](const auto& action) TUTTI_REQUIRES(on_loop) { perform(action); }, *next);
  }
  if (changed) dismiss_spares();
  if (changed || over() || board_.is_behind(supervisor_)) refresh_status();
  if (!was_running_ && !over() && supervisor_.all_running()) all_running();
  arm_tick();
}

// A worker that was given up needs no spare.
void Pool::dismiss_spares() {
  for (const WorkerId worker : hosting().worker_ids())
    if (supervisor_.state(worker) == WorkerState::absent) roster_.dismiss_spare(worker);
}

WorkerProcess& Pool::process_of(WorkerId worker) const {
  const auto& process = roster_.worker(worker);
  TUTTI_CHECK(process != nullptr, "an order is for a process");
  return *process;
}

void Pool::perform(const action::Spawn& spawn) {
  TUTTI_CHECK(spawn.generation == supervisor_.generation(spawn.worker));
  std::vector<control::Ready> ready;
  note_feed(spawn.worker);
  try {
    ready = roster_.take_worker(spawn.worker);
  } catch (const Error& error) {
    return supervisor_.spawn_failed(spawn.worker, error, Clock::now());
  }
  note_chosen(spawn.worker);
  if (!ready.empty()) take_ready(process_of(spawn.worker), ready);
}

/// The process, if it is there already, hosts the unit from now on.
void Pool::note_chosen(WorkerId worker) {
  const int pid = process_of(worker).pid();
  if (trace_ != nullptr && pid != 0)
    trace_->chosen(pid, hosting().members_of(worker), Generation(supervisor_.replaced(worker)), Clock::now());
}

void Pool::perform(const action::Begin& begin) {
  WorkerProcess& worker = process_of(begin.worker);
  TUTTI_CHECK(!worker.channel(), "a process gets one channel");
  try {
    worker.start(start_of(begin.worker));
  } catch (const Error& error) {
    if (!was_running_) return fail_on_loop(error);
    worker.give_up(control::failure_of(error));
  }
  if (trace_ != nullptr) trace_->begun(worker.pid(), Clock::now());
  if (was_running_ && batches_.settled()) roster_.make_spare(begin.worker);
}

void Pool::perform(const action::HandOut& hand_out) {
  WorkerProcess& worker = process_of(hand_out.worker);
  if (trace_ != nullptr) trace_->handed_out(worker.pid(), hand_out.task, Clock::now());  // before it can be popped
  TaskRecord task = hand_out.task;
  task.batch_images = batches_.of(hand_out.rank);
  TUTTI_CHECK(task.batch_images > 0);
  TUTTI_CHECK(task.batch_images <= plan_.arena.images);
  const AnswerPlace feed = feed_of(task.segment, hand_out.rank);
  worker.hand_out(task, feed.channel, feed.seat);
  if (!hand_out.second) board_.handed_out(hand_out.rank);
}

void Pool::perform(const action::Kill& kill) { process_of(kill.worker).kill(); }

void Pool::perform(const action::Abandon& abandon) {
  const int pid = process_of(abandon.worker).pid();
  board_.left_behind(pid);
  log::error("worker {} of {} does not end even after SIGKILL; it is left behind", pid,
             supervisor_.place_of(abandon.worker));
  roster_.abandon(abandon.worker);
  for (const auto& [rank, file] : abandon.checkpoints) checkpoint_files_.leave_behind(rank, file);
}

void Pool::perform(const action::Judge& judge) {
  const Running& running = running_.at(judge.segment);
  exchange_->judge(*running.stream, judge.segment, {supervisor_.segment(judge.segment), running.places});
}

void Pool::perform(const action::Finish& finish) {
  const auto found = running_.find(finish.segment);
  TUTTI_CHECK(found != running_.end());
  FinishedSegment finished{supervisor_.close(finish.segment), std::move(found->second.places)};
  for (const Rank rank : finished.places.ids()) {
    const AnswerPlace& place = finished.places[rank];
    TUTTI_CHECK(place.channel || !finished.segment.rows[rank].present, "the answers that count can be read");
    TUTTI_CHECK(!place.channel || place.channel->layout().width(place.seat) == elements_of(outputs_[rank]));
  }
  kill_point("coordinator.segment_done");
  exchange_->finish(*found->second.stream, found->second.index, std::move(finished));
  running_.erase(found);
}

void Pool::perform(const action::FailCall& fail) {
  const Running& running = running_.at(fail.segment);
  if (trace_ != nullptr) trace_->said(fail.error.message(), Clock::now());
  exchange_->fail_call(*running.stream, fail.error, running.index, fail.image);
  drop_segments_of(running.stream.get());  // its driver may be busy
}

void Pool::perform(const action::Say& say) {
  log::warning("{}", say.line);
  if (trace_ != nullptr) trace_->said(say.line, Clock::now());
}

}  // namespace tutti
