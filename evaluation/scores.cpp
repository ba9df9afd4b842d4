#include "evaluation/scores.hpp"

#include <algorithm>

#include "coordinator/decide/argmax.hpp"

namespace tutti {

images::ScoreKind score_kind(const config::CombineSpec& combine) {
  // Votes are shares of weights, whatever the members output.
  const bool logits = combine.over == OutputKind::logits && combine.rule != CombineRule::vote;
  return logits ? images::ScoreKind::logits : images::ScoreKind::probabilities;
}

bool has_scores(const config::CombineSpec& combine, const std::vector<MemberStatus>& members) {
  return has_classes(combine.over) && combine.activation != Activation::sigmoid &&
         std::ranges::all_of(members, [](const MemberStatus& member) { return member.output.size() == 1; });
}

std::vector<std::int64_t> decided(std::span<const float> scores, std::uint32_t images, std::uint32_t classes) {
  std::vector<std::int64_t> predicted(images);
  for (std::uint32_t image = 0; image < images; ++image)
    predicted[image] = static_cast<std::int64_t>(argmax(scores.subspan(std::size_t{image} * classes, classes)));
  return predicted;
}

void begin_segment(MaybeMetrics& metrics) {
  if (metrics) metrics->begin_segment();
}

void write_segment(const MaybeMetrics& metrics, images::SumWriter& out) {
  out.count(metrics ? 1 : 0);
  if (metrics) metrics->write_segment(out);
}

void read_segment(MaybeMetrics& metrics, std::uint32_t classes, images::SumReader& in) {
  if (in.count(1) == 0) return begin_segment(metrics);
  if (!metrics) metrics.emplace(classes);
  metrics->read_segment(in);
}

void Scores::add(const SegmentResult& result) {
  for (MaybeMetrics& member : members_) begin_segment(member);
  begin_segment(ensemble_);
  incomplete_.note(result);
  if (result.labels.empty() || !scored_) return;
  if (elsewhere_ == nullptr) {
    members_.resize(result.members.size());
    for (std::size_t rank = 0; rank < result.members.size(); ++rank) score_member(rank, result);
  }
  if (combine_.rule != CombineRule::none) score_ensemble(result);
}

void Scores::write_segment(images::SumWriter& out) const {
  out.count(members_.size());
  for (const MaybeMetrics& member : members_) tutti::write_segment(member, out);
  tutti::write_segment(ensemble_, out);
}

void Scores::read_segment(const SegmentResult& result, images::SumReader& in) {
  const std::uint64_t members = in.count(result.members.size());
  if (members != 0 && (members != result.members.size() || elsewhere_ != nullptr)) throw images::SumMisfit{};
  members_.resize(members);
  for (std::size_t rank = 0; rank < members; ++rank)
    tutti::read_segment(members_[rank], result.members[rank].width, in);
  tutti::read_segment(ensemble_, result.width, in);
}

void IncompleteSegments::note(const SegmentResult& result) {
  std::optional<IncompleteSegment> now = result.incomplete();
  if (!now) return;
  const bool goes_on = !list_.empty() && !now->set_aside && !list_.back().set_aside &&
                       list_.back().absent == now->absent && list_.back().first + list_.back().count == now->first;
  if (goes_on)
    list_.back().count += now->count;
  else
    list_.push_back(std::move(*now));
}

void Scores::score_member(std::size_t rank, const SegmentResult& result) {
  const MemberSegmentResult& member = result.members[rank];
  MaybeMetrics& metrics = members_[rank];
  if (!metrics) metrics.emplace(member.width);
  if (!member.present) return metrics->skip(result.count);
  const bool logits = combine_.over == OutputKind::logits;
  const auto kind = logits ? images::ScoreKind::logits : images::ScoreKind::probabilities;
  if (member.asked.empty())
    return metrics->add(result.labels, member.values, decided(member.values, result.count, member.width), kind);
  std::vector<std::int64_t> labels;
  std::vector<float> values;
  for (std::size_t image = 0; image < result.count; ++image) {
    if (member.asked[image] == 0) continue;
    labels.push_back(result.labels[image]);
    const auto row = member.values.subspan(image * member.width, member.width);
    values.insert(values.end(), row.begin(), row.end());
  }
  const auto asked = static_cast<std::uint32_t>(labels.size());
  metrics->add(labels, values, decided(values, asked, member.width), kind);
  metrics->skip(result.count - asked);
}

void Scores::score_ensemble(const SegmentResult& result) {
  if (!ensemble_) ensemble_.emplace(result.width);
  if (result.set_aside || result.members_present() == 0) return ensemble_->skip(result.count);
  ensemble_->add(result.labels, result.values, result.predicted, score_kind(combine_));
}

}  // namespace tutti
