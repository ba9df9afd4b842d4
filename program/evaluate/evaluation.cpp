#include "program/evaluate/evaluation.hpp"
#include "program/scores.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

namespace tutti::program {
namespace {

using images::ScoreKind;

/// The softmax of each row, as float32: what the members of an ensemble over probabilities hand over.
void probabilities_of(std::span<const float> logits, std::uint32_t classes, std::vector<float>& probabilities) {
  probabilities.resize(logits.size());
  std::vector<double> shares(classes);
  for (std::size_t first = 0; first < logits.size(); first += classes) {
    images::shares_of(logits.subspan(first, classes), ScoreKind::logits, shares);
    for (std::size_t c = 0; c < classes; ++c) probabilities[first + c] = static_cast<float>(shares[c]);
  }
}

/// What stands for images without an answer.
Accumulator::Result nothing_of(std::uint32_t images, std::uint32_t classes) {
  return {std::vector<float>(std::size_t{images} * classes, std::numeric_limits<float>::quiet_NaN()),
          std::vector<std::int64_t>(images, -1)};
}

}  // namespace

Evaluation::Evaluation(EvaluationForm form, const merge::Head* head)
    : form_(std::move(form)),
      head_(head),
      rules_(form_.rules.size()),
      combined_(form_.rules.size()),
      behind_(form_.rules.size()) {
  assert(head_ == nullptr || form_.answers == OutputKind::features);
  for (const config::CombineSpec& rule : form_.rules) accumulators_.emplace_back(rule, form_.weights);
}

ScoreKind Evaluation::kind() const {
  return head_ != nullptr || form_.answers == OutputKind::logits ? ScoreKind::logits : ScoreKind::probabilities;
}

std::uint32_t Evaluation::classes_of(const MemberSegmentResult& model) const {
  return head_ != nullptr ? head_->classes() : model.width;
}

bool Evaluation::behind_head(const config::CombineSpec& rule) const {
  return head_ != nullptr && rule.over != OutputKind::features;
}

void Evaluation::add(const SegmentResult& result) {
  models_.resize(result.members.size());
  logits_.resize(result.members.size());
  present_.clear();
  for (std::size_t rank = 0; rank < form_.members; ++rank) present_.push_back(result.members[rank].present);
  answered_ = !result.set_aside && std::find(present_.begin(), present_.end(), true) != present_.end();
  const Answers scores = class_scores(result);
  if (has_classes()) {
    score_models(result, scores);
    note_disagreement(result, scores);
  }
  const Answers answers = features_or_answers(result);
  const Answers shares = probabilities(result, scores);
  for (std::size_t rule = 0; rule < form_.rules.size(); ++rule) {
    const bool behind = behind_head(form_.rules[rule]);
    const std::uint32_t width = behind ? head_->classes() : result.members.front().width;
    combined_[rule] = answered_ ? accumulators_[rule].combine(behind ? shares : answers, present_, result.count, width)
                                : accumulators_[rule].nothing(result.count, width);
    if (has_classes()) score_rule(rule, result);
  }
  images_ += result.count;
}

Evaluation::Answers Evaluation::class_scores(const SegmentResult& result) {
  Answers scores;
  for (std::size_t m = 0; m < result.members.size(); ++m) {
    const MemberSegmentResult& model = result.members[m];
    if (head_ == nullptr || !model.present) {
      scores.push_back(model.values);
      continue;
    }
    logits_[m].resize(std::size_t{result.count} * head_->classes());
    head_->apply(model.values, result.count, logits_[m]);
    scores.emplace_back(logits_[m]);
  }
  return scores;
}

void Evaluation::score(MaybeMetrics& metrics, const SegmentResult& result, std::span<const float> scores,
                       std::uint32_t classes, std::span<const std::int64_t> predicted, ScoreKind kind) const {
  if (result.labels.empty()) return;
  if (!metrics) metrics.emplace(classes);
  metrics->add(result.labels, scores, predicted, kind);
}

void Evaluation::skip(MaybeMetrics& metrics, const SegmentResult& result, std::uint32_t classes) const {
  if (result.labels.empty()) return;
  if (!metrics) metrics.emplace(classes);
  metrics->skip(result.count);
}

void Evaluation::score_models(const SegmentResult& result, const Answers& scores) {
  for (std::size_t m = 0; m < scores.size(); ++m) {
    const std::uint32_t classes = classes_of(result.members[m]);
    if (result.members[m].present)
      score(models_[m], result, scores[m], classes, decided(scores[m], result.count, classes), kind());
    else
      skip(models_[m], result, classes);
  }
}

Evaluation::Answers Evaluation::features_or_answers(const SegmentResult& result) const {
  Answers answers;
  for (std::size_t rank = 0; rank < form_.members; ++rank) answers.push_back(result.members[rank].values);
  return answers;
}

Evaluation::Answers Evaluation::probabilities(const SegmentResult& result, const Answers& scores) {
  const bool wanted = std::any_of(form_.rules.begin(), form_.rules.end(),
                                  [this](const config::CombineSpec& rule) { return behind_head(rule); });
  if (!wanted || !answered_) return {};
  shares_.resize(form_.members);
  Answers shares;
  for (std::size_t rank = 0; rank < form_.members; ++rank) {
    // Nobody looks at what stands for a member that is not present.
    if (result.members[rank].present) probabilities_of(scores[rank], head_->classes(), shares_[rank]);
    shares.emplace_back(shares_[rank]);
  }
  return shares;
}

void Evaluation::score_rule(std::size_t rule, const SegmentResult& result) {
  const std::uint32_t classes = classes_of(result.members.front());
  const config::CombineSpec& combine = form_.rules[rule];
  const bool features = combine.over == OutputKind::features;
  if (!answered_) {
    if (features) behind_[rule] = nothing_of(result.count, classes);
    return skip(rules_[rule], result, classes);
  }
  const Accumulator::Result& combined = combined_[rule];
  if (!features) return score(rules_[rule], result, combined.values, classes, combined.predicted, score_kind(combine));
  std::vector<float> logits(std::size_t{result.count} * classes);
  head_->apply(combined.values, result.count, logits);
  behind_[rule].predicted = decided(logits, result.count, classes);
  probabilities_of(logits, classes, behind_[rule].values);
  score(rules_[rule], result, logits, classes, behind_[rule].predicted, ScoreKind::logits);
}

void Evaluation::note_disagreement(const SegmentResult& result, const Answers& scores) {
  const std::uint32_t classes = classes_of(result.members.front());
  Answers members;
  bool alike = true;  // with the rule none, members may answer different classes: nothing can be compared then
  for (std::size_t rank = 0; rank < form_.members; ++rank) {
    alike = alike && classes_of(result.members[rank]) == classes;
    if (present_[rank] && !result.set_aside) members.push_back(scores[rank]);
  }
  if (!alike) members.clear();
  rows_ = disagreement_.add(members, result.count, classes, kind());
}

}  // namespace tutti::program
