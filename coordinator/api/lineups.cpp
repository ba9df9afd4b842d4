#include "coordinator/api/lineups.hpp"

namespace tutti {

void LineupHome::dismiss(Rank rank) {
  const MutexLock lock(mutex_);
  if (dismiss_) dismiss_(rank);
}

void LineupHome::close() {
  const MutexLock lock(mutex_);
  dismiss_ = nullptr;
}

namespace {

/// As long as it lives, the pool keeps the member.
class Stay {
 public:
  Stay(std::shared_ptr<LineupHome> home, Rank rank) : home_(std::move(home)), rank_(rank) {}
  Stay(const Stay&) = delete;
  Stay& operator=(const Stay&) = delete;
  ~Stay() { home_->dismiss(rank_); }

 private:
  const std::shared_ptr<LineupHome> home_;
  const Rank rank_;
};

}  // namespace

Lineups::Lineups(Lineup first, LineupHome::Dismiss dismiss) : home_(std::make_shared<LineupHome>(std::move(dismiss))) {
  for (LineupMember& member : first.members) member = with_stay(std::move(member));
  now_ = std::make_shared<const Lineup>(std::move(first));
}

Lineups::~Lineups() { home_->close(); }

std::shared_ptr<const Lineup> Lineups::now() const {
  const MutexLock lock(mutex_);
  return now_;
}

void Lineups::set(std::shared_ptr<const config::EnsembleSpec> description, std::vector<LineupMember> members) {
  set(std::make_shared<const Lineup>(lineup_of(std::move(description), std::move(members))));
}

void Lineups::describe(std::shared_ptr<const config::EnsembleSpec> description) {
  Lineup next = *now();
  next.description = std::move(description);
  set(std::make_shared<const Lineup>(std::move(next)));
}

/// The last one is let go of behind the lock.
void Lineups::set(std::shared_ptr<const Lineup> next) {
  const MutexLock lock(mutex_);
  now_.swap(next);
}

LineupMember Lineups::with_stay(LineupMember member) const {
  member.stay = std::make_shared<const Stay>(home_, member.rank);
  return member;
}

}  // namespace tutti
