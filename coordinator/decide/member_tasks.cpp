#include "coordinator/decide/member_tasks.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "common/check.hpp"

namespace tutti {

void MemberTasks::add(SegmentId segment) {
  TUTTI_CHECK(!is_in_flight(segment));
  const bool added = pending_.insert(segment).second;
  TUTTI_CHECK(added, "a task is pending only once");
}

void MemberTasks::forget(SegmentId segment) {
  TUTTI_CHECK(!is_in_flight(segment));
  pending_.erase(segment);
  suspects_.erase(segment);
}

void MemberTasks::forget_pending(SegmentId segment) {
  if (pending_.contains(segment)) forget(segment);
}

void MemberTasks::forget_all() { *this = MemberTasks(); }

MemberTasks::Lane& MemberTasks::lane(WorkerId worker) {
  const auto found = std::ranges::find(lanes_, worker, &Lane::worker);
  return found != lanes_.end() ? *found : lanes_.emplace_back(Lane{worker, {}});
}

const std::deque<SegmentId>& MemberTasks::in_flight(WorkerId worker) const noexcept {
  static const std::deque<SegmentId> kNone;
  const auto found = std::ranges::find(lanes_, worker, &Lane::worker);
  return found != lanes_.end() ? found->in_flight : kNone;
}

std::optional<SegmentId> MemberTasks::latest_in_flight() const noexcept {
  std::optional<SegmentId> latest;
  for (const Lane& lane : lanes_)
    for (const SegmentId segment : lane.in_flight) latest = std::max(latest.value_or(segment), segment);
  return latest;
}

bool MemberTasks::may_hand_out(WorkerId worker, bool checkpoint) const {
  return !pending_.empty() && !holds_suspect(worker) && !(checkpoint && unconfirmed_);
}

std::uint32_t MemberTasks::hand_out(WorkerId worker, bool train, bool checkpoint) {
  TUTTI_CHECK(may_hand_out(worker, checkpoint));
  TUTTI_CHECK(train || !checkpoint, "only training makes checkpoints");
  const SegmentId segment = *pending_.begin();
  std::deque<SegmentId>& in_flight = lane(worker).in_flight;
  TUTTI_CHECK(!train || in_flight.empty() || in_flight.back() < segment, "a worker is trained in order");
  TUTTI_CHECK(unsafe_.empty() || unsafe_.back() < segment, "nothing is trained on twice from one state");
  pending_.erase(pending_.begin());
  in_flight.push_back(segment);
  if (!train) return 0;
  TUTTI_CHECK(lanes_.size() == 1, "one worker trains a member");
  ++since_checkpoint_;
  if (!checkpoint) return 0;
  since_checkpoint_ = 0;
  unconfirmed_ = segment;
  return 1 + (safe_file_ ? 1 - *safe_file_ : 0);
}

void MemberTasks::take_over(WorkerId worker, SegmentId segment) {
  TUTTI_CHECK(is_in_flight(segment) && !pending_.contains(segment), "what is taken over is in flight");
  TUTTI_CHECK(!suspects_.contains(segment), "a task that may kill goes to one worker");
  lane(worker).in_flight.push_back(segment);
}

std::vector<SegmentId> MemberTasks::answer(WorkerId worker, bool train) {
  std::deque<SegmentId>& in_flight = lane(worker).in_flight;
  TUTTI_CHECK(!in_flight.empty());
  const SegmentId segment = in_flight.front();
  in_flight.pop_front();
  suspects_.erase(segment);
  if (!train) return {};
  unsafe_.push_back(segment);
  if (unconfirmed_ != segment) return {};
  unconfirmed_.reset();
  safe_file_ = safe_file_ ? 1 - *safe_file_ : 0;
  begins_ = false;
  return std::exchange(unsafe_, {});
}

void MemberTasks::lose(WorkerId worker) {
  const std::deque<SegmentId> lost = in_flight(worker);
  std::erase_if(lanes_, [worker](const Lane& lane) { return lane.worker == worker; });
  for (const SegmentId segment : lost)
    if (!is_in_flight(segment)) pending_.insert(segment);
  pending_.insert(unsafe_.begin(), unsafe_.end());
  unsafe_.clear();
  unconfirmed_.reset();
  since_checkpoint_ = 0;
}

void MemberTasks::suspect(SegmentId segment) {
  TUTTI_CHECK(pending_.contains(segment), "a task that is suspect is tried again");
  suspects_.insert(segment);
}

bool MemberTasks::any_suspect_pending() const {
  return std::ranges::any_of(suspects_, [this](SegmentId segment) { return pending_.contains(segment); });
}

bool MemberTasks::holds_suspect(WorkerId worker) const {
  if (!any_suspect()) return false;
  const auto& has = in_flight(worker);
  return !has.empty() && suspects_.contains(has.back());
}

bool MemberTasks::retries_suspect(WorkerId worker) const {
  return in_flight(worker).size() == 1 && holds_suspect(worker);
}

std::vector<SegmentId> MemberTasks::begin_training() {
  TUTTI_CHECK(!any_in_flight(), "a training begins after the tasks that came before it");
  begins_ = true;
  since_checkpoint_ = 0;
  return std::exchange(unsafe_, {});
}

bool MemberTasks::is_in_flight(SegmentId segment) const {
  return std::ranges::any_of(lanes_,
                             [segment](const Lane& lane) { return std::ranges::count(lane.in_flight, segment) > 0; });
}

void MemberTasks::check_invariants() const {
  for (const Lane& lane : lanes_) {
    std::vector<SegmentId> all(lane.in_flight.begin(), lane.in_flight.end());
    all.insert(all.begin(), unsafe_.begin(), unsafe_.end());
    all.insert(all.end(), pending_.begin(), pending_.end());
    const bool trains = begins_ || safe_file_.has_value();
    if (!trains) std::ranges::sort(all);  // replicas give back what they had, in any order
    TUTTI_CHECK(std::adjacent_find(all.begin(), all.end(), std::greater_equal<>()) == all.end(),
                "a task is in one place, and training is handed out and answered in its order");
    for (std::size_t ahead = 0; ahead + 1 < lane.in_flight.size(); ++ahead)
      TUTTI_CHECK(!suspects_.contains(lane.in_flight[ahead]), "nothing is handed out behind a suspect task");
  }
  for (const SegmentId segment : suspects_) TUTTI_CHECK(pending_.contains(segment) || is_in_flight(segment));
  TUTTI_CHECK(!unconfirmed_ || is_in_flight(*unconfirmed_));
  TUTTI_CHECK(unsafe_.empty() || begins_ || safe_file_.has_value(), "a replacement has a state to start from");
}

}  // namespace tutti
