#include "coordinator/decide/worker_life.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "common/check.hpp"
#include "coordinator/decide/later.hpp"

namespace tutti {
namespace {

// With `automatic`, a batch may take this many times as long as the slowest so far.
constexpr double kTimesSlowest = 20;
// A worker without progress for so long is watched. Ordinary batches are faster, and cost nothing.
constexpr WorkerLife::Seconds kQuiet{1};

/// The phase after an event, with the same number as in Phase; or why there is none.
enum class Next : std::uint8_t { waiting, starting, preparing, running, ending, given_up, late, lie, bug };

constexpr std::array<const char*, 8> kBug{
    "a worker is spawned only while it waits",
    "every phase of a worker has `ready`",
    "a worker is prepared once, after it was ready",
    "a worker is killed only while there is one",
    "a worker goes only if there is one",
    "a worker is given up only while it waits",
    "a worker is retired only while it runs",
    "a worker is dismissed only while it runs",
};

Next next_of(WorkerLife::Phase phase, WorkerLife::Event event) {
  using enum Next;
  // clang-format off
  static constexpr std::array<std::array<Next, 8>, 6> kTable{{
      // spawn   ready      prepared kill    gone     give_up   retire   dismiss
      {starting, late,      bug,     late,   late,    given_up, bug,     bug},       // waiting
      {bug,      preparing, bug,     ending, waiting, bug,      bug,     bug},       // starting
      {bug,      lie,       running, ending, waiting, bug,      bug,     bug},       // preparing
      {bug,      lie,       bug,     ending, waiting, bug,      waiting, given_up},  // running
      {bug,      late,      bug,     late,   waiting, bug,      bug,     bug},       // ending
      {bug,      late,      bug,     late,   late,    bug,      bug,     bug},       // given_up
  }};
  // clang-format on
  return kTable.at(static_cast<std::size_t>(phase)).at(static_cast<std::size_t>(event));
}

}  // namespace

WorkerLife::WorkerLife(const Setting& setting, Generation first)
    : budget(setting.policy.restart_limit, Seconds(setting.policy.restart_window), Seconds(setting.policy.back_off)),
      setting_(setting),
      first_(first) {}

WorkerLife::Step WorkerLife::step(Event event) {
  const Next next = next_of(phase_, event);
  TUTTI_CHECK(next != Next::bug, kBug[static_cast<std::size_t>(event)]);
  if (next == Next::late) return Step::late;
  if (next == Next::lie) return Step::lie;
  phase_ = static_cast<Phase>(next);
  deadline_.reset();
  return Step::taken;
}

// ---- events --------------------------------------------------------------------------------------------------------

void WorkerLife::spawn(Time now) {
  step(Event::spawn);
  ++spawned_;
  spawned_at_ = now;
  deadline_ = start_deadline(now);
}

WorkerLife::Step WorkerLife::ready(Seconds batch, Time now) {
  const Step taken = step(Event::ready);
  if (taken != Step::taken) return taken;
  deadline_ = start_deadline(now);
  // The worker may say anything, but its batch cannot have taken longer than the worker has been there.
  if (batch > Seconds(0)) clock.expect(std::min(batch, Seconds(now - spawned_at_)));
  return taken;
}

void WorkerLife::prepared() {
  step(Event::prepared);
  ran_ = true;
  budget.became_ready();
  clock.reset();
}

WorkerLife::Step WorkerLife::kill(WorkerFault fault, Time now) {
  const Step taken = step(Event::kill);
  if (taken != Step::taken) return taken;
  fault_ = std::move(fault);
  deadline_ = later(now, setting_.kill_deadline);
  return taken;
}

WorkerLife::Step WorkerLife::gone() {
  const Step taken = step(Event::gone);
  if (taken == Step::taken) forget_process();
  return taken;
}

void WorkerLife::forget_process() {
  ran_ = false;
  distrusted_ = false;
  worked_ = false;
  fault_.reset();
}

void WorkerLife::retire() {
  step(Event::retire);
  forget_process();
  ++retired_;
}

void WorkerLife::dismiss() {
  step(Event::dismiss);
  forget_process();
  dismissed_ = true;
}

void WorkerLife::renew() {
  pardon();
  clock = ProgressClock();
  pace = Pace();
}

void WorkerLife::worked() {
  budget.worked();
  missed_ = 0;
  spoiled_ = 0;
  worked_ = true;
}

void WorkerLife::pardon() {
  budget = RestartBudget(setting_.policy.restart_limit, Seconds(setting_.policy.restart_window),
                         Seconds(setting_.policy.back_off));
  missed_ = 0;
  spoiled_ = 0;
}

void WorkerLife::count_death() {
  TUTTI_CHECK(deaths_ + retired_ < spawned_, "a process dies only once");
  ++deaths_;
}

void WorkerLife::give_up() { step(Event::give_up); }

WorkerLife::Seconds WorkerLife::wait_for_replacement(Seconds at_least, Time now) {
  TUTTI_CHECK(phase_ == Phase::waiting);
  const Seconds delay = std::max(budget.delay(), at_least);
  deadline_ = later(now, delay);
  return delay;
}

void WorkerLife::stalled(Time now) {
  clock.stalled(now);
  pace.stalled(now);
  if (!deadline_) return;
  if (phase_ == Phase::starting || phase_ == Phase::preparing) deadline_ = start_deadline(now);
  if (phase_ == Phase::ending) deadline_ = later(now, setting_.kill_deadline);
}

// ---- deadlines -----------------------------------------------------------------------------------------------------

std::optional<WorkerLife::Time> WorkerLife::start_deadline(Time now) const {
  if (!setting_.deadlines) return std::nullopt;
  return later(now, setting_.start_deadline);
}

std::optional<WorkerLife::Time> WorkerLife::due(Duty duty) const {
  using Deadline = config::FailureSpec::Deadline;
  if (phase_ != Phase::running) return deadline_;
  const config::FailureSpec& policy = setting_.policy;
  if (duty == Duty::nothing || !setting_.deadlines || policy.progress == Deadline::off) return std::nullopt;
  Seconds deadline(policy.progress_deadline);
  if (policy.progress == Deadline::automatic) deadline = std::max(deadline, kTimesSlowest * clock.slowest());
  if (duty == Duty::command) deadline = setting_.start_deadline;
  if (missed_ > 0) deadline *= std::ldexp(1.0, static_cast<int>(missed_));
  return later(clock.since(), clock.excused() + deadline);
}

bool WorkerLife::to_be_watched(Duty duty, Time now) const {
  return running() && duty != Duty::nothing && setting_.deadlines &&
         setting_.policy.progress == config::FailureSpec::Deadline::automatic && now - clock.since() >= kQuiet;
}

// ---- invariants ----------------------------------------------------------------------------------------------------

/// Whether the phase has a time at which it ends, whatever the worker does.
bool WorkerLife::has_deadline() const {
  switch (phase_) {
    case Phase::waiting:
      return spawned_ > 0;  // the back-off; before that, the pool has not started yet
    case Phase::starting:
    case Phase::preparing:
      return setting_.deadlines;
    case Phase::ending:
      return true;
    case Phase::running:
    case Phase::given_up:
      break;
  }
  return false;
}

void WorkerLife::check_invariants() const {
  TUTTI_CHECK(deadline_.has_value() == has_deadline());
  TUTTI_CHECK(deaths_ + retired_ + (has_process() || dismissed_ ? 1 : 0) == spawned_,
              "there is one process at a time, and each dies once, is retired or is dismissed");
  TUTTI_CHECK(!dismissed_ || phase_ == Phase::given_up, "nothing follows the process that was dismissed");
  TUTTI_CHECK(fault_.has_value() == (phase_ == Phase::ending), "a worker is killed for a reason");
  TUTTI_CHECK(!distrusted_ || phase_ == Phase::ending, "a worker that broke the protocol is killed");
  TUTTI_CHECK(ran_ || !running());
  TUTTI_CHECK(!ran_ || running() || phase_ == Phase::ending, "a process that has ended is forgotten");
}

}  // namespace tutti
