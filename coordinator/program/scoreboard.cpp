#include "coordinator/program/scoreboard.hpp"

#include <algorithm>

#include "coordinator/accumulator.hpp"

namespace tutti::program {
namespace {

std::size_t alive_members(const Ensemble& ensemble) {
  const Status status = ensemble.status();
  return static_cast<std::size_t>(
      std::count_if(status.members.begin(), status.members.end(), [](const MemberStatus& m) { return m.alive; }));
}

}  // namespace

Scoreboard::Scoreboard(const config::CombineSpec& combine, const Ensemble& ensemble, Progress& progress, Sink* next)
    : combine_(combine), ensemble_(ensemble), progress_(progress), next_(next) {}

void Scoreboard::write(const SegmentResult& result) {
  if (next_ != nullptr) next_->write(result);
  images_ += result.count;
  if (!result.labels.empty() && combine_.over != OutputKind::features) score(result);
  if (progress_.due(images_)) progress_.show(images_, alive_members(ensemble_));
}

void Scoreboard::score(const SegmentResult& result) {
  // Votes are shares of weights, whatever they were taken over.
  const auto kind_of = [&](bool votes) {
    return combine_.over == OutputKind::logits && !votes ? images::ScoreKind::logits : images::ScoreKind::probabilities;
  };
  member_metrics_.resize(result.members.size());
  for (std::size_t rank = 0; rank < result.members.size(); ++rank) {
    const MemberSegmentResult& member = result.members[rank];
    if (!member_metrics_[rank]) member_metrics_[rank].emplace(member.width);
    std::vector<std::int64_t> predicted(result.count);
    for (std::uint32_t image = 0; image < result.count; ++image)
      predicted[image] =
          static_cast<std::int64_t>(argmax(member.values.subspan(std::size_t{image} * member.width, member.width)));
    member_metrics_[rank]->add(result.labels, member.values, predicted, kind_of(false));
  }
  if (combine_.rule == CombineRule::none) return;
  if (!ensemble_metrics_) ensemble_metrics_.emplace(result.width);
  ensemble_metrics_->add(result.labels, result.values, result.predicted, kind_of(combine_.rule == CombineRule::vote));
}

}  // namespace tutti::program
