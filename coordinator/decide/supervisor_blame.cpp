// The part of the supervisor about work that a death disturbs: tasks are taken back, a segment may be to blame, a
// member may leave.
#include <fmt/format.h>

#include <algorithm>

#include "common/check.hpp"
#include "common/counted.hpp"
#include "coordinator/decide/supervisor.hpp"

namespace tutti {
namespace {

/// Of so many segments in a row, none of which a member could answer, the last is not set aside: the member is to
/// blame.
constexpr std::uint32_t kMostSpoiled = 3;

}  // namespace

/// The first of the worker's tasks that is not answered.
std::optional<Supervisor::Given> Supervisor::oldest_task(WorkerId worker) const {
  std::optional<Given> oldest;
  Sequence first{};
  for (const Rank rank : hosting_.members_of(worker)) {
    const auto& in_flight = work_[rank].tasks.in_flight(worker);
    if (in_flight.empty()) continue;
    const Sequence sequence = ledger_.at(in_flight.front()).rows[rank].task_of(worker)->sequence;
    if (oldest && first < sequence) continue;
    oldest = Given{rank, in_flight.front()};
    first = sequence;
  }
  return oldest;
}

/// The tasks that a worker was computing, if it has taken so many; each generation numbers its tasks from 0. The
/// members of a unit compute in the order of its tasks; or at the same time, each in the order of its own.
std::vector<Supervisor::Given> Supervisor::begun_tasks(WorkerId worker, std::uint64_t tasks_taken) const {
  const auto taken = [&](const Given& task) {
    return tasks_taken > ledger_.at(task.segment).rows[task.rank].task_of(worker)->sequence.value();
  };
  std::vector<Given> begun;
  if (setting_.modes[worker.value()] == UnitMode::loop) {
    if (const auto oldest = oldest_task(worker); oldest && taken(*oldest)) begun.push_back(*oldest);
    return begun;
  }
  for (const Rank rank : hosting_.members_of(worker)) {
    const auto& in_flight = work_[rank].tasks.in_flight(worker);
    if (!in_flight.empty() && taken({rank, in_flight.front()})) begun.push_back({rank, in_flight.front()});
  }
  return begun;
}

/// Says what the worker is, or was, working on, and for whom if that is known.
void Supervisor::locate(WorkerFault& fault, WorkerId worker, const std::vector<Given>& begun) const {
  const auto oldest = oldest_task(worker);
  const bool known = begun.size() == 1;
  fault.place = known ? place_of(worker, begun.front().rank) : place_of(worker);
  if (oldest) {
    const SegmentId segment = begun.empty() ? oldest->segment : begun.front().segment;
    fault.where = fmt::format(" {} segment {}", begun.empty() ? "before" : "on", ledger_.at(segment).index);
  } else if (!lives_[worker].ran()) {
    fault.where = " while starting";
  } else if (duty_of(worker) == WorkerLife::Duty::command) {
    fault.where = command_ == Command::save ? " while saving its weights" : " while beginning its training";
  }
}

/// Takes all tasks back from the worker. Segments that were set aside meanwhile are not done again, nor are those that
/// a sister has or has answered.
void Supervisor::take_back(WorkerId worker, Rank rank) {
  MemberWork& work = work_[rank];
  const auto in_flight = work.tasks.in_flight(worker);
  work.lose(worker);
  for (const SegmentId number : in_flight) {
    ledger_.take_back(number, rank, worker);
    const Ledger::Segment& segment = ledger_.at(number);
    const Ledger::Row& row = segment.rows[rank];
    if (row.out()) continue;
    if (!row.is_open() && !row.kept) {
      work.tasks.forget(number);
      release(number);
    } else if (segment.set_aside) {
      work.tasks.forget(number);
      if (ledger_.abandon(number, rank)) finish(number);
    } else if (waits_for_feeder(number, rank)) {
      work.tasks.forget(number);
    } else if (is_fed_nothing(number, rank)) {
      work.tasks.forget(number);
      leave_out_behind(number, *setting_.chains.feeder_of(rank));
    } else if (row.doubted && setting_.policy.poison_limit) {
      work.tasks.suspect(number);
    }
  }
}

/// Asks again for answers of unfinished segments in the channel of a worker that is no longer read.
void Supervisor::ask_unread_again(WorkerId worker, Rank rank) {
  for (const auto& [number, segment] : ledger_.segments()) {
    const Ledger::Row& row = segment.rows[rank];
    const bool unread = segment.kind == TaskKind::predict && segment.open > 0 && !segment.set_aside;
    const bool from_it = row.by == worker && row.completion.generation == lives_[worker].generation();
    if (!unread || !row.answered || !from_it || is_passed_on(number, rank)) continue;
    if (const auto next = setting_.chains.fed_from(rank)) work_[*next].tasks.forget(number);
    ledger_.ask_again(number, rank);
    // Nobody is asked in place of a worker whose member has left with another stage.
    if (absent(rank))
      ledger_.leave_out(number, rank);
    else if (!row.out())
      work_[rank].tasks.add(number);
  }
}

/// For people: with the images of the call that it holds.
std::string Supervisor::name_of(const Ledger::Segment& segment) const {
  if (segment.kind == TaskKind::train) return fmt::format("segment {}", segment.index);
  const Extent& extent = segment.extent;
  const std::uint32_t full = extent.segment_images > 0 ? extent.segment_images : setting_.segment_images;
  std::uint64_t images = segment.images;
  if (extent.samples > 0) images = std::min(images, extent.samples - segment.index * full);
  return segment_text(segment.index, full, static_cast<std::uint32_t>(images));
}

// A worker died while it computed this task and nothing else. False if it is not replaced.
bool Supervisor::blame(WorkerId worker, Given task, const WorkerFault& fault, std::string& news, Time now) {
  const SegmentId number = task.segment;
  Ledger::Segment& segment = ledger_.at(number);
  ++segment.deaths;
  if (segment.set_aside || !setting_.policy.poison_limit) return true;
  if (segment.shared) {
    hand_out_no_more(number);
    news = "the calls that share the segment are computed again one by one";
    return true;
  }
  if (segment.deaths < *setting_.policy.poison_limit) return true;
  const bool train = segment.kind == TaskKind::train;
  const std::string blamed =
      fmt::format("{} has killed {} that computed nothing else", name_of(segment), counted(segment.deaths, "worker"));
  // In a shared worker the member is to blame before the segment is, and certainly not its neighbours.
  news = move_out({task.rank}, blamed, now);
  if (!news.empty()) {
    if (MemberTasks& tasks = work_[task.rank].tasks; tasks.pending().contains(number)) tasks.suspect(number);
    return true;
  }
  const bool ends_call = setting_.policy.on_poison == OnPoison::fail;
  if (train || ends_call) {
    // A worker that failed with a message may have given a hint.
    const std::string hint = fault.kind == WorkerFault::Kind::failed ? hint_of(fault) : "";
    const char* suspicion = train ? "look at its images and their labels; training cannot continue without them"
                                  : "look at these images, or set 'on_poison: set_aside' to continue without them";
    Error error(ErrorKind::failed, error_of(fault).message(), blamed, hint.empty() ? suspicion : hint);
    if (train) {
      fail(std::move(error));
      return false;
    }
    actions_.push_back(action::FailCall{number, std::move(error)});
  }
  // Segments that kill are rare; several in a row say that the member dies of any.
  lives_[worker].spoil();
  std::uint32_t spoiled = 0;
  for (const WorkerId sister : hosting_.replicas_of(worker)) spoiled += lives_[sister].spoiled();
  if (spoiled >= kMostSpoiled) {
    give_up(worker, fault, fmt::format("it died on each of the last {} segments that it was given", kMostSpoiled),
            "look at what the worker printed");
    return false;
  }
  set_aside(number);
  news = fmt::format("{} and {}", blamed, ends_call ? "ends its call" : "is set aside");
  return true;
}

// No further worker gets the segment; those that have it are waited for.
void Supervisor::set_aside(SegmentId number) {
  const Ledger::Segment& segment = ledger_.at(number);
  TUTTI_CHECK(segment.kind == TaskKind::predict, "training cannot continue without a segment");
  TUTTI_CHECK(segment.open > 0, "a segment that is set aside is not finished yet");
  ++counts_.set_aside;
  hand_out_no_more(number);
}

void Supervisor::drop(SegmentId number) {
  if (failed_) return;
  const Ledger::Segment& segment = ledger_.at(number);
  const bool drops = segment.kind == TaskKind::predict && segment.open > 0 && !segment.set_aside;
  if (drops) hand_out_no_more(number);
}

void Supervisor::hand_out_no_more(SegmentId number) {
  ledger_.at(number).set_aside = true;
  for (const Rank rank : work_.ids()) {
    const bool waits = waits_for_feeder(number, rank);
    if (!waits && !work_[rank].tasks.pending().contains(number)) continue;
    if (!waits) work_[rank].tasks.forget(number);
    if (ledger_.abandon(number, rank)) finish(number);
  }
}

/// The ensemble continues without the member.
void Supervisor::leave(WorkerId worker, Rank rank, const WorkerFault& fault, const std::string& why) {
  MemberWork& work = work_[rank];
  work.leave(error_of(fault).message(), ledger_.next());
  if (!any_member_left()) return fail(no_member_left());

  const bool shared = hosting_.shared(worker);
  std::string from = "the next segment";
  std::vector<SegmentId> asked;  // collected first: finish() changes the table
  for (const auto& [number, segment] : ledger_.segments()) {
    const Ledger::Row& row = segment.rows[rank];
    if (!row.asked) continue;
    asked.push_back(number);
    if (row.answered || row.abandoned || *work.absent_from() < ledger_.next()) continue;
    work.missing_from(number);
    from = fmt::format("segment {}", segment.index);
  }
  actions_.push_back(action::Say{fmt::format("{}; {}, and the ensemble continues without {} from {}", line_of(fault),
                                             why, shared ? place_of(worker, rank) : "it", from)});
  for (const SegmentId number : asked)
    if (ledger_.abandon(number, rank))
      finish(number);
    else
      release(number);
  for (const Rank stage : setting_.chains.chain_of(rank))
    if (stage != rank) leave_with(stage, work.absent_reason());
  finish_command();
}

}  // namespace tutti
