#include "evaluation/evaluation.hpp"

#include <algorithm>
#include <cassert>
#include <limits>
#include <span>
#include <utility>

#include "config/rules.hpp"
#include "coordinator/decide/argmax.hpp"

namespace tutti {
namespace {

using images::ScoreKind;

/// The value for images without a prediction.
Accumulator::Result nothing_of(std::uint32_t images, std::uint32_t classes) {
  return {std::vector<float>(std::size_t{images} * classes, std::numeric_limits<float>::quiet_NaN()),
          std::vector<std::int64_t>(images, -1)};
}

}  // namespace

EvaluationForm evaluation_form(const config::EnsembleSpec& spec, std::string_view rules) {
  EvaluationForm form{spec.combine.over, spec.members.size(), {}, {}, spec.failure.on_nan, std::nullopt, spec.combine};
  for (const config::MemberSpec& member : spec.members) form.weights.push_back(static_cast<float>(member.weight));
  if (!rules.empty())
    form.rules = config::read_rules(rules, spec);
  else if (spec.combine.rule != CombineRule::none)
    form.rules.push_back(config::checked_rule(spec));
  return form;
}

Evaluation::Evaluation(EvaluationForm form, const merge::Head* head)
    : form_(std::move(form)),
      head_(head),
      rules_(form_.rules.size()),
      combined_(form_.rules.size()),
      behind_(form_.rules.size()) {
  assert(head_ == nullptr || form_.answers == OutputKind::features);
  for (const config::CombineSpec& rule : form_.rules) {
    config::CombineSpec without_spread = rule;  // it is the same for every rule: spread_sink.hpp
    without_spread.spread = false;
    accumulators_.emplace_back(without_spread, form_.weights, form_.on_nan);
    if (behind_head(rule)) shares_.resize(form_.members);
  }
}

ScoreKind Evaluation::kind() const {
  return head_ != nullptr || form_.answers == OutputKind::logits ? ScoreKind::logits : ScoreKind::probabilities;
}

std::uint32_t Evaluation::classes_of(const MemberSegmentResult& model) const {
  return head_ != nullptr ? head_->classes() : model.width;
}

bool Evaluation::behind_head(const config::CombineSpec& rule) const {
  return head_ != nullptr && tutti::has_classes(rule.over);
}

bool Evaluation::has_classes() const noexcept {
  if (head_ != nullptr) return true;
  const auto one_is_right = [](const config::CombineSpec& rule) { return rule.activation != Activation::sigmoid; };
  return tutti::has_classes(form_.answers) && (!form_.output || form_.output->size() == 1) &&
         one_is_right(form_.combine) && std::ranges::all_of(form_.rules, one_is_right);
}

SegmentResult Evaluation::answered(SegmentResult result, std::size_t rule) const {
  const Accumulator::Result& given = answer(rule);
  result.values = given.values;
  result.predicted = given.predicted;
  result.width = static_cast<std::uint32_t>(given.values.size() / result.count);
  return result;
}

void Evaluation::compare_with(const TaskLabels& labels) {
  labels_.emplace(
      ComparedForm{form_.combine, labels.ignored, labels.models, form_.output.value(), form_.rules, labels.elsewhere},
      labels.source);
}

ClassAxis Evaluation::axis_of(const config::CombineSpec& rule, std::uint32_t width) const {
  if (behind_head(rule)) return ClassAxis::of_row(head_->classes());
  return rule.decides() && form_.output ? ClassAxis::of(*form_.output, rule.axis) : ClassAxis::of_row(width);
}

void Evaluation::add(const SegmentResult& result) {
  for (MaybeMetrics& metrics : models_) begin_segment(metrics);
  for (MaybeMetrics& metrics : rules_) begin_segment(metrics);
  disagreement_.begin_segment();
  models_.resize(result.members.size());
  logits_.resize(result.members.size());
  present_.clear();
  for (std::size_t rank = 0; rank < form_.members; ++rank) present_.push_back(result.members[rank].present);
  answered_ = !result.set_aside && std::find(present_.begin(), present_.end(), true) != present_.end();
  const Answers scores = class_scores(result);
  if (has_classes()) judge_models(result, scores);
  const Answers answers = features_or_answers(result);
  const Answers shares(shares_.begin(), shares_.end());
  for (std::size_t rule = 0; rule < form_.rules.size(); ++rule) {
    const bool behind = behind_head(form_.rules[rule]);
    const ClassAxis axis = axis_of(form_.rules[rule], result.members.front().width);
    if (answered_) {
      accumulators_[rule].combine(behind ? shares : answers, present_, result.count, axis, combined_[rule]);
      accumulators_[rule].check_finite(combined_[rule].values, static_cast<std::uint32_t>(axis.values()), result.first);
    } else {
      accumulators_[rule].nothing(result.count, axis, combined_[rule]);
    }
    if (has_classes()) score_rule(rule, result);
  }
  if (labels_) labels_->add(result, std::span(std::as_const(combined_)).first(answered_ ? combined_.size() : 0));
  images_ += result.count;
}

void Evaluation::write_segment(images::SumWriter& out) const {
  for (const MaybeMetrics& metrics : models_) tutti::write_segment(metrics, out);
  for (const MaybeMetrics& metrics : rules_) tutti::write_segment(metrics, out);
  disagreement_.write_segment(out);
  if (labels_) labels_->write_segment(out);
}

void Evaluation::read_segment(const SegmentResult& result, images::SumReader& in) {
  models_.resize(result.members.size());
  for (std::size_t m = 0; m < models_.size(); ++m) tutti::read_segment(models_[m], classes_of(result.members[m]), in);
  for (MaybeMetrics& metrics : rules_) tutti::read_segment(metrics, classes_of(result.members.front()), in);
  disagreement_.read_segment(in);
  if (labels_) labels_->read_segment(result, in);
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

void Evaluation::skip(MaybeMetrics& metrics, const SegmentResult& result, std::uint32_t classes) const {
  if (result.labels.empty()) return;
  if (!metrics) metrics.emplace(classes);
  metrics->skip(result.count);
}

void Evaluation::judge_models(const SegmentResult& result, const Answers& scores) {
  for (std::size_t m = 0; m < scores.size(); ++m) {
    const std::uint32_t classes = classes_of(result.members[m]);
    if (!result.members[m].present)
      skip(models_[m], result, classes);
    else if (!result.labels.empty() && !models_[m])
      models_[m].emplace(classes);
  }
  const std::uint32_t classes = classes_of(result.members.front());
  const auto alike = [&](const MemberSegmentResult& member) { return classes_of(member) == classes; };
  // Under rule none, members may have outputs of different widths, and nothing can be compared then.
  const bool compared = answered_ && std::ranges::all_of(result.members.first(form_.members), alike);
  for (std::vector<float>& shares : shares_) shares.resize(std::size_t{result.count} * classes);
  rows_.clear();
  for (std::uint32_t image = 0; image < result.count; ++image) {
    std::size_t members = 0;
    for (std::size_t m = 0; m < scores.size(); ++m) {
      const bool is_compared = compared && m < form_.members;
      if (!result.members[m].present || (result.labels.empty() && !is_compared)) continue;
      judge(m, result, scores[m], image);
      if (!is_compared) continue;
      compared_.resize((members + 1) * classes);
      judged_.write(std::span(compared_).subspan(members++ * classes, classes));
      if (!shares_.empty()) judged_.write(std::span(shares_[m]).subspan(std::size_t{image} * classes, classes));
    }
    rows_.push_back(disagreement_.add(std::span(compared_).first(members * classes), members));
  }
}

void Evaluation::judge(std::size_t model, const SegmentResult& result, std::span<const float> scores,
                       std::uint32_t image) {
  const std::uint32_t classes = classes_of(result.members[model]);
  const auto row = scores.subspan(std::size_t{image} * classes, classes);
  judged_.take(row, kind());
  if (!result.labels.empty())
    models_[model]->add(result.labels[image], judged_, static_cast<std::int64_t>(argmax(row)));
}

Evaluation::Answers Evaluation::features_or_answers(const SegmentResult& result) const {
  Answers answers;
  for (std::size_t rank = 0; rank < form_.members; ++rank) answers.push_back(result.members[rank].values);
  return answers;
}

void Evaluation::score_rule(std::size_t rule, const SegmentResult& result) {
  const std::uint32_t classes = classes_of(result.members.front());
  const config::CombineSpec& combine = form_.rules[rule];
  const bool features = !tutti::has_classes(combine.over);
  if (!answered_) {
    if (features) behind_[rule] = nothing_of(result.count, classes);
    return skip(rules_[rule], result, classes);
  }
  const Accumulator::Result& combined = combined_[rule];
  MaybeMetrics& metrics = rules_[rule];
  if (!result.labels.empty() && !metrics) metrics.emplace(classes);
  if (features) return decide_behind_head(rule, result, classes);
  if (!result.labels.empty()) metrics->add(result.labels, combined.values, combined.predicted, score_kind(combine));
}

void Evaluation::decide_behind_head(std::size_t rule, const SegmentResult& result, std::uint32_t classes) {
  std::vector<float> logits(std::size_t{result.count} * classes);
  head_->apply(combined_[rule].values, result.count, logits);
  accumulators_[rule].check_finite(logits, classes, result.first);
  Accumulator::Result& behind = behind_[rule];
  behind.predicted = decided(logits, result.count, classes);
  behind.values.resize(logits.size());
  for (std::uint32_t image = 0; image < result.count; ++image) {
    const std::size_t first = std::size_t{image} * classes;
    judged_.take(std::span(logits).subspan(first, classes), ScoreKind::logits);
    judged_.write(std::span(behind.values).subspan(first, classes));
    if (!result.labels.empty()) rules_[rule]->add(result.labels[image], judged_, behind.predicted[image]);
  }
}

}  // namespace tutti
