#include "coordinator/program/scoreboard.hpp"

#include <algorithm>

namespace tutti::program {
namespace {

std::size_t alive_members(const Ensemble& ensemble) {
  const Status status = ensemble.status();
  return static_cast<std::size_t>(
      std::count_if(status.members.begin(), status.members.end(), [](const MemberStatus& m) { return m.alive; }));
}

}  // namespace

Scoreboard::Scoreboard(const config::CombineSpec& combine, const Ensemble& ensemble, Progress& progress, Sink* next)
    : scores_(combine), ensemble_(ensemble), progress_(progress), next_(next) {}

void Scoreboard::write(const SegmentResult& result) {
  if (next_ != nullptr) next_->write(result);
  images_ += result.count;
  scores_.add(result);
  if (progress_.due(images_)) progress_.show(images_, alive_members(ensemble_));
}

}  // namespace tutti::program
