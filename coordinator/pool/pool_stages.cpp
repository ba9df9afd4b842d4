// The part of the pool about stages: what they are loaded for, what their channels hold, and where that is which they
// compute on.
#include "common/check.hpp"
#include "coordinator/pool/pool.hpp"

namespace tutti {

ByRank<Dims> Pool::outputs() const {
  ByRank<Dims> outputs;
  for (const Rank rank : IdRange<Rank>(plan_.combined())) outputs.push_back(outputs_[rank]);
  return outputs;
}

/// What a stage is loaded for: what the one before it outputs.
void Pool::note_feed(WorkerId worker) {
  for (const Rank rank : hosting().members_of(worker))
    if (const auto feeder = supervisor_.chains().feeder_of(rank)) {
      TUTTI_CHECK(outputs_known_[*feeder], "a stage starts when the one before it is ready");
      roster_.feed_with(worker, hosting().seat_of(rank), {Dtype::float32, outputs_[*feeder]});
    }
}

/// The most rows of a sample that the member outputs; 0: one. Members that came later have no stages.
std::uint32_t Pool::rows_of(Rank rank) const {
  return rank.value() < plan_.members.size() ? plan_.members[rank.value()].rows() : 0;
}

control::Start Pool::start_of(WorkerId worker) const {
  control::Start start{supervisor_.generation(worker), {}, plan_.arena, plan_.failure.on_nan == OnNan::allow};
  for (const Rank rank : hosting().members_of(worker)) {
    TUTTI_CHECK(outputs_known_[rank]);
    start.widths.push_back(static_cast<std::uint32_t>(elements_of(outputs_[rank])));
    start.rows.push_back(rows_of(rank));
  }
  return start;
}

/// What the member computes on for this segment: nothing of another worker unless it is a stage.
AnswerPlace Pool::feed_of(SegmentId segment, Rank rank) const {
  const auto feeder = supervisor_.chains().feeder_of(rank);
  if (!feeder) return {};
  const AnswerPlace& place = running_.at(segment).places[*feeder];
  TUTTI_CHECK(place.channel != nullptr, "the stage before it has answered");
  return place;
}

}  // namespace tutti
