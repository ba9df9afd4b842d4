#include "coordinator/decide/member_tasks.hpp"

#include <algorithm>
#include <utility>

#include "common/check.hpp"

namespace tutti {

void MemberTasks::forget(SegmentId segment) {
  TUTTI_CHECK(std::find(in_flight_.begin(), in_flight_.end(), segment) == in_flight_.end());
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
  const SegmentId segment = *pending_.begin();
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

std::vector<SegmentId> MemberTasks::begin_training() {
  begins_ = true;
  since_checkpoint_ = 0;
  return std::exchange(unsafe_, {});
}

}  // namespace tutti
