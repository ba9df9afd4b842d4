#include "coordinator/observe/events.hpp"

#include <algorithm>
#include <utility>

#include "common/check.hpp"
#include "common/log.hpp"
#include "common/thread.hpp"

namespace tutti {
namespace {

/// With replicas or stages, all of them.
bool has_its_workers(const MemberStatus& member) {
  if (!member.stages.empty()) return std::ranges::all_of(member.stages, has_its_workers);
  const auto runs = [](WorkerState state) { return state == WorkerState::running || state == WorkerState::absent; };
  return runs(member.state) &&
         std::ranges::all_of(member.replicas, [&](const ReplicaStatus& replica) { return runs(replica.state); });
}

std::ptrdiff_t running_workers(const MemberStatus& member) {
  if (member.replicas.empty()) return member.state == WorkerState::running ? 1 : 0;
  return std::ranges::count(member.replicas, WorkerState::running, &ReplicaStatus::state);
}

/// Not if the place is vacant, or another member has taken it meanwhile.
bool is_same_member(const std::vector<MemberStatus>& before, const MemberStatus& now, std::size_t place) {
  return place < before.size() && !now.name.empty() && before[place].name == now.name;
}

/// The place had the member `before`, and has `now`; without a name it is vacant.
void add_change(const std::string& before, const std::string& now, std::vector<Event>& events) {
  if (!before.empty()) events.push_back({Event::Kind::left, before, {}});
  if (!now.empty()) events.push_back({Event::Kind::joined, now, {}});
}

/// Of a member without stages, or of a stage: what happened to its workers.
void add_events_of_workers(const MemberStatus& before, const MemberStatus& now, bool left, std::vector<Event>& events) {
  if (now.deaths > before.deaths) events.push_back({Event::Kind::died, now.name, {}});
  // The replacement of a short absence may be there already.
  const bool more = running_workers(now) > running_workers(before);
  const bool unseen = now.generation > before.generation && running_workers(now) > 0 && has_its_workers(now);
  if (!left && (more || unseen)) events.push_back({Event::Kind::replaced, now.name, {}});
}

}  // namespace

std::vector<Event> events_between(const std::vector<MemberStatus>& before, const std::vector<MemberStatus>& now,
                                  bool& whole) {
  TUTTI_CHECK(before.size() <= now.size(), "places are added");
  std::vector<Event> events;
  bool disturbed = false;
  for (std::size_t m = 0; m < now.size(); ++m) {
    if (!is_same_member(before, now[m], m)) {
      add_change(m < before.size() ? before[m].name : std::string(), now[m].name, events);
      continue;
    }
    const std::size_t told = events.size();
    const bool left = now[m].state == WorkerState::absent;
    const bool leaves = left && before[m].state != WorkerState::absent;
    if (now[m].stages.empty()) add_events_of_workers(before[m], now[m], left, events);
    for (std::size_t s = 0; s < now[m].stages.size(); ++s)
      add_events_of_workers(before[m].stages[s], now[m].stages[s], left, events);
    if (leaves) events.push_back({Event::Kind::degraded, now[m].name, now[m].absent_reason});
    disturbed = disturbed || events.size() > told;
  }
  const bool is_whole = std::ranges::all_of(now, has_its_workers);
  if (is_whole && (!whole || disturbed)) events.push_back({Event::Kind::restored, {}, {}});
  whole = is_whole;
  return events;
}

Events::Events(Callback callback) : callback_(std::move(callback)) {
  if (callback_) thread_ = start_thread("tutti-events", [this] { run(); });
}

Events::~Events() { close(); }

void Events::look(std::vector<MemberStatus> members) {
  if (!wanted()) return;
  if (!last_.empty()) {
    std::vector<Event> events = events_between(last_, members, whole_);
    const MutexLock lock(mutex_);
    for (Event& event : events) queue_.push_back(std::move(event));
    changed_.notify_all();
  }
  last_ = std::move(members);
}

void Events::open() {
  const MutexLock lock(mutex_);
  open_ = true;
  changed_.notify_all();
}

void Events::close() {
  {
    const MutexLock lock(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Events::run() {
  MutexLock lock(mutex_);
  for (;;) {
    while ((queue_.empty() || !open_) && !closing_) changed_.wait(lock);
    if (closing_) return;
    const Event event = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    try {
      callback_(event);
    } catch (const std::exception& error) {
      log::error("the callback for events threw: {}", error.what());
    } catch (...) {
      log::error("the callback for events threw");
    }
    lock.lock();
  }
}

}  // namespace tutti
