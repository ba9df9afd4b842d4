// The supervisor's half that decides what follows when a worker breaks the protocol, dies, or does not even die.
#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "common/counted.hpp"
#include "coordinator/decide/later.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {
namespace {

// Where a process could not be started the next attempt waits, whatever the back-off: the cause is hardly gone by now.
constexpr RestartBudget::Seconds kAfterFailedStart{0.1};

bool is_for(const Action& action, std::size_t rank) {
  return std::visit(
      [rank](const auto& a) {
        using Kind = std::decay_t<decltype(a)>;
        if constexpr (std::is_same_v<Kind, action::Begin> || std::is_same_v<Kind, action::Prepare> ||
                      std::is_same_v<Kind, action::Tell> || std::is_same_v<Kind, action::HandOut> ||
                      std::is_same_v<Kind, action::Kill>)
          return a.rank == rank;
        else
          return false;
      },
      action);
}

}  // namespace

// ---- how it comes --------------------------------------------------------------------------------------------------

void Supervisor::violation(std::size_t rank, const std::string& what, Time now) {
  Member& member = members_[rank];
  if (failed_ || member.phase == Phase::waiting || member.phase == Phase::absent) return;
  member.distrusted = true;
  if (member.phase == Phase::ending) return;
  ++counts_.violations;
  Fault fault;
  fault.kind = Fault::Kind::lied;
  fault.text = what;
  kill(rank, std::move(fault), now);
}

void Supervisor::kill(std::size_t rank, Fault fault, Time now) {
  Member& member = members_[rank];
  fault.place = setting_.places[rank];
  fault.where = where(member, !member.tasks.in_flight().empty());
  member.fault = std::move(fault);
  member.phase = Phase::ending;
  member.deadline = later(now, setting_.kill_deadline);
  actions_.push_back(action::Kill{rank});
}

void Supervisor::gone(std::size_t rank, const Death& death, Time now) {
  Member& member = members_[rank];
  if (failed_ || member.phase == Phase::waiting || member.phase == Phase::absent) return;
  const bool computing = has_begun(rank, death.tasks_taken);
  Fault fault;
  fault.place = setting_.places[rank];
  fault.where = where(member, computing);
  fault.text = death.how;
  fault.out_of_memory = death.out_of_memory;
  if (death.words) {
    fault.kind = Fault::Kind::failed;
    fault.text = death.words->text;
    fault.hint = death.words->hint;
    fault.usage = death.words->usage;
  }
  // What it was killed for says more than SIGKILL; but not more than words that name the configuration.
  if (member.fault && !fault.usage) fault = std::move(*member.fault);
  died(rank, std::move(fault), computing, now);
}

void Supervisor::spawn_failed(std::size_t rank, const Error& error, Time now) {
  if (failed_ || members_[rank].phase != Phase::starting) return;
  Fault fault;
  fault.kind = Fault::Kind::not_started;
  fault.place = setting_.places[rank];
  fault.text = error.message();
  fault.detail = error.detail();
  fault.hint = error.hint();
  fault.usage = error.kind() == ErrorKind::usage;
  died(rank, std::move(fault), false, now);
}

// Its channel is not read any more, so what it answered and nobody has read yet is asked again. With SIGKILL pending it
// will run no instruction of its own any more: the kernel can still read, for it, only the slot that it was computing.
// Which one that was is not known of a liar.
void Supervisor::abandon(std::size_t rank, Time now) {
  Member& member = members_[rank];
  Abandoned process{rank, member.generation, {}};
  const auto& in_flight = member.tasks.in_flight();
  const std::size_t readable = member.distrusted ? in_flight.size() : std::min<std::size_t>(in_flight.size(), 1);
  for (std::size_t i = 0; i < readable; ++i) process.slots.push_back(ledger_.at(in_flight[i]).slot);
  actions_.push_back(action::Abandon{rank, member.generation, member.tasks.checkpoint()});
  for (const std::uint32_t slot : process.slots) actions_.push_back(action::Hold{slot});
  abandoned_.push_back(std::move(process));
  for (const auto& [number, segment] : ledger_.segments()) {
    const Ledger::Row& row = segment.rows[rank];
    const bool unread = segment.kind == TaskKind::predict && segment.open > 0 && !segment.set_aside;
    if (!unread || !row.answered || row.completion.generation != member.generation) continue;
    ledger_.ask_again(number, rank);
    member.tasks.add(number);
  }
  Fault fault = std::move(*member.fault);
  fault.stuck = true;
  died(rank, std::move(fault), !in_flight.empty(), now);
  check_slots();
}

void Supervisor::exited_late(std::size_t rank, std::uint32_t generation, Time /*now*/) {
  if (failed_) return;
  const auto found = std::find_if(abandoned_.begin(), abandoned_.end(), [&](const Abandoned& process) {
    return process.rank == rank && process.generation == generation;
  });
  if (found == abandoned_.end()) return;
  for (const std::uint32_t slot : found->slots) actions_.push_back(action::Release{slot});
  abandoned_.erase(found);
}

// ---- what follows --------------------------------------------------------------------------------------------------

void Supervisor::died(std::size_t rank, Fault fault, bool computing, Time now) {
  Member& member = members_[rank];
  ++counts_.deaths;
  ++member.deaths;
  if (fault.out_of_memory) ++counts_.out_of_memory;
  forget_actions(rank);
  // A worker that can say why it does not start would say it again.
  if (fault.usage || (fault.kind == Fault::Kind::failed && !all_ran_)) return fail(error_of(fault));
  if (setting_.policy.on_worker_failure == OnWorkerFailure::fail)
    return fail(error_of(fault, "'on_worker_failure: restart' replaces workers that die"));

  const auto& in_flight = member.tasks.in_flight();
  const std::uint64_t computed = computing ? in_flight.front() : 0;
  const bool alone = computing && member.tasks.retries_suspect();
  take_back(rank);
  std::string news;
  if (alone) {
    if (!blame(computed, fault, news)) return;
  } else {
    if (!member.budget.spend(now)) return give_up(rank, fault);
    if (computing && setting_.policy.poison_limit && member.tasks.pending().contains(computed))
      member.tasks.suspect(computed);
  }
  replace(rank, fault, news, now);
}

// Orders to a process that is no more.
void Supervisor::forget_actions(std::size_t rank) {
  std::erase_if(actions_, [rank](const Action& action) { return is_for(action, rank); });
}

/// Whether it has taken the oldest of its tasks; each generation's are numbered from 0.
bool Supervisor::has_begun(std::size_t rank, std::uint64_t tasks_taken) const {
  const auto& in_flight = members_[rank].tasks.in_flight();
  return !in_flight.empty() && tasks_taken > ledger_.at(in_flight.front()).rows[rank].task.sequence;
}

std::string Supervisor::where(const Member& member, bool computing) const {
  if (!member.tasks.in_flight().empty())
    return fmt::format(" {} segment {}", computing ? "on" : "before",
                       ledger_.at(member.tasks.in_flight().front()).index);
  if (!member.ran) return " while starting";
  if (member.part != Part::told) return {};
  return command_ == Command::save ? " while saving its weights" : " while beginning its training";
}

/// The member has no worker now, and its worker no tasks.
void Supervisor::take_back(std::size_t rank) {
  Member& member = members_[rank];
  member.phase = Phase::waiting;
  member.ran = false;
  member.distrusted = false;
  member.fault.reset();
  member.deadline.reset();
  if (member.part == Part::told) member.part = Part::untold;
  const auto in_flight = member.tasks.in_flight();
  member.tasks.lose();
  for (const std::uint64_t number : in_flight) {
    ledger_.take_back(number, rank);
    if (!ledger_.at(number).set_aside) continue;
    member.tasks.forget(number);
    if (ledger_.abandon(number, rank)) finish(number);
  }
}

// A worker died while it computed this segment and nothing else. False where the pool ends by it.
bool Supervisor::blame(std::uint64_t number, const Fault& fault, std::string& news) {
  Ledger::Segment& segment = ledger_.at(number);
  ++segment.deaths;
  if (segment.set_aside || !setting_.policy.poison_limit || segment.deaths < *setting_.policy.poison_limit) return true;
  const bool train = segment.kind == TaskKind::train;
  const std::string name = train ? fmt::format("segment {}", segment.index)
                                 : segment_text(segment.index, setting_.segment_images, segment.images);
  const std::string blamed =
      fmt::format("{} has killed {} that computed nothing else", name, counted(segment.deaths, "worker"));
  if (train || setting_.policy.on_poison == OnPoison::fail) {
    // A worker that knew what to do said so.
    const std::string hint = fault.kind == Fault::Kind::failed ? hint_of(fault) : "";
    const char* suspicion = train ? "look at its images and their labels: a training cannot go on without them"
                                  : "look at these images; 'on_poison: set_aside' goes on without them";
    fail(Error(ErrorKind::failed, error_of(fault).message(), blamed, hint.empty() ? suspicion : hint));
    return false;
  }
  set_aside(number);
  news = fmt::format("{} and is set aside", blamed);
  return true;
}

// Nobody begins it any more; those who have it are waited for.
void Supervisor::set_aside(std::uint64_t number) {
  Ledger::Segment& segment = ledger_.at(number);
  segment.set_aside = true;
  ++counts_.set_aside;
  for (std::size_t rank = 0; rank < members_.size(); ++rank) {
    if (!members_[rank].tasks.pending().contains(number)) continue;
    members_[rank].tasks.forget(number);
    if (ledger_.abandon(number, rank)) finish(number);
  }
}

void Supervisor::replace(std::size_t rank, const Fault& fault, const std::string& news, Time now) {
  Member& member = members_[rank];
  RestartBudget::Seconds delay = member.budget.delay();
  if (fault.kind == Fault::Kind::not_started) delay = std::max(delay, kAfterFailedStart);
  const bool at_once = delay <= RestartBudget::Seconds(0);
  const auto& pending = member.tasks.pending();
  const auto again = static_cast<std::size_t>(std::count_if(
      pending.begin(), pending.end(), [&](std::uint64_t number) { return ledger_.at(number).rows[rank].times > 0; }));
  // Where the coordinator killed it, the hint is for whoever has to raise the deadline at the end.
  const bool by_itself =
      fault.kind != Fault::Kind::late && fault.kind != Fault::Kind::hung && fault.kind != Fault::Kind::lied;
  const std::string hint = by_itself ? hint_of(fault) : "";
  actions_.push_back(action::Say{
      fmt::format("{}{}; {}{}{}", line_of(fault), news.empty() ? "" : "; " + news,
                  at_once ? std::string("replacement started") : fmt::format("replacement in {:.2g} s", delay.count()),
                  again == 0 ? "" : fmt::format(", {} handed out again", segments_text(again)),
                  hint.empty() ? "" : fmt::format(" ({})", hint))});
  member.deadline = later(now, delay);
  if (at_once) spawn_again(rank, now);
}

// The budget is spent.
void Supervisor::give_up(std::size_t rank, const Fault& fault) {
  // Without a first answer of every member nobody knows the form of the results.
  if (setting_.policy.on_worker_failure == OnWorkerFailure::restart || !all_ran_)
    return fail(error_of(fault, budget_text() + "; look at what the worker printed, or raise 'restarts'"));
  Member& member = members_[rank];
  member.phase = Phase::absent;
  member.absent_reason = error_of(fault).message();
  member.absent_from = ledger_.next();
  member.part = Part::none;
  member.tasks.forget_all();
  if (std::all_of(members_.begin(), members_.end(), [](const Member& m) { return m.phase == Phase::absent; }))
    return fail(no_member_left());

  std::string from = "the next segment";
  std::vector<std::uint64_t> asked;  // finish() must not find the table in the middle of a walk
  for (const auto& [number, segment] : ledger_.segments()) {
    const Ledger::Row& row = segment.rows[rank];
    if (!row.asked) continue;
    asked.push_back(number);
    if (row.answered || row.abandoned || *member.absent_from < ledger_.next()) continue;
    member.absent_from = number;
    from = fmt::format("segment {}", segment.index);
  }
  actions_.push_back(action::Say{
      fmt::format("{}; {}, and the ensemble goes on without it from {}", line_of(fault), budget_text(), from)});
  for (const std::uint64_t number : asked)
    if (ledger_.abandon(number, rank))
      finish(number);
    else
      release(number);
  finish_command();
  note_all_running();
}

std::string Supervisor::budget_text() const {
  return fmt::format("its restart budget is spent ({} within {} s)", setting_.policy.restart_limit.value_or(0),
                     setting_.policy.restart_window);
}

Error Supervisor::no_member_left() const {
  std::string reasons;
  for (const Member& member : members_)
    if (!member.absent_reason.empty()) reasons += (reasons.empty() ? "" : "\n          ") + member.absent_reason;
  return Error(ErrorKind::failed, "no member is left", reasons,
               "look at what the workers printed; 'restarts' says how often each is replaced");
}

}  // namespace tutti
