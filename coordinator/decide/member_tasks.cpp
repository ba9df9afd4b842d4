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
  if (suspect_ == segment) suspect_.reset();
}

void MemberTasks::forget_all() { *this = MemberTasks(); }

bool MemberTasks::may_hand_out(bool checkpoint) const {
  if (pending_.empty()) return false;
  if (suspect_ && !in_flight_.empty()) return false;
  return !(checkpoint && unconfirmed_);
}

std::uint32_t MemberTasks::hand_out(bool train, bool checkpoint) {
  TUTTI_CHECK(may_hand_out(checkpoint));
  TUTTI_CHECK(train || !checkpoint, "only training makes checkpoints");
  const SegmentId segment = *pending_.begin();
  TUTTI_CHECK(in_flight_.empty() || in_flight_.back() < segment, "a worker gets its tasks in order");
  TUTTI_CHECK(unsafe_.empty() || unsafe_.back() < segment, "nothing is trained on twice from one state");
  pending_.erase(pending_.begin());
  in_flight_.push_back(segment);
  if (!train) return 0;
  ++since_checkpoint_;
  if (!checkpoint) return 0;
  since_checkpoint_ = 0;
  unconfirmed_ = segment;
  return 1 + (safe_file_ ? 1 - *safe_file_ : 0);
}

std::vector<SegmentId> MemberTasks::answer(bool train) {
  TUTTI_CHECK(!in_flight_.empty());
  const SegmentId segment = in_flight_.front();
  in_flight_.pop_front();
  if (suspect_ == segment) suspect_.reset();
  if (!train) return {};
  unsafe_.push_back(segment);
  if (unconfirmed_ != segment) return {};
  unconfirmed_.reset();
  safe_file_ = safe_file_ ? 1 - *safe_file_ : 0;
  begins_ = false;
  return std::exchange(unsafe_, {});
}

void MemberTasks::lose() {
  pending_.insert(in_flight_.begin(), in_flight_.end());
  pending_.insert(unsafe_.begin(), unsafe_.end());
  in_flight_.clear();
  unsafe_.clear();
  unconfirmed_.reset();
  since_checkpoint_ = 0;
}

void MemberTasks::suspect(SegmentId segment) {
  TUTTI_CHECK(pending_.contains(segment), "a task that is suspect is tried again");
  suspect_ = segment;
}

std::vector<SegmentId> MemberTasks::begin_training() {
  TUTTI_CHECK(in_flight_.empty(), "a training begins after the tasks that came before it");
  begins_ = true;
  since_checkpoint_ = 0;
  return std::exchange(unsafe_, {});
}

bool MemberTasks::is_in_flight(SegmentId segment) const {
  return std::find(in_flight_.begin(), in_flight_.end(), segment) != in_flight_.end();
}

void MemberTasks::check_invariants() const {
  std::vector<SegmentId> all = unsafe_;
  all.insert(all.end(), in_flight_.begin(), in_flight_.end());
  all.insert(all.end(), pending_.begin(), pending_.end());
  TUTTI_CHECK(std::adjacent_find(all.begin(), all.end(), std::greater_equal<>()) == all.end(),
              "a task is in one place, and tasks are handed out and answered in their order");
  TUTTI_CHECK(!suspect_ || pending_.contains(*suspect_) || retries_suspect());
  TUTTI_CHECK(!suspect_ || in_flight_.size() <= 1, "nothing else is computed while a task is suspect");
  TUTTI_CHECK(!unconfirmed_ || is_in_flight(*unconfirmed_));
  TUTTI_CHECK(unsafe_.empty() || begins_ || safe_file_.has_value(), "a replacement has a state to start from");
}

}  // namespace tutti
