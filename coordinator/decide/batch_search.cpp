#include "coordinator/decide/batch_search.hpp"

#include <algorithm>
#include <functional>

#include "common/check.hpp"

namespace tutti {
namespace {

constexpr std::uint32_t kLeast = 4;
constexpr int kPatience = 2;

/// The largest divisor of `whole` in (3/4 target, target], else the target itself.
std::uint32_t even_size(std::uint32_t whole, std::uint32_t target) {
  for (std::uint32_t size = target; size > target - target / 4; --size)
    if (whole % size == 0) return size;
  return target;
}

}  // namespace

std::vector<std::uint32_t> batch_candidates(std::uint32_t segment_images, std::uint32_t most) {
  const std::uint32_t end = std::max(1U, std::min(segment_images, most));
  std::vector<std::uint32_t> sizes;
  for (std::uint64_t target = kLeast; target < end; target *= 2)
    sizes.push_back(even_size(segment_images, static_cast<std::uint32_t>(target)));
  const std::uint32_t last = even_size(segment_images, end);
  // If the last step is small, it replaces the step before it.
  if (!sizes.empty() && last <= sizes.back() + sizes.back() / 4) sizes.pop_back();
  sizes.push_back(last);
  TUTTI_CHECK(std::adjacent_find(sizes.begin(), sizes.end(), std::greater_equal<>()) == sizes.end(), "sizes ascend");
  TUTTI_CHECK(sizes.back() <= end);
  return sizes;
}

BatchSearch::BatchSearch(std::uint32_t segment_images, const std::vector<std::uint32_t>& most)
    : segment_images_(segment_images) {
  TUTTI_CHECK(!most.empty());
  for (const std::uint32_t limit : most) groups_.push_back({limit, {}, 0, 0, 0, false});
  candidates_ = batch_candidates(segment_images, *std::max_element(most.begin(), most.end()));
  for (const Group& group : groups_)
    TUTTI_CHECK(candidates_.front() <= group.most, "every group may try the smallest size");
  over_ = candidates_.size() < 2;
}

BatchSearch BatchSearch::of_one(std::uint32_t segment_images, std::uint32_t batch_images, std::size_t groups,
                                Seconds each) {
  BatchSearch search(segment_images, std::vector<std::uint32_t>(groups, segment_images));
  search.candidates_ = {std::min(batch_images, segment_images)};
  search.each_ = each;
  search.over_ = false;
  return search;
}

std::optional<BatchSearch::Round> BatchSearch::next() const {
  if (over_) return std::nullopt;
  Round round{warm_ ? round_images_ : size(), {}};
  for (std::size_t group = 0; group < groups_.size(); ++group)
    round.batches.push_back(groups_[group].done ? choice(group) : size());
  TUTTI_CHECK(round.images <= segment_images_, "a round is filled into one slot");
  return round;
}

void BatchSearch::add(const Times& times) {
  TUTTI_CHECK(!over_);
  TUTTI_CHECK(times.busy.size() == groups_.size());
  spent_ += times.wall;
  const bool first = !warm_;
  if (first) warmed(times.wall);
  const bool slow = first && times.wall > kSlowBatch;  // then one batch is enough
  if (!first || slow) measured(times);
  if (slow || spent_on_size_ >= each_ || rounds_ >= kMostRounds) close_size();
  over_ = over_ || slow;
}

void BatchSearch::skip() {
  TUTTI_CHECK(!over_);
  if (++rounds_ >= kMostRounds) close_size();
}

// As many batches as take about kRound, judging by how long one took.
void BatchSearch::warmed(Seconds wall) {
  warm_ = true;
  rounds_ = 0;
  const double batches = wall.count() > 0 ? kRound / wall : segment_images_;
  const auto most = static_cast<double>(std::max(1U, segment_images_ / size()));
  round_images_ = size() * static_cast<std::uint32_t>(std::clamp(batches, 1.0, most));
}

// The group that computed longest gives the last answer, so the whole time of the round counts for it. Its own time
// would be too short if members share cores and some began late. For the other groups only their own time is known.
void BatchSearch::measured(const Times& times) {
  ++rounds_;
  spent_on_size_ += times.wall;
  const Seconds longest = *std::max_element(times.busy.begin(), times.busy.end());
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    if (times.busy[group] <= Seconds::zero()) continue;
    const Seconds took = times.wall * (times.busy[group] / longest);
    groups_[group].fresh = std::max(groups_[group].fresh, round_images_ / took.count());
  }
}

void BatchSearch::close_size() {
  for (std::size_t index = 0; index < groups_.size(); ++index) {
    Group& group = groups_[index];
    if (group.done) continue;
    TUTTI_CHECK(size() <= group.most);
    if (group.fresh > 0) group.speeds.push_back({size(), group.fresh});
    if (group.fresh > group.improved * (1 + kTie)) {
      group.improved = group.fresh;
      group.without_improvement = 0;
    } else {
      ++group.without_improvement;
    }
    group.fresh = 0;
    const bool last = at_ + 1 == candidates_.size() || candidates_[at_ + 1] > group.most;
    group.done = last || group.without_improvement >= kPatience;
  }
  next_size();
}

// Trying a size takes one single batch and at least one round.
void BatchSearch::next_size() {
  warm_ = false;
  rounds_ = 0;
  spent_on_size_ = Seconds::zero();
  if (std::all_of(groups_.begin(), groups_.end(), [](const Group& group) { return group.done; }) ||
      ++at_ == candidates_.size()) {
    over_ = true;
    return;
  }
  double slowest = 0;  // seconds per image
  for (const Group& group : groups_)
    if (!group.speeds.empty()) slowest = std::max(slowest, 1 / group.speeds.back().images_per_second);
  const Seconds batch(slowest * size());
  over_ = slowest == 0 || batch > kSlowBatch || spent_ + 2 * batch > kBudget;
}

std::uint32_t BatchSearch::choice(std::size_t index) const {
  const Group& group = groups_[index];
  double best = 0;
  for (const BatchSpeed& speed : group.speeds) best = std::max(best, speed.images_per_second);
  for (const BatchSpeed& speed : group.speeds)
    if (speed.images_per_second >= best * (1 - kTie)) return speed.batch_images;
  return candidates_.front();
}

}  // namespace tutti
