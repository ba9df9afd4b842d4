#include "coordinator/decide/coalescing.hpp"

#include <algorithm>

#include "common/check.hpp"

namespace tutti {

void Coalescing::add(Call call, std::uint32_t rows, int priority, Time now) {
  TUTTI_CHECK(takes(rows), "a call that shares a segment fits into one");
  const auto lower = std::ranges::find_if(waiting_, [&](const Waiting& other) { return other.priority < priority; });
  waiting_.insert(lower, {call, rows, priority, now});
}

bool Coalescing::remove(Call call) {
  return std::erase_if(waiting_, [&](const Waiting& one) { return one.call == call; }) > 0;
}

std::vector<Coalescing::Call> Coalescing::close(Time now, bool idle) {
  // No call is passed over for a smaller one behind it: that could go on for ever.
  std::uint32_t rows = 0;
  auto end = waiting_.begin();
  while (end != waiting_.end() && rows + end->rows <= room_) rows += (end++)->rows;
  const auto wake = next_wake();
  const bool full = rows == room_ || end != waiting_.end();
  if (waiting_.empty() || !(full || idle || *wake <= now)) return {};
  std::vector<Call> calls;
  for (auto one = waiting_.begin(); one != end; ++one) calls.push_back(one->call);
  waiting_.erase(waiting_.begin(), end);
  return calls;
}

std::optional<int> Coalescing::priority() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.front().priority;
}

std::optional<Coalescing::Time> Coalescing::next_wake() const {
  if (waiting_.empty()) return std::nullopt;
  return std::ranges::min_element(waiting_, {}, &Waiting::since)->since + most_delay_;
}

}  // namespace tutti
