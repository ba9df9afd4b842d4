// One task on its way: every hosted model alone, and the members under each rule, all from the same answers; behind a
// head where the task has one. It computes what `tutti run --rules`, `tutti evaluate` and `tutti combine` report. It
// starts nothing, reads no file, and prints nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <tutti/predictions.hpp>

#include "config/spec.hpp"
#include "coordinator/decide/accumulator.hpp"
#include "merge/head.hpp"
#include "program/scores.hpp"
#include "results/class_shares.hpp"
#include "results/disagreement.hpp"
#include "results/metrics.hpp"

namespace tutti::program {

/// What is evaluated, whatever the task.
struct EvaluationForm {
  OutputKind answers = OutputKind::probabilities;  ///< what the models hand over
  std::size_t members = 0;     ///< the first so many models are combined; the others stand beside them
  std::vector<float> weights;  ///< of these members
  /// Over what the models answer; or, with a head, over probabilities: applied behind it.
  std::vector<config::CombineSpec> rules;
  OnNan on_nan = OnNan::error;  ///< allow: what is combined need not be finite
};

class Evaluation {
 public:
  /// `head` may be null; it outlives the evaluation, as does what `form` was made of. With a head the models answer
  /// features.
  Evaluation(EvaluationForm form, const merge::Head* head);

  /// `result.members` are all models, each with answers of its own width (a head's, or one and the same for all
  /// members). The combined answer of `result` does not count. Throws Error(usage) where a label is no class.
  void add(const SegmentResult& result);

  /// Members in rank order, then the other models.
  const std::vector<MaybeMetrics>& models() const noexcept { return models_; }
  /// In the order of the form's rules.
  const std::vector<MaybeMetrics>& rules() const noexcept { return rules_; }
  const images::Disagreement& disagreement() const noexcept { return disagreement_; }
  std::uint64_t images() const noexcept { return images_; }

  /// Whether there are class scores to judge: models answer classes, or a head makes them.
  bool has_classes() const noexcept { return head_ != nullptr || form_.answers != OutputKind::features; }

  /// Of the last segment, per rule: what the accumulator gave, before any head where the rule is over features.
  const std::vector<Accumulator::Result>& combined() const noexcept { return combined_; }
  /// The same behind the head: of features that were combined the softmax of its logits, and the classes that it
  /// decides for. Only where has_classes().
  const Accumulator::Result& answer(std::size_t rule) const noexcept {
    return form_.rules[rule].over == OutputKind::features ? behind_[rule] : combined_[rule];
  }
  /// Of the last segment; empty over features without a head.
  const std::vector<images::DisagreementRow>& disagreement_rows() const noexcept { return rows_; }

 private:
  using Answers = std::vector<std::span<const float>>;

  /// The models' class scores: their own answers, or what the head makes of them.
  Answers class_scores(const SegmentResult& result);
  void skip(MaybeMetrics& metrics, const SegmentResult& result, std::uint32_t classes) const;
  /// Each model alone and the members against each other, image by image: what a score means is computed once.
  void judge_models(const SegmentResult& result, const Answers& scores);
  void judge(std::size_t model, const SegmentResult& result, std::span<const float> scores, std::uint32_t image);
  void score_rule(std::size_t rule, const SegmentResult& result);
  void decide_behind_head(std::size_t rule, const SegmentResult& result, std::uint32_t classes);
  bool behind_head(const config::CombineSpec& rule) const;
  Answers features_or_answers(const SegmentResult& result) const;
  std::uint32_t classes_of(const MemberSegmentResult& model) const;
  images::ScoreKind kind() const;

  const EvaluationForm form_;
  const merge::Head* head_;
  std::vector<Accumulator> accumulators_;
  std::vector<bool> present_;  ///< members of the present segment
  bool answered_ = false;      ///< by any of them
  std::vector<std::vector<float>> logits_;
  /// The members' probabilities behind the head; empty unless a rule is applied to them. Nobody looks at those of a
  /// member that is not present.
  std::vector<std::vector<float>> shares_;
  images::ClassShares judged_;    ///< the row at hand
  std::vector<double> compared_;  ///< the shares of the members of one image
  std::vector<MaybeMetrics> models_;
  std::vector<MaybeMetrics> rules_;
  images::Disagreement disagreement_;
  std::vector<Accumulator::Result> combined_;
  std::vector<Accumulator::Result> behind_;  ///< of rules over features
  std::vector<images::DisagreementRow> rows_;
  std::uint64_t images_ = 0;
};

}  // namespace tutti::program
