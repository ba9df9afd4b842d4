// The part of the world in which members come and go.
#include <algorithm>
#include <memory>
#include <vector>

#include "tests/coordinator/decide/supervisor_world.hpp"

namespace tutti::test {
namespace {

constexpr std::size_t kMostPresent = 6;

}  // namespace

/// True if something happened.
bool World::come_or_go() {
  if (let_go()) return true;
  if (failed_ || !all_ran_ || !chance(5)) return false;
  std::vector<Rank> present;
  for (const Rank rank : members_.ids())
    if (!vacant_.contains(rank) && !supervisor_.chains().fed_from(rank)) present.push_back(rank);
  if (present.size() < kMostPresent && chance(50)) {
    come();
    return true;
  }
  if (present.size() == 1 || leaving_) return false;
  leaving_ = present[draw(present.size())];
  for (std::size_t c = 1; c < calls_.size(); ++c) {  // those that begin later
    ByRank<bool>& asked = calls_[c].asked;
    for (const Rank stage : supervisor_.chains().chain_of(*leaving_)) asked[stage] = false;
    if (std::ranges::find(asked, true) != asked.end()) continue;
    const Rank other = present[present.front() == *leaving_ ? 1 : 0];
    for (const Rank stage : supervisor_.chains().chain_of(other)) asked[stage] = true;
  }
  return true;
}

void World::come() {
  const Rank rank = supervisor_.reserve("n", "cpu");
  must(rank.value() <= members_.size(), "a place is left out");
  must(vacant_.contains(rank) || rank.value() == members_.size(), "a member gets a place that is taken");
  if (rank.value() == members_.size()) {
    members_.push_back({});
    processes_.push_back(nullptr);
    setting_.supervisor.modes.push_back(UnitMode::loop);
    for (auto& [number, segment] : segments_) {
      segment.asked.push_back(false);
      segment.later.push_back(false);
      segment.accepted.push_back({});
    }
    for (Call& call : calls_) call.asked.push_back(false);
    vacant_.insert(rank);
  }
  if (chance(20)) return;  // it cannot be loaded
  vacant_.erase(rank);
  ++came_;
  supervisor_.join(rank, now_);
  for (std::size_t c = 1; c < calls_.size(); ++c) calls_[c].asked[rank] = chance(80);
}

/// By a call that is running, or by a segment that is not finished.
bool World::is_asked(Rank rank) const {
  const auto asks = [rank](const auto& entry) { return !entry.second.finished && entry.second.asked[rank]; };
  return (!calls_.empty() && calls_.front().asked[rank]) || std::ranges::any_of(segments_, asks);
}

bool World::let_go() {
  if (failed_ || !leaving_ || renewed_ || is_asked(*leaving_)) return false;
  const std::uint64_t deaths = counts().deaths;
  supervisor_.vacate(*leaving_);
  unsaid_ += counts().deaths - deaths;
  for (const Rank stage : supervisor_.chains().chain_of(*leaving_)) vacant_.insert(stage);
  leaving_.reset();
  ++went_;
  return true;
}

void World::perform(const action::Vacate& vacate) {
  const Process* const process = processes_[vacate.worker].get();
  must(process == nullptr || process->ring.empty(), "a member goes with tasks");
  processes_[vacate.worker].reset();
}

}  // namespace tutti::test
